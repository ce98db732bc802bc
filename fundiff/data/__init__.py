"""Pictures to start from: files in, tensors out, and the digits and drawings that ship."""
