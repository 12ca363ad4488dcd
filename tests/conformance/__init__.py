"""Pullback held against PyTorch's own op database, row by row.

`translate.py` finds Pullback's counterpart of what a row is made of, `draw.py` picks the rows and draws
their samples, `compare.py` runs one row on both libraries, `report.py` writes what was found, and
`__main__.py` is the command: `python -m tests.conformance [words] [--write] [--jobs 2]`.
"""
