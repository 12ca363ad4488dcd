"""Functions of other ops, under the names that programs for PyTorch use."""
