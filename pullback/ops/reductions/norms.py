"""Norms and distances.

`_power_norm` is the kernel of all finite orders: it computes plainly, and if the result comes near
the ends of the number range again, scaled by the largest element. So neither 1e200 nor 1e-200 is
lost in a square. The rule `norm_slope` divides by the norm before it takes powers, for the same
reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj, write_out
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import from_numpy_dtype, promote_types
from pullback.core.op import function, op
from pullback.core.types import Array, Dims, Number
from pullback.kernels.reduce import RUNS
from pullback.ops.elementwise.arithmetic import NO_BOOLS
from pullback.ops.reductions.plans import fold_plan, fold_step
from pullback.ops.reductions.reduce import reduced_axes, sum_array, unsqueeze_reduced, widened
from pullback.ops.reductions.row_plans import placed, row_plan
from pullback.ops.shared.batches import padded, rank, shifted
from pullback.ops.shared.chains import Chain, Place, merged, operand
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained, public
from pullback.ops.shared.refusals import check_tensors


def _power_norm(a: Array, ord: float, axes: tuple[int, ...] | None) -> Array:
    """`sum(a**ord)**(1/ord)` of magnitudes, with the reduced axes kept."""
    result = _plain_norm(a, ord, axes)
    limits = np.finfo(a.dtype)
    reach = abs(ord) if abs(ord) > 1 else 1.0
    low = (limits.tiny / limits.eps**2) ** (1 / reach)
    high = limits.max ** (1 / reach) / 16
    if not a.size or bool(((result > low) & (result < high)).all()):
        return result
    scale = np.maximum.reduce(a, axes, keepdims=True)
    scale = np.where((scale > 0) & np.isfinite(scale), scale, 1).astype(a.dtype)
    return scale * _plain_norm(np.asarray(a / scale), ord, axes)


def _plain_norm(a: Array, ord: float, axes: tuple[int, ...] | None) -> Array:
    if ord == 2:
        return np.sqrt(sum_array(np.asarray(a * a), axes, True))
    if ord == 1:
        return sum_array(a, axes, True)
    return np.power(sum_array(np.asarray(np.power(a, ord)), axes, True), a.dtype.type(1 / ord))


def norm_array(a: Array, ord: float, axes: tuple[int, ...] | None, keepdim: bool) -> Array:
    """The vector norm of floats or complex numbers: of any order, in their real type."""
    a = np.asarray(np.abs(a), order="C")
    if ord == 0:
        result = sum_array(np.asarray(a != 0).astype(a.dtype), axes, True)
    elif math.isinf(ord):
        ufunc = np.maximum if ord > 0 else np.minimum
        result = np.asarray(ufunc.reduce(a, axes, keepdims=True))
    else:
        result = np.asarray(_power_norm(a, ord, axes))
    if keepdim:
        return result
    return result.reshape(()) if axes is None else result.squeeze(axes)


def norm_slope(
    g: Tensor, self: Tensor, ord: float, result: Tensor, dim: Dims = None, keepdim: bool = False
) -> Tensor:
    """The derivative of a norm: `g * sgn(x) * (abs(x) / norm)**(ord - 1)`, zero where either is.

    For an infinite order, equal shares to all elements whose magnitude is the norm.
    """
    if ord == 0:
        return ops.zeros_like(self)
    result = unsqueeze_reduced(result, self.ndim, dim, keepdim)
    g = unsqueeze_reduced(g, self.ndim, dim, keepdim)
    if ord == 1:
        return g * ops.sgn(self)
    if math.isinf(ord):
        tied = ops.abs(self) == result
        share = g / ops.sum(tied, dim, True, dtype=result.dtype)
        return ops.where(tied, share, 0.0) * ops.sgn(self)
    zero = result == 0
    unit = self / ops.where(zero, 1.0, result)
    if ord == 2:
        return ops.where(zero, 0.0, g) * unit
    flat = zero | (self == 0)
    size = ops.abs(ops.where(flat, 1.0, unit))
    return ops.where(flat, 0.0, g * size ** (ord - 2)) * unit


def _check_dtype(name: str, dtype: Any, wanted: Dtype | None) -> None:
    """Refuses integers, and a `dtype` of another kind or of less precision."""
    if dtype.kind not in "fc":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {dtype.type_name}"
        )
    if wanted is None:
        return
    text = wanted.type_name
    if wanted.kind not in "fc":
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {text}")
    if dtype.kind != wanted.kind:
        kind = "complex" if dtype.kind == "c" else "real"
        raise RuntimeError(f"{name}: dtype should be {kind} for {kind} inputs, but got {text}")
    if dtype.itemsize > wanted.itemsize:
        raise RuntimeError(
            f"{name}: the dtype of the input ({dtype.type_name}) should be convertible without "
            f"narrowing to the specified dtype ({text})"
        )


def _check_not_empty(name: str, a: Array | Spec, ord: float, axes: tuple[int, ...] | None) -> None:
    """Refuses an empty dim where the order has no value for nothing: negative and infinite ones."""
    if 0 <= ord < math.inf:
        return
    if axes is None:
        if not a.size:
            raise RuntimeError(
                f"{name} cannot compute the {ord:g} norm on an empty tensor because the operation "
                "does not have an identity"
            )
        return
    for axis in axes:
        if not a.shape[axis]:
            raise RuntimeError(
                f"{name} cannot compute the {ord:g} norm on the dimension {axis}because this "
                "dimension is empty and the operation does not have an identity"
            )


@op(name="linalg_vector_norm", places="", takes_half=True, all_dims=True, allowed="bifch")
def _vector_norm(
    self: Array,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: Dtype | None = None,
) -> Array:
    result = norm_array(widened(self, dtype), ord, reduced_axes(dim, keepdim, self.ndim), keepdim)
    return result.astype((dtype or from_numpy_dtype(self.dtype)).to_real().numpy, copy=False)


@_vector_norm.prepare
def _plan_vector_norm(self: Spec, ord: float, dim: Dims, keepdim: bool, dtype: Dtype | None) -> Plan:
    name = "linalg.vector_norm"
    if isinstance(ord, str):
        raise TypeError("linalg_vector_norm(): argument 'ord' (position 2) must be Number, not str")
    _check_dtype(name, self.dtype, dtype)
    axes = reduced_axes(dim, keepdim, self.ndim)
    _check_not_empty(name, self, ord, axes)
    run = _FOLDS.get(ord)
    as_it_is = run is not None and dtype in (None, self.dtype) and self.dtype.kind == "f"
    return fold_plan(run or "norm2", self, axes, keepdim, (dtype or self.dtype).to_real(), runs=as_it_is)


_vector_norm.vjp(
    self=lambda g, self, ord, dim, keepdim, result: norm_slope(g, self, ord, result, dim, keepdim)
)


@public(space="linalg")
def vector_norm(
    input: Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`sum(abs(input)**ord)**(1/ord)` over `dim`, over all elements if it is None; always real.

    `ord` inf and -inf give the largest and smallest magnitude, 0 the number of elements not zero.
    RuntimeError for integers, and for an empty dim where the order is negative or infinite.
    The gradient is `g * sgn(input) * (abs(input) / norm)**(ord - 1)`, zero where the norm is.

    >>> import pullback as torch
    >>> torch.linalg.vector_norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return _vector_norm(input, ord, dim, keepdim, dtype, out=out)


@function()
def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: Dtype | None = None,
) -> Tensor:
    """The norm of order `p` over `dim`, over all elements if it is None.

    `p` is a number, as in `linalg.vector_norm`, "fro" (the order 2), or "nuc", the sum of the
    singular values of matrices.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    if isinstance(p, str):
        if p == "fro" and isinstance(dim, (tuple, list)) and len(dim) > 2:
            listed = " ".join(map(str, dim))
            raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {listed}")
        if p != "fro":
            return ops.matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
        p = 2
    return _vector_norm(input, 2 if p is None else p, dim, keepdim, dtype, out=out)


@op(allowed="bifch")
def dist(self: Array, other: Array, p: float = 2) -> Array:
    """The norm of order `p` of the difference of two tensors, broadcast.

    RuntimeError for integers. The gradient is that of `linalg.vector_norm`.

    >>> import pullback as torch
    >>> torch.dist(torch.tensor([1.0, 1.0]), torch.tensor([4.0, 5.0]))
    tensor(5.)
    """
    return norm_array(np.asarray(self - other), p, None, False)


_FOLDS = {0: "norm0", 1: "norm1", 2: "norm2", math.inf: "norm_inf"}
"""The runs of norms, by their order."""


@dist.prepare
def _plan_dist(self: Spec, other: Spec, p: float) -> Plan:
    if self.dtype.kind == other.dtype.kind == "b":
        raise RuntimeError(NO_BOOLS)
    kind = promote_types(self.dtype, other.dtype)
    if kind.kind not in "fc":
        raise RuntimeError(
            f"norm(): input dtype should be either floating point or complex. Got {kind.type_name} instead."
        )
    shape, result = np.broadcast_shapes(self.shape, other.shape), Spec(kind.to_real(), ())
    if self.dtype is not other.dtype or p not in _FOLDS or self.dtype.name not in RUNS["norm2"]:
        return Plan(result)
    if self.dtype.itemsize == 2:
        return Plan(result)
    chain = Chain(2, result)
    a, b = [operand(Place(i), t, range(-t.ndim, 0)) for i, t in enumerate((self, other))]
    away = chain.room(kind, dict(zip(range(-len(shape), 0), shape, strict=True)))
    chain.pointwise(np.subtract, a, b, away)
    chain.add(fold_step(_FOLDS[p], away, away.sizes, kind.itemsize), away.place, chain.result())
    return chain.plan()


dist.vjp(
    self=lambda g, self, other, p, result: norm_slope(g, self - other, p, result),
    other=lambda g, self, other, p, result: -norm_slope(g, self - other, p, result),
)


@dist.batch
def _dist_batch(level: Any, op: Op, self: Any, other: Any, p: float) -> Any:
    most = max(rank(self), rank(other))
    x, y = (padded(v.physical, most) if level.holds(v) else v for v in (self, other))
    return level.wrap(_vector_norm(ops.reshape(x - y, (level.size, -1)), p, (1,), False, None))


_EPSILON = 1e-7  # what PyTorch adds to a norm before it divides


@op(name="renorm", places="", shown_as={"kept": "dim"})
def _renorm(self: Array, p: float, kept: int, maxnorm: float) -> Array:
    """Scales the slices along the dim that is kept; norms go over all others."""
    kept = kept % self.ndim
    sizes = norm_array(self, p, tuple(i for i in range(self.ndim) if i != kept), True)
    scale = np.where(sizes > maxnorm, maxnorm / (sizes + sizes.dtype.type(_EPSILON)), 1)
    return self * scale.astype(sizes.dtype)


@_renorm.prepare
def _plan_renorm(self: Spec, p: float, kept: int, maxnorm: float) -> Plan:
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if self.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {self.ndim} dimensions")
    kept = wrap_dim(kept, self.ndim)
    _check_dtype("linalg.vector_norm", self.dtype, None)
    result, others = Spec(self.dtype, self.shape), [d for d in range(self.ndim) if d != kept]
    x, to = [operand(Place(i), t, range(self.ndim)) for i, t in enumerate((self, result))]
    one_run = len(merged((to.sizes[d], x.steps[d], to.steps[d]) for d in others)) <= 1
    if not one_run or p not in (1, 2) or self.dtype.kind != "f":
        return Plan(result)
    operands = [placed(self, self.ndim), placed(result, self.ndim)]
    return row_plan("renorm", result, operands, 1, self.shape, others, (p, maxnorm, _EPSILON))


def _renorm_vjp(g: Tensor, self: Tensor, p: float, kept: int, maxnorm: float) -> Tensor:
    others = tuple(i for i in range(self.ndim) if i != kept % self.ndim)
    sizes = _vector_norm(self, p, others, True, None)
    large = sizes > maxnorm
    scale = ops.where(large, maxnorm / (sizes + _EPSILON), 1.0)
    along = ops.sum(ops.real(g * conj(self)), others, True)
    slope = ops.where(large, -along * scale / (sizes + _EPSILON), 0.0)
    return g * scale + norm_slope(slope, self, p, sizes, others, True)


_renorm.vjp(self=_renorm_vjp)


@_renorm.batch
def _renorm_batch(level: Any, op: Op, self: Any, p: float, kept: int, maxnorm: float) -> Any:
    """The slices of all samples are those of one tensor."""
    dim = shifted(kept, self.ndim)
    front = ops.movedim(self.physical, dim, 1)
    flat = ops.reshape(front, (level.size * front.shape[1], -1))
    return level.wrap(ops.movedim(ops.reshape(op(flat, p, 0, maxnorm), front.shape), 1, dim))


@explained
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """Scales those slices along `dim` whose norm of order `p` exceeds `maxnorm` down to it.

    RuntimeError for fewer than two dims, `p` not positive, or `maxnorm` negative.

    >>> import pullback as torch
    >>> torch.tensor([[3.0, 4.0], [0.3, 0.4]]).renorm(2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    return _renorm(input, p, dim, maxnorm, out=out)


@function(places="m")
def renorm_(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """`renorm` into the tensor itself."""
    return _renorm.inplace(input, p, dim, maxnorm)


# ---------------------------------------------------------------------------------- of matrices


def _two_dims(dim: Any, ndim: int) -> tuple[int, int]:
    """The rows' and the columns' dim, counted from the back; RuntimeError unless two."""
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
    rows, columns = (wrap_dim(d, ndim) for d in dims)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({rows}, {columns})")
    return rows - ndim, columns - ndim


def _check_order(ord: Any) -> None:
    allowed = ("fro", "nuc") if isinstance(ord, str) else (1, -1, 2, -2, math.inf, -math.inf)
    if ord not in allowed:
        text = ord if isinstance(ord, str) else f"{ord:g}"
        raise RuntimeError(f"linalg.matrix_norm: Order {text} not supported.")


def _of_order(
    input: Tensor, ord: Number, dim: Dims = (-2, -1), keepdim: bool = False, *, dtype: Dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A form of `linalg.matrix_norm`."""


def _of_named_order(
    input: Tensor, ord: str = "fro", dim: Dims = (-2, -1), keepdim: bool = False, *,
    dtype: Dtype | None = None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Another one."""


@public(_of_order, _of_named_order, space="linalg")
def matrix_norm(
    input: Tensor,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The norm of matrices in two dims of `input`, float or complex; always real.

    "fro" is the norm of all elements, "nuc" the sum of the singular values, 2 (-2) the largest
    (smallest) of them, 1 (-1) the largest (smallest) sum of magnitudes of a column, inf (-inf) of a
    row. RuntimeError for other orders, for integers, and for other than two different dims.

    >>> import pullback as torch
    >>> torch.linalg.matrix_norm(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), "nuc")
    tensor(7.)
    """
    check_tensors("linalg_matrix_norm", input=input)
    name = "linalg.matrix_norm"
    if input.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    _check_order(ord)
    rows, columns = _two_dims(dim, input.ndim)
    _check_dtype(name, input.dtype, dtype)
    if ord == "fro":
        return _vector_norm(input, 2.0, (rows, columns), keepdim, dtype, out=out)
    if dtype is not None:
        input = ops.to(input, dtype)
    if isinstance(ord, str) or abs(ord) == 2:
        return _norm_by_svd(input, ord, (rows, columns), keepdim, out)
    summed, chosen = (rows, columns) if abs(ord) == 1 else (columns, rows)
    if not keepdim and summed > chosen:
        chosen += 1
    sizes = _vector_norm(input, 1.0, (summed,), keepdim, None)
    return _extremum_of(ord, sizes)(sizes, chosen, keepdim, out=out)


def _extremum_of(ord: float, sizes: Tensor) -> Any:
    """What takes the largest or the smallest; the largest of nothing is zero."""
    return ops.amin if ord < 0 else ops.sum if 0 in sizes.shape else ops.amax


def _norm_by_svd(A: Tensor, ord: Any, dims: tuple[int, int], keepdim: bool, out: Any) -> Tensor:
    if A.dtype.itemsize < 4:
        raise RuntimeError(f"linalg.matrix_norm: Low precision dtypes not supported. Got {A.dtype.type_name}")
    values = ops.svdvals(A if dims == (-2, -1) else ops.movedim(A, dims, (-2, -1)))
    if ord == "nuc":
        norms = ops.sum(values, -1, keepdim, out=None if keepdim else out)
    else:
        norms = _extremum_of(ord, values)(values, -1, keepdim, out=None if keepdim else out)
    if not keepdim:
        return norms
    norms = ops.movedim(ops.unsqueeze(norms, -1), (-2, -1), dims)
    return norms if out is None else write_out(out, norms.detach())


def _of_any_order(
    input: Tensor, ord: Number | None = None, dim: Dims = None, keepdim: bool = False, *,
    dtype: Dtype | None = None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A form of `linalg.norm`."""


def _by_name(
    input: Tensor, ord: str, dim: Dims = None, keepdim: bool = False, *, dtype: Dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Another one."""


@public(_of_any_order, _by_name, space="linalg")
def linalg_norm(
    input: Tensor,
    ord: float | str | None = None,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`linalg.vector_norm` over one dim, `linalg.matrix_norm` over two, or by the dims of `input`.

    Without an order the norm of order 2 of all elements in `dim`, or of all. RuntimeError for an order
    with more than two dims, and for more than two in `dim`.

    >>> import pullback as torch
    >>> torch.linalg.norm(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), 2)
    tensor(4.)
    """
    check_tensors("linalg_norm", input=input)
    dims = (dim,) if isinstance(dim, int) else dim if dim is None else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if dims is None and ord is not None and not isinstance(ord, str) and input.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.ndim}D."
        )
    if isinstance(ord, str) or (ord is not None and (len(dims) == 2 if dims else input.ndim == 2)):
        return matrix_norm(input, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype, out=out)
    return _vector_norm(input, 2.0 if ord is None else ord, dims, keepdim, dtype, out=out)
