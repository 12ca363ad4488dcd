"""Decompositions, solvers and functions of matrices, as `torch.linalg`."""
