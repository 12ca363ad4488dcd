"""Sparse tensors: COO, CSR, CSC, BSR and BSC, made of tensors of indices and of values."""
