"""Networks from scratch: Part B's U-Nets, their blocks, and classifiers that judge digits."""
