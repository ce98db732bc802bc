"""Metrics: how close images are, how far sets of them, how well one shows its caption."""
