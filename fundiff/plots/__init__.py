"""Figures: rows, grids, curves and diagrams of tensors, and players that move in a page."""
