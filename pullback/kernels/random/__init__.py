"""Random numbers, PyTorch's for the same seed: the generators, and how they fill arrays."""
