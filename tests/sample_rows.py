"""The op table of the tests: one row an op. What a row says is in samples.py."""

import rows_arrays
import rows_fft
import rows_linalg
import rows_matrices
import rows_nn
import rows_numbers
import rows_sequences
import rows_spatial
import rows_special

ROWS = [
    *rows_numbers.ROWS,
    *rows_arrays.ROWS,
    *rows_matrices.ROWS,
    *rows_nn.ROWS,
    *rows_sequences.ROWS,
    *rows_fft.ROWS,
    *rows_linalg.ROWS,
    *rows_spatial.ROWS,
    *rows_special.ROWS,
]
