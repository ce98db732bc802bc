"""The command line: ``python -m fundiff``, to paint, train and score without writing code."""
