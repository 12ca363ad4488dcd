"""Batched tensors and the rules by which ops take them: the machinery below `vmap`.

`batched.py` has the tensor, `interpreter.py` what becomes of an op on it, and `rules.py` the general
batching rules; a rule of an op's own stands beside the op. What users call stands in `pullback/func/`.
"""
