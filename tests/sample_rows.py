"""The op table of the tests: one row an op. What a row says is in samples.py."""

import rows_arrays
import rows_matrices
import rows_numbers

ROWS = [*rows_numbers.ROWS, *rows_arrays.ROWS, *rows_matrices.ROWS]
