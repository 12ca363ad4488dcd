"""Interpreters that stand between a call and the engine: vmap, forward mode, Taylor series, sparsity."""
