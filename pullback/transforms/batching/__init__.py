"""Batched tensors and the rules by which ops take them: the machinery below `vmap`.

`levels.py` keeps the engine's stack of transforms, `batched.py` has the tensor, `interpreter.py`
what becomes of an op on it, and the `rules_*.py` are the table of batching rules. What users call
stands in `pullback/func/`.
"""
