"""Distances between rows: of two matrices, of pairs in one, of pairs side by side; cosines.

`cdist` and `pdist` have compiled runs (`distances.h`); their gradients are made of ops, so they
have derivatives of any order. At distance zero, where a norm has no slope, the gradient is zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, result_type
from pullback.core._plans import Plan, Spec
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import distances
from pullback.ops.products.plans import joined, multiply
from pullback.ops.reductions.norms import norm_array, norm_slope
from pullback.ops.reductions.plans import fold_step
from pullback.ops.reductions.reduce import sum_array, widened
from pullback.ops.reductions.row_plans import placed, row_plan
from pullback.ops.shared.chains import Chain, Operand, Place, Step, bits_of, operand
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained
from pullback.ops.shared.pieces import Outline, Pieces, assembled, plan_by

PANEL = 32
"""The rows that distances.h takes at once."""

PLAIN = 25
"""Up to so many rows the euclidean distance is computed from differences, beyond by a matrix product."""

_COMPUTE_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)

# --------------------------------------------------------------------------------- all with all


def _common_batch(x1: Array | Spec, x2: Array | Spec) -> tuple[int, ...]:
    """The leading dims of both, broadcast."""
    try:
        return np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    except ValueError:
        a, b = x1.shape[:-2], x2.shape[:-2]
        for place in range(-1, -min(len(a), len(b)) - 1, -1):
            if a[place] != b[place] and 1 not in (a[place], b[place]):
                dim = max(len(a), len(b)) + place
                raise RuntimeError(
                    f"The size of tensor a ({a[place]}) must match the size of tensor b ({b[place]}) "
                    f"at non-singleton dimension {dim}"
                ) from None
        raise


def _by_product(x1: Array, x2: Array) -> Array:
    """Euclidean distances as `|x|**2 + |y|**2 - 2 x y`, around the second's mean: less cancels."""
    center = x2.sum(-2, keepdims=True) / max(x2.shape[-2], 1)
    x1, x2 = x1 - center, x2 - center
    squares = (x1 * x1).sum(-1)[..., None] + (x2 * x2).sum(-1)[..., None, :]
    return np.sqrt(np.maximum(squares - 2 * (x1 @ x2.swapaxes(-1, -2)), 0))


@op(name="cdist", places="", takes_half=True, batch="leading")
def _cdist(x1: Array, x2: Array, p: float, mode: int) -> Array:
    if _as_product(x1, x2, p, mode):
        return np.ascontiguousarray(_by_product(x1, x2))
    return _norms(x1[..., :, None, :] - x2[..., None, :, :], p)


def _norms(away: Array, p: float) -> Array:
    """The norms along the last dim."""
    return (
        norm_array(away, p, (away.ndim - 1,), False) if away.size else np.zeros(away.shape[:-1], away.dtype)
    )


def _as_product(x1: Array | Spec, x2: Array | Spec, p: float, mode: int) -> bool:
    """Whether the distances are computed by a matrix product."""
    many = x1.shape[-2] > PLAIN or x2.shape[-2] > PLAIN
    return p == 2 and (mode == 1 or (mode == 0 and many))


@_cdist.prepare
def _plan_cdist(x1: Spec, x2: Spec, p: float, mode: int) -> Plan:
    _check_two(x1, x2, p)
    batch, (n, d), m = _common_batch(x1, x2), x1.shape[-2:], x2.shape[-2]
    result = Spec(x1.dtype, (*batch, n, m))
    if not math.prod(batch) * n * m * d:
        return Plan(result)
    chain = Chain(2, result)
    leading: dict[Hashable, int] = dict(zip(range(-len(batch), 0), batch, strict=True))
    x = operand(Place(0), x1, [*range(2 - x1.ndim, 0), "i", "k"])
    y = operand(Place(1), x2, [*range(2 - x2.ndim, 0), "j", "k"])
    if _as_product(x1, x2, p, mode):
        _add_product(chain, x, y, operand(chain.result(), result, [*leading, "i", "j"]))
        return chain.plan()
    x, y = (as_they_lie(chain, t, {**leading, row: t.sizes[row], "k": d}) for t, row in ((x, "i"), (y, "j")))
    geometry, panels = (n, m, d, bits_of(p)), math.prod(batch) * -(-m // PANEL)
    run = distances.RUNS["between"][x1.dtype.name]
    chain.add(Step(run, geometry, panels, d * PANEL * x1.dtype.itemsize), x.place, y.place, chain.result())
    return chain.plan()


def as_they_lie(chain: Chain, x: Operand, sizes: dict[Hashable, int]) -> Operand:
    """An operand that is contiguous with dims of these sizes, or such a copy."""
    lies = chain.labelled(x, sizes)
    if all(x.step(label) == lies.step(label) for label in sizes):
        return x
    copy = chain.room(x.dtype, sizes)
    chain.copy(x, copy)
    return copy


def _add_product(chain: Chain, x: Operand, y: Operand, out: Operand) -> None:
    """The steps of `_by_product`."""
    kind = out.dtype
    rest = {label: n for label, n in y.sizes.items() if label != "j"}
    center, total = chain.room(kind, rest), chain.room(kind, rest)
    chain.add(fold_step("sum", y, ("j",), kind.itemsize), y.place, total.place)
    chain.pointwise(np.divide, total, y.sizes["j"], center)
    squares = []
    for t in (x, y):
        away, square = chain.room(kind, joined(t.sizes, rest)), chain.room(kind, joined(t.sizes, rest))
        chain.pointwise(np.subtract, t, center, away)
        chain.pointwise(np.multiply, away, away, square)
        of_rows = chain.room(kind, {label: n for label, n in away.sizes.items() if label != "k"})
        chain.add(fold_step("sum", square, ("k",), kind.itemsize), square.place, of_rows.place)
        squares += [away, of_rows]
    multiply(chain, squares[0], squares[2], out)
    chain.pointwise(np.multiply, out, -2, out)
    chain.pointwise(np.add, out, squares[1], out)
    chain.pointwise(np.add, out, squares[3], out)
    chain.pointwise(np.maximum, out, 0, out)
    chain.pointwise(np.sqrt, out, out)


@_cdist.joint_vjp
def _cdist_vjp(
    g: Tensor, x1: Tensor, x2: Tensor, p: float, mode: int, result: Tensor, needs: Any
) -> tuple[Any, ...]:
    """Of euclidean distances between many rows by products, of others by their differences."""
    first, second = needs
    if p == 2 and (x1.shape[-2] > PLAIN or x2.shape[-2] > PLAIN):
        zero = result == 0
        w = ops.where(zero, 0.0, g) / ops.where(zero, 1.0, result)
        g1 = x1 * ops.sum(w, -1, True) - w @ x2 if first else None
        g2 = x2 * ops.unsqueeze(ops.sum(w, -2), -1) - ops.transpose(w, -1, -2) @ x1 if second else None
        return g1, g2
    away = ops.unsqueeze(x1, -2) - ops.unsqueeze(x2, -3)
    slope = norm_slope(g, away, p, result, -1)
    return (ops.sum(slope, -2) if first else None), (-ops.sum(slope, -3) if second else None)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = _COMPUTE_MODES[0]) -> Tensor:
    """The distance of order `p` of every row of `x1` from every row of `x2`: (..., n, m).

    Leading dims are broadcast. Euclidean distances between more than 25 rows are computed by a matrix
    product, which is quick and loses digits of small distances; `compute_mode` may forbid it, or ask for
    it always. RuntimeError for integers and negative `p`. The gradient is that of `linalg.vector_norm`.

    >>> import pullback as torch
    >>> torch.cdist(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    if compute_mode is not None and compute_mode not in _COMPUTE_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    return _cdist(x1, x2, float(p), 0 if compute_mode is None else _COMPUTE_MODES.index(compute_mode))


cdist = explained(cdist, places="t")

# ------------------------------------------------------------------------------ pairs of rows


@op(name="pdist", places="", takes_half=True, batch="leading")
def _pdist(self: Array, p: float) -> Array:
    """Of a matrix, or of each of a stack of them."""
    i, j = np.triu_indices(self.shape[-2], 1)
    return _norms(self[..., i, :] - self[..., j, :], p)


@_pdist.prepare
def _plan_pdist(self: Spec, p: float) -> Plan:
    _check_pdist(self, p)
    *stack, n, d = self.shape
    result = Spec(self.dtype, (*stack, n * (n - 1) // 2))
    if not math.prod(self.shape) or n < 2:
        return Plan(result)
    chain = Chain(1, result)
    place, panels = chain.contiguous(0, self), math.prod(stack) * -(-n // PANEL)
    run = distances.RUNS["within"][self.dtype.name]
    chain.add(Step(run, (n, d, bits_of(p)), panels, d * PANEL * self.dtype.itemsize), place, chain.result())
    return chain.plan()


def _mirrored(self: Array | Outline) -> Pieces:
    """Numbers of pairs i < j as symmetric matrices with zeros on the diagonal."""
    *stack, count = self.shape
    n = (1 + math.isqrt(1 + 8 * count)) // 2
    copies: list[Any] = []
    for i, at in enumerate(itertools.accumulate(range(n - 1, 0, -1), initial=0)):
        pairs = self[..., at : at + n - 1 - i]
        copies += [((..., i, slice(i + 1, None)), pairs), ((..., slice(i + 1, None), i), pairs)]
    return Pieces((*stack, n, n), copies, 0)


@op(name="mirrored_pairs", places="", linear=True, moves=True, batch="leading")
def mirrored_pairs(self: Array) -> Array:
    """Numbers of pairs i < j as symmetric matrices with zeros on the diagonal."""
    return assembled(_mirrored(self), self.dtype)


mirrored_pairs.prepare(plan_by(_mirrored))


@op(name="pairs_of_rows", places="", linear=True, moves=True, batch="leading")
def pairs_of_rows(self: Array) -> Array:
    """The elements above the diagonal of matrices, one row after another."""
    return assembled(_pairs(self), self.dtype)


def _pairs(self: Array | Outline) -> Pieces:
    *stack, n, _ = self.shape
    starts = itertools.accumulate(range(n - 1, 0, -1), initial=0)
    copies = [
        ((..., slice(at, at + n - 1 - i)), self[..., i, i + 1 :])
        for i, at in zip(range(n), starts, strict=False)
    ]
    return Pieces((*stack, n * (n - 1) // 2), copies)


pairs_of_rows.prepare(plan_by(_pairs))
pairs_of_rows.vjp(self=lambda g: ops.triu(mirrored_pairs(g)))
mirrored_pairs.vjp(self=lambda g: pairs_of_rows(g + ops.transpose(g, -2, -1)))


def _pdist_vjp(g: Tensor, self: Tensor, p: float, result: Tensor) -> Tensor:
    """As of the distances of all rows from all: that of (i, j) goes to i there, and that of (j, i) to j."""
    if self.shape[-2] < 2:
        return ops.zeros_like(self)
    if p == 2 and self.shape[-2] > PLAIN:
        zero = result == 0
        w = mirrored_pairs(ops.where(zero, 0.0, g) / ops.where(zero, 1.0, result))
        x = self - ops.mean(self, -2, True)
        return x * ops.sum(w, -1, True) - w @ x
    away = ops.unsqueeze(self, -2) - ops.unsqueeze(self, -3)
    return ops.sum(norm_slope(mirrored_pairs(g), away, p, mirrored_pairs(result), -1), -2)


_pdist.vjp(self=_pdist_vjp)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The distances of order `p` of the rows of a matrix from each other: those of pairs i < j, in order.

    RuntimeError for integers and negative `p`.

    >>> import pullback as torch
    >>> torch.pdist(torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    tensor([5., 3., 4.])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    return _pdist(input, float(p))


pdist = explained(pdist, places="t", aliases=("nn.functional.pdist",))


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The norm of order `p` of `x1 - x2 + eps` over the last dim; the others are broadcast.

    >>> import pullback as torch
    >>> torch.pairwise_distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return ops.norm(x1 - x2 + eps, p, -1, keepdim)


pairwise_distance = explained(pairwise_distance, places="t", aliases=("nn.functional.pairwise_distance",))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`: `x y / max(|x|, eps) / max(|y|, eps)`.

    The tensors are broadcast. RuntimeError for integers and complex numbers.

    >>> import pullback as torch
    >>> torch.cosine_similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """
    kind = result_type(x1, x2)
    if eps < 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps:g}")
    if kind.kind != "f":
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {kind.type_name}"
        )
    if x1.dtype is not x2.dtype:
        x1, x2 = x1.to(kind), x2.to(kind)
    if x1.shape != x2.shape:
        x1, x2 = ops.broadcast_tensors(x1, x2)
    dim = wrap_dim(dim, x1.ndim)
    return (
        ops.squeeze(_cosine(x1, x2, dim - x1.ndim, eps)[0], dim) if x1.ndim else _cosine_of_two(x1, x2, eps)
    )


def _cosine_of_two(x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    """Of numbers, which count as vectors of one."""
    first, second = (x / ops.clamp_min(ops.abs(x), eps) for x in (x1, x2))
    return first * second


@op(name="cosine_of_angle", places="", takes_half=True)
def _cosine(self: Array, other: Array, dim: int, eps: float) -> Any:
    """The cosine along a dim, a negative number that stays as one of one, and 1 / max(norm, eps) of both."""
    rows, axes = [widened(a) for a in (self, other)], (dim % self.ndim,)
    first, second = (1 / np.maximum(norm_array(a, 2, axes, True), eps) for a in rows)
    cosine = sum_array(np.asarray((rows[0] * first) * (rows[1] * second)), axes, True)
    return tuple([t.astype(self.dtype) for t in (cosine, first, second)])


@_cosine.prepare
def _plan_cosine(self: Spec, other: Spec, dim: int, eps: float) -> Plan:
    axis = dim % self.ndim
    one = Spec(self.dtype, tuple([1 if d == axis else n for d, n in enumerate(self.shape)]))
    operands = [placed(t, self.ndim) for t in (self, other, one, one, one)]
    return row_plan("cosine", (one, one, one), operands, 2, self.shape, (axis,), (eps,))


@_cosine.batch
def _cosine_batch(level: Any, op: Op, self: Any, other: Any, dim: int, eps: float) -> Any:
    return level.wrap(op(level.front(self), level.front(other), dim, eps))


@_cosine.joint_vjp
def _cosine_vjp(
    grads: Any,
    self: Tensor,
    other: Tensor,
    eps: float,
    result0: Tensor,
    result1: Tensor,
    result2: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Of c = x y / (|x| |y|): g (y / (|x| |y|) - c x / |x|**2), the latter only where |x| is above eps."""
    g, g1, g2 = (0.0 if t is None else t for t in grads)

    def slope(x: Tensor, y: Tensor, r: Tensor, s: Tensor, up: Any) -> Tensor:
        back = ops.where(r * eps < 1, r * r * (g * result0 + up * r), 0.0)
        return (g * r * s) * y - back * x

    return (
        slope(self, other, result1, result2, g1) if needs[0] else None,
        slope(other, self, result2, result1, g2) if needs[1] else None,
    )


cosine_similarity = explained(cosine_similarity, places="t", aliases=("nn.functional.cosine_similarity",))


# ---------------------------------------------------------------------------------- what is refused


def _check_two(x1: Spec, x2: Spec, p: float) -> None:
    for which, a in (("X1", x1), ("X2", x2)):
        if a.dtype.kind != "f":
            name = a.dtype.type_name
            raise RuntimeError(f"cdist only supports floating-point dtypes, {which} got: {name}")
    for which, a in (("X1", x1), ("X2", x2)):
        if a.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {which} got: {a.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    _check_one_kind("cdist", x1, x2)


def _check_one_kind(name: str, *tensors: Spec) -> None:
    first = tensors[0].dtype
    if first.itemsize == 2:
        raise NotImplementedError(f"\"{name}\" not implemented for '{first.type_name}'")
    for t in tensors[1:]:
        if t.dtype is not first:
            raise RuntimeError(f"expected scalar type {first.type_name} but found {t.dtype.type_name}")


def _check_pdist(self: Spec, p: float) -> None:
    if self.dtype.kind != "f":
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    _check_one_kind("pdist", self)
