"""Training: one loop that survives being stopped, what it is told, and its random numbers."""
