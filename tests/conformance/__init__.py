"""Pullback held against PyTorch's own op database, row by row.

`translate.py` finds Pullback's counterpart of what a row is made of, `draw.py` picks the rows and draws
their samples. `compare.py` runs one row on both libraries, by `calls.py` (results), `forms.py` (ways to
call), `slopes.py` (derivatives) and `batches.py` (vmap). `report.py` writes what was found, `__main__.py`
is the command: `python -m tests.conformance [words] [--write] [--jobs 2]`.
"""
