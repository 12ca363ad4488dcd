"""Plans of sums of products: which dims are rows, columns, summed over, or none of these.

`multiply` takes two operands with labelled dims (ops/shared/chains.py) and adds what writes their product to
a third. A label that both have and the result too counts matrices; one of the result that one factor has is a
row or a column; one that the result lacks is summed over. Neighbours merge where they lie so in memory; of
what stays apart the last is the matrix's, the others count matrices. A factor is copied only where BLAS
cannot read it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from pullback.core._plans import Plan, Spec
from pullback.kernels import steps
from pullback.ops.products.blocks import BLAS_THREADS, multiply_blocks
from pullback.ops.shared.chains import Chain, Operand, Place, Step, merged, operand

WORTH_A_COPY = 4096
"""Multiplications from which on a factor is copied for BLAS."""

Labels = Sequence[Hashable]


def product_plan(
    a: Spec, b: Spec, of_a: Labels, of_b: Labels, wanted: Labels, conjugated: bool = False
) -> Plan:
    """The plan of the product of two tensors with labelled dims, summed over what is not wanted.

    The first tensor may be conjugated.
    """
    chain, product, finish = _chain_of(a, b, of_a, of_b, wanted, (Place(0), Place(1)), 2, conjugated)
    if finish is not product:
        chain.convert(product, finish)
    return chain.plan()


def sum_plan(
    start: Spec,
    a: Spec,
    b: Spec,
    of_a: Labels,
    of_b: Labels,
    wanted: Labels,
    beta: Any = 1,
    alpha: Any = 1,
    order: tuple[int, int, int] = (0, 1, 2),
) -> Plan:
    """The plan of `beta * start + alpha * product`; `order` says which arguments of the op the three are."""
    first, *factors = [Place(number) for number in order]
    x = operand(first, start, wanted[len(wanted) - start.ndim :])
    plain = alpha == 1 and beta == 1
    chain, product, finish = _chain_of(
        a, b, of_a, of_b, wanted, (factors[0], factors[1]), 3, start=x if plain else None
    )
    if product.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        chain.pointwise(np.multiply, product, alpha, product)
    if beta != 0 and not plain:
        x = chain.widened(x)
        if beta != 1:
            scaled = chain.room(x.dtype, {label: n for label, n in x.sizes.items() if n != 1})
            chain.pointwise(np.multiply, x, beta, scaled)
            x = scaled
        chain.pointwise(np.add, product, x, product)
    if finish is not product:
        chain.convert(product, finish)
    return chain.plan()


def _chain_of(
    a: Spec,
    b: Spec,
    of_a: Labels,
    of_b: Labels,
    wanted: Labels,
    places: tuple[Place, Place],
    inputs: int,
    conjugated: bool = False,
    start: Operand | None = None,
) -> tuple[Chain, Operand, Operand]:
    """A chain with the product, that as it is computed, and the result that it belongs to."""
    x, y = operand(places[0], a, of_a), operand(places[1], b, of_b)
    sizes = joined(x.sizes, y.sizes)
    result = Spec(a.dtype, tuple([sizes[label] for label in wanted]))
    chain = Chain(inputs, result)
    out = operand(chain.result(), result, wanted)
    if conjugated:
        x, plain = chain.room(x.dtype, x.sizes), x
        chain.pointwise(np.conjugate, plain, x)
    x, y = chain.widened(x), chain.widened(y)
    product = out if x.dtype is a.dtype else chain.room(x.dtype, out.sizes)
    multiply(chain, x, y, product, start and chain.widened(start))
    return chain, product, out


def joined(*sizes: dict[Hashable, int]) -> dict[Hashable, int]:
    """The sizes of dims that broadcast."""
    result: dict[Hashable, int] = {}
    for some in sizes:
        result |= {label: n for label, n in some.items() if n != 1 or label not in result}
    return result


def multiply(chain: Chain, a: Operand, b: Operand, out: Operand, start: Operand | None = None) -> None:
    """Adds the steps that write the product of two operands, summed over the labels that `out` lacks.

    It is added to a start, which may lack dims.
    """
    sizes = joined(a.sizes, b.sizes, out.sizes)
    if 0 in out.sizes.values():
        return
    if not _multiplied(chain, a, b, out, start, sizes) and start is not None:
        chain.pointwise(np.add, out, start, out)


def _multiplied(
    chain: Chain, a: Operand, b: Operand, out: Operand, start: Operand | None, sizes: dict[Hashable, int]
) -> bool:
    """The same; whether the start is added already."""
    labels = [label for label, n in sizes.items() if n != 1]
    inner = [label for label in labels if label not in out.sizes]
    if not inner and not _pairs(chain, a, b, out, labels):
        chain.pointwise(np.multiply, a, b, out)
    if not inner:
        return False
    outer = sorted((x for x in labels if x in out.sizes), key=lambda x: -abs(out.steps[x]))
    batch = [x for x in outer if a.step(x) and b.step(x)]
    rows = [x for x in outer if not b.step(x) and (a.step(x) or a.sizes.get(x, 1) > 1)]
    columns = [x for x in outer if x not in batch and x not in rows]
    inner.sort(key=lambda x: (-abs(a.step(x)), -abs(b.step(x))))
    empty = any(sizes[x] == 0 for x in inner)
    if len(_dims(inner, sizes, a, b)) > 1 and not empty:
        a, b = _with_one_run(chain, a, b, inner, batch + rows, batch + columns, sizes)
    of_inner = (0, 0, 0) if empty else _dims(inner, sizes, a, b)[0]
    for first in (start, None) if start else (None,):
        lie = (a, b, first or out, out)
        of_rows, of_columns = _dims(rows, sizes, *lie), _dims(columns, sizes, *lie)
        leading = _dims(batch, sizes, *lie) + of_rows[:-1] + of_columns[:-1]
        if of_rows and of_columns:
            matrices = leading, of_rows[-1], of_columns[-1]
            if multiply_blocks(chain, a, b, first, out, of_inner, *matrices):
                return first is start
    of_rows, of_columns = _dims(rows, sizes, a, b, out), _dims(columns, sizes, a, b, out)
    leading = _dims(batch, sizes, a, b, out) + of_rows[:-1] + of_columns[:-1]
    m, am, _, cm = of_rows[-1] if of_rows else (1, 0, 0, 0)
    n, _, bn, cn = of_columns[-1] if of_columns else (1, 0, 0, 0)
    k, ak, bk = of_inner
    item = out.dtype.itemsize
    if m * n * k >= WORTH_A_COPY and out.dtype.kind in "fc":
        if not readable((m, am), (k, ak), item):
            a = _packed(chain, a, batch + rows, inner)
            return _multiplied(chain, a, b, out, start, sizes)
        if not readable((k, bk), (n, bn), item):
            b = _packed(chain, b, batch + columns, inner)
            return _multiplied(chain, a, b, out, start, sizes)
    geometry = [
        *steps.loop_of(np.matmul, out.dtype.code),
        m,
        k,
        n,
        am,
        ak,
        bk,
        bn,
        cm or n * item,
        cn or item,
    ]
    geometry += [len(leading), *[number for dim in leading for number in dim]]
    parts = math.prod(size for size, *_ in leading)
    alone = m * n * k <= BLAS_THREADS  # BLAS does larger ones by threads of its own
    step = Step(steps.PRODUCT, tuple(geometry), parts, 0, parts * m * n * k if alone else 0)
    chain.add(step, a.place, b.place, out.place)
    return False


def _pairs(chain: Chain, a: Operand, b: Operand, out: Operand, labels: list[Hashable]) -> bool:
    """Adds the step that multiplies each element of a column by a row, if that is what is asked for."""
    sizes = joined(a.sizes, b.sizes, out.sizes)
    columns = _dims([x for x in labels if not a.step(x)], sizes, a, b, out)
    rows = _dims([x for x in labels if not b.step(x)], sizes, a, b, out)
    item = out.dtype.itemsize
    if out.dtype.name not in steps.PAIRS or len(columns) != 1 or not rows:
        return False
    (n, _, bn, cn), (m, am, _, cm) = columns[0], rows[-1]
    if bn != item or cn != item:
        return False
    leading = _dims([x for x in labels if a.step(x) and b.step(x)], sizes, a, b, out) + rows[:-1]
    geometry = (m, n, am, cm, len(leading), *[number for dim in leading for number in dim])
    parts = math.prod(size for size, *_ in leading)
    step = Step(steps.PAIRS[out.dtype.name], geometry, parts, 0, parts * m * n)
    chain.add(step, a.place, b.place, out.place)
    return True


def _dims(labels: Labels, sizes: dict[Hashable, int], *operands: Operand) -> list[tuple[int, ...]]:
    return merged((sizes[x], *[o.step(x) for o in operands]) for x in labels)


def _packed(chain: Chain, x: Operand, outer: Labels, inner: Labels) -> Operand:
    """A copy whose matrices lie row by row. A dim without a step, of an expanded tensor, is written out."""
    return chain.copied(x, [label for label in (*outer, *inner) if label in x.sizes])


def _with_one_run(
    chain: Chain, a: Operand, b: Operand, inner: list[Hashable], of_a: Labels, of_b: Labels, sizes: Any
) -> tuple[Operand, Operand]:
    """The factors, one or both copied, so that the dims to be summed over are one."""
    if len(_dims(inner, sizes, a)) == 1 and all(x in b.sizes for x in inner):
        return a, _packed(chain, b, of_b, inner)
    by_b = sorted(inner, key=lambda x: -abs(b.step(x)))
    if len(_dims(by_b, sizes, b)) == 1 and all(x in a.sizes for x in inner):
        inner[:] = by_b
        return _packed(chain, a, of_a, inner), b
    full = [_filled(x, inner, sizes) for x in (a, b)]
    return _packed(chain, full[0], of_a, inner), _packed(chain, full[1], of_b, inner)


def _filled(x: Operand, labels: Labels, sizes: Any) -> Operand:
    """The operand with all of these dims, repeated along those that it lacks."""
    more = [label for label in labels if label not in x.sizes or x.sizes[label] != sizes[label]]
    return Operand(x.place, x.dtype, x.sizes | {y: sizes[y] for y in more}, x.steps | dict.fromkeys(more, 0))


def readable(rows: tuple[int, int], columns: tuple[int, int], item: int) -> bool:
    """Whether BLAS reads a matrix of {size, step} each way as it lies: one of the steps is an element's."""
    for (n, step), (m, other) in ((rows, columns), (columns, rows)):
        if (step == item or n == 1) and (m == 1 or (other % item == 0 and other >= n * item)):
            return True
    return False
