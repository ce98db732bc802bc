"""Training: one loop that survives being stopped, and what it is told."""
