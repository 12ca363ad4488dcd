"""Products of matrices of floats by blocks that stay in registers: `kernels/product.h`.

They need no BLAS, read factors of whatever strides, share their work by the pool, and give the same bits on
any number of threads. A start, such as a bias, is added on the way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pullback.kernels import steps
from pullback.ops.shared.chains import ALIGNED, Chain, Operand, Step

BLAS_THREADS = 1 << 18
"""Multiplications above which BLAS has threads, and its last bits depend on their number."""
_LEAST = 1 << 13  # from which on blocks are quicker where the columns of a factor lie apart
_FEWEST_ROWS = 4
_NARROW = steps.WIDEST // 2  # columns of the narrowest strip
_MOST_WASTE = 0.2  # of the columns of strips of small products
_HIGH, _WIDE = 32 * steps.MOST_ROWS, 16 * steps.WIDEST  # of a chunk
_PARTS = 32  # as many there should be
_LONG = 2048  # bytes from number to number of a row, of which a chunk is laid out
_SHARED = 4 * steps.WIDEST  # columns that a laid out chunk should serve
_AT_ONCE = 8  # multiplications that take about as long as an element of other work

Dim = tuple[int, ...]


def multiply_blocks(
    chain: Chain,
    a: Operand,
    b: Operand,
    start: Operand | None,
    out: Operand,
    inner: Dim,
    leading: Sequence[Dim],
    row: Dim,
    column: Dim,
) -> bool:
    """Adds the product to a chain, if it is of a kind for which blocks pay.

    A dim is its size and its steps in the two factors, in the start (or the result) and in the result. A
    start must lie as the result does along columns.
    """
    item = out.dtype.itemsize
    if row[4] == item and column[4] != item:  # the transposed product
        leading, row, column = (
            [(n, y, x, s, z) for n, x, y, s, z in leading],
            *[(n, y, x, s, z) for n, x, y, s, z in (column, row)],
        )
        inner, a, b = (inner[0], inner[2], inner[1]), b, a
    (m, am, _, sm, cm), (k, ak, bk), (n, _, bn, sn, cn) = row, inner[:3], column
    at_hand = [am, ak, bk, bn, sm, cm]
    lead = math.prod(dim[0] for dim in leading)
    whole = -(-n // _NARROW) * _NARROW
    pays = m * n * k >= _LEAST and bn != item and whole - n <= _MOST_WASTE * whole
    if (
        out.dtype.name not in steps.MULTIPLY
        or not steps.QUICK
        or m < _FEWEST_ROWS
        or not (pays or m * n * k > BLAS_THREADS)
        or (cn, sn) != (item, item)
        or any(step % item for step in at_hand)
    ):
        return False
    high = _even(m, _HIGH, steps.MOST_ROWS)
    down = -(-m // high)
    lay_rows = abs(ak) >= _LONG and n >= _SHARED
    few = n * down * lead // (_PARTS // 8 if lay_rows else _PARTS)
    wide = _even(n, min(_WIDE, max(_SHARED if lay_rows else steps.WIDEST, few)), steps.WIDEST)
    parts = lead * down * -(-n // wide)
    geometry = [m, k, n, high, wide, int(start is not None), int(lay_rows)]
    geometry += [step // item for step in at_hand]
    geometry += [len(leading), *[number for dim in leading for number in dim]]
    most = min(k, steps.OF_SUM) * item
    scratch = ALIGNED + most * (steps.WIDEST + (high if lay_rows else 0))
    step = Step(steps.MULTIPLY[out.dtype.name], tuple(geometry), parts, scratch, lead * m * n * k // _AT_ONCE)
    chain.add(step, a.place, b.place, (start or out).place, out.place)
    return True


def _even(count: int, most: int, unit: int) -> int:
    """Units of which some, but `most` at a time, make up a number in pieces of about one size."""
    pieces = -(-count // most)
    return -(-count // pieces // unit) * unit
