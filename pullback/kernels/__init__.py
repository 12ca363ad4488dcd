"""Compiled loops on raw memory that neither NumPy nor SciPy has. They know of no op."""
