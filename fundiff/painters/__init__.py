"""Painters of training sets: emoji scenes with captions, and small characters, to train anew."""
