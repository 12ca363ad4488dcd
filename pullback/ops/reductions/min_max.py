"""The largest and the smallest, where they stand, and `all` and `any`.

`max` is three functions: over everything, along a dim with indices, and of two tensors. The first two
are `_extremum`, which is `amax` and the minima too, and `_extremum_along`. A gradient goes to the
element that was picked where there are indices, and in equal parts to all that tie where there are
none.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import bool_, uint8
from pullback.core.meta import meta_array
from pullback.core.op import op
from pullback.core.types import Array, Dims
from pullback.kernels.reduce import RUNS
from pullback.ops.reductions.plans import fold_plan, fold_step, pick_plan
from pullback.ops.reductions.reduce import reduced_axes, reduced_shape, unsqueeze_reduced
from pullback.ops.shared.chains import Chain, Place, operand
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained, two_tensors


def evenly(g: Tensor, self: Tensor, result: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """A gradient shared out among the elements equal to the result, or NaN as it is."""
    result = unsqueeze_reduced(result, self.ndim, dim, keepdim)
    tied = (self == result) | ((self != self) & (result != result))
    share = unsqueeze_reduced(g, self.ndim, dim, keepdim) / ops.sum(tied, dim, True, dtype=g.dtype)
    return ops.where(tied, share, 0.0)


def to_picked(
    g: Tensor, shape: Any, dim: int, keepdim: bool, indices: Tensor, node: str = "ScatterBackward0"
) -> Tensor:
    """A gradient put where the indices of a reduction point, zero elsewhere."""
    if not shape:
        return g
    return ops.gather_sum(g, dim, indices, tuple(shape), node)


def picked(a: Array, axis: int, index: Array, keepdim: bool) -> tuple[Array, Array]:
    """The elements at an index per row, which has a dim of one, and the index."""
    values = np.take_along_axis(a, index, axis)
    return (values, index) if keepdim else (values.squeeze(axis), index.squeeze(axis))


def checked_axis(name: str, a: Array | Spec, dim: int, keepdim: bool) -> int:
    """The axis of a reduction along one dim; IndexError if that is empty."""
    if not isinstance(keepdim, bool):
        raise TypeError(f"keepdim must be bool, not {type(keepdim).__name__}")
    axis = wrap_dim(operator.index(dim), a.ndim)
    if a.ndim and not a.shape[axis]:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    return axis


class _Extremum(NamedTuple):
    """What a function takes the extremum by."""

    ufunc: Any
    node: str
    kernel: str  # what PyTorch's messages call it
    search: Any  # argmax or argmin
    run: str  # of kernels/reduce.h


def _argmin(a: Array, axis: int | None, keepdims: bool) -> Array:
    return np.argmin(a, axis, keepdims=keepdims)


_EXTREMA = {
    "max": _Extremum(np.maximum, "MaxBackward1", "max_all", np.argmax, "amax"),
    "min": _Extremum(np.minimum, "MinBackward1", "min_all", _argmin, "amin"),
    "amax": _Extremum(np.maximum, "AmaxBackward0", "max_values_cpu", np.argmax, "amax"),
    "amin": _Extremum(np.minimum, "AminBackward0", "min_values_cpu", _argmin, "amin"),
}


@op(name="extremum", places="", all_dims=True, piecewise=True)
def _extremum(self: Array, dim: Dims, keepdim: bool, function: str) -> Array:
    """The largest or smallest elements over dims, as `function` says: max, min, amax or amin."""
    axes = reduced_axes(dim, keepdim, self.ndim)
    return np.asarray(_EXTREMA[function].ufunc.reduce(self, axes, None, None, keepdim))


@_extremum.prepare
def _plan_extremum(self: Spec, dim: Dims, keepdim: bool, function: str) -> Plan:
    axes = reduced_axes(dim, keepdim, self.ndim)
    if axes is None and not self.size:
        raise RuntimeError(
            f"{function}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for axis in axes or ():
        if not self.shape[axis]:
            raise IndexError(f"{function}(): Expected reduction dim {axis} to have non-zero size.")
    if self.dtype.kind == "c":
        kernel = _EXTREMA[function].kernel
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{self.dtype.type_name}'")
    return fold_plan(_EXTREMA[function].run, self, axes, keepdim)


_extremum.variant = lambda saved: _EXTREMA[saved["function"]].node
_extremum.vjp(self=lambda g, self, result, dim, keepdim, function: evenly(g, self, result, dim, keepdim))


@op(name="extremum_dim", places="", piecewise=True)
def _extremum_along(self: Array, dim: int, keepdim: bool, function: str) -> tuple[Array, Array]:
    """The largest or smallest along a dim, and their indices: the first of equals, NaN over all."""
    if not self.ndim:
        return self.copy(), np.zeros((), np.int64)
    axis = wrap_dim(operator.index(dim), self.ndim)
    return picked(self, axis, _EXTREMA[function].search(self, axis, keepdims=True), keepdim)


@_extremum_along.prepare
def _plan_extremum_along(self: Spec, dim: int, keepdim: bool, function: str) -> Plan:
    axis = checked_axis(function, self, dim, keepdim)
    if self.dtype.kind == "c":
        raise RuntimeError(f"{function}(): does not support complex input")
    return pick_plan(f"{_EXTREMA[function].run}_pick", self, axis, keepdim, values=True)


_extremum_along.variant = lambda saved: f"{saved['function'].title()}Backward0"
_extremum_along.vjp(
    self=lambda g0, self_shape, dim, keepdim, result1, function: to_picked(
        g0, self_shape, dim, keepdim, result1
    )
)


def over_all(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The form of `max`, `min`, `all`, `any` and medians over all elements."""


def along_dim(
    input: Tensor, dim: int, keepdim: bool = False, *, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """The form of `max`, `min` and medians along a dim."""


def _max_or_min(name: str, pairwise: str, text: str) -> Any:
    """The public function with its three forms."""
    named, written = getattr(return_types, name), getattr(return_types, f"{name}_out")

    def extremum(
        input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None
    ) -> Any:
        if dim is None and other is None:
            if keepdim is not False:
                raise TypeError("keepdim needs a dim")
            return _extremum(input, None, False, name, out=out)
        if other is not None or isinstance(dim, Tensor):
            return getattr(ops, pairwise)(input, dim if other is None else other, out=out)
        if out is None:
            return named(_extremum_along(input, dim, keepdim, name))
        if isinstance(out, Tensor):
            raise TypeError("out must be tuple of Tensors, not Tensor")
        return written(_extremum_along(input, dim, keepdim, name, out=out))

    extremum.__name__ = extremum.__qualname__ = name
    extremum.__doc__ = text
    return explained(extremum, over_all, two_tensors, along_dim)


max = _max_or_min(
    "max",
    "maximum",
    """The largest element: of all; with `dim` along it, as `(values, indices)`; or of two tensors.

    NaN counts as largest. Along a dim the first of equals is taken and gets the gradient; over all,
    equals share it. RuntimeError where there is nothing to choose from.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 5.0], [7.0, 3.0]]).max(dim=1)
    torch.return_types.max(
    values=tensor([5., 7.]),
    indices=tensor([1, 0]))
    """,
)


min = _max_or_min(
    "min",
    "minimum",
    """The smallest element: of all; with `dim` along it, as `(values, indices)`; or of two tensors.

    NaN counts as smallest. Along a dim the first of equals is taken and gets the gradient; over
    all, equals share it. RuntimeError where there is nothing to choose from.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).min()
    tensor(1.)
    """,
)


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The largest elements over the dims `dim`, over all if it is None or empty.

    NaN wins over all. Elements that tie share the gradient in equal parts.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 4.0], [3.0, 2.0]]).amax(0)
    tensor([3., 4.])
    """
    return _extremum(input, dim, keepdim, "amax", out=out)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The smallest elements over the dims `dim`, over all if it is None or empty.

    NaN wins over all. Elements that tie share the gradient in equal parts.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 4.0], [3.0, 2.0]]).amin(0)
    tensor([1., 2.])
    """
    return _extremum(input, dim, keepdim, "amin", out=out)


amax, amin = explained(amax), explained(amin)


@op(name="aminmax", places="")
def _aminmax(self: Array, dim: int | None = None, keepdim: bool = False) -> tuple[Array, Array]:
    axes = reduced_axes(dim, keepdim, self.ndim)
    low = np.minimum.reduce(self, axes, None, None, keepdim)  # type: ignore[call-overload]  # the stub wants a literal
    return np.asarray(low), np.asarray(np.maximum.reduce(self, axes, None, None, keepdim))  # type: ignore[call-overload]  # the stub wants a literal


@_aminmax.prepare
def _plan_aminmax(self: Spec, dim: int | None, keepdim: bool) -> Plan:
    dim = dim if dim is None else operator.index(dim)
    axes = reduced_axes(dim, keepdim, self.ndim)
    if self.dtype.is_complex:
        raise NotImplementedError(f"\"aminmax_cpu\" not implemented for '{self.dtype.type_name}'")
    if dim is None and not self.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    if axes is not None and not self.shape[axes[0]]:
        raise IndexError(f"aminmax: Expected reduction dim {axes[0]} to have non-zero size.")
    result = Spec(self.dtype, reduced_shape(self.shape, dim, keepdim))
    if self.dtype.name not in RUNS["amin"]:
        return Plan((result, result))
    chain = Chain(1, (result, result))
    x = operand(Place(0), self, range(self.ndim))
    for number, name in enumerate(("amin", "amax")):
        step = fold_step(name, x, range(self.ndim) if axes is None else axes, self.itemsize)
        chain.add(step, x.place, chain.result(number))
    return chain.plan()


def _aminmax_vjp(
    grads: Any, self: Tensor, dim: int | None, keepdim: bool, result0: Tensor, result1: Tensor
) -> Tensor | None:
    parts = [
        evenly(g, self, result, dim, keepdim)
        for g, result in zip(grads, (result0, result1), strict=True)
        if g is not None
    ]
    return parts[0] + parts[1] if len(parts) == 2 else parts[0]


_aminmax.vjp(self=_aminmax_vjp)


def _public_aminmax(
    input: Tensor,
    *,
    dim: int | None = None,
    keepdim: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The smallest and the largest elements, `(min, max)`: of all, or along `dim`.

    Elements that tie share the gradient. RuntimeError where there is nothing.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0]).aminmax()
    torch.return_types.aminmax(
    min=tensor(1.),
    max=tensor(3.))
    """
    if out is None:
        return return_types.aminmax(_aminmax(input, dim, keepdim))
    return return_types.aminmax_out(_aminmax(input, dim, keepdim, out=out))


_public_aminmax.__name__ = "aminmax"
aminmax = explained(_public_aminmax)


def _argument(name: str, search: Any, run: str) -> Any:
    """`argmax` or `argmin`."""

    def kernel(self: Array, dim: int | None = None, keepdim: bool = False) -> Array:
        axis = None if dim is None or not self.ndim else wrap_dim(operator.index(dim), self.ndim)
        return np.asarray(search(self, axis, keepdims=keepdim))

    def plan(self: Spec, dim: int | None, keepdim: bool) -> Plan:
        if self.dtype.kind in "bc":
            kind = "bool" if self.dtype.kind == "b" else "complex"
            raise RuntimeError(f"{name}(): does not support {kind} input")
        if dim is None and not self.size:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        axis = None if dim is None else checked_axis(name, self, dim, keepdim)
        return pick_plan(f"{run}_pick", self, axis, keepdim, values=False)

    side, index = ("largest", 2) if name == "argmax" else ("smallest", 1)
    kernel.__doc__ = f"""The index of the {side} element among all, or along `dim`: int64.

    The first of equals is taken; NaN wins over all.

    >>> import pullback as torch
    >>> torch.tensor([2.0, 1.0, 3.0]).{name}()
    tensor({index})
    """
    kernel.__name__ = name
    record = op(name=name, places="", nondiff=True)(kernel)
    record.prepare(plan)
    return explained(record)


argmax = _argument("argmax", np.argmax, "amax")
argmin = _argument("argmin", _argmin, "amin")


def _over_dims(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """A form of `all` and `any`."""


def _over_dim(input: Tensor, dim: int, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Another one."""


def _truth(name: str, ufunc: Any) -> Any:
    """`all` or `any`. Unlike elsewhere an empty `dim` reduces nothing."""

    def kernel(self: Array, dim: Dims = None, keepdim: bool = False) -> Array:
        result = np.asarray(ufunc.reduce(self, axes_of(dim, keepdim, self.ndim), np.bool_, None, keepdim))
        return result.astype(np.uint8) if self.dtype == np.uint8 else result

    def plan(self: Spec, dim: Dims, keepdim: bool) -> Plan:
        made = self.dtype if self.dtype is uint8 else bool_
        return fold_plan(name, self, axes_of(dim, keepdim, self.ndim), keepdim, made)

    def axes_of(dim: Dims, keepdim: bool, ndim: int) -> tuple[int, ...] | None:
        empty = isinstance(dim, (tuple, list)) and not dim
        return () if empty else reduced_axes(dim, keepdim, ndim)

    kernel.__doc__ = f"""Whether {name} elements over the dims `dim`, or of all, are not zero.

    The result is bool, for uint8 input uint8. An empty `dim` tests each element.

    >>> import pullback as torch
    >>> torch.tensor([[True, False], [True, True]]).{name}(dim=0)
    tensor([{" True, False" if name == "all" else "True, True"}])
    """
    kernel.__name__ = name
    record = op(name=name, places="", nondiff=True, all_dims=True, allowed="bifch")(kernel)
    record.prepare(plan)
    return explained(record, over_all, _over_dims, _over_dim)


all = _truth("all", np.logical_and)
any = _truth("any", np.logical_or)


def _truth_of_batch(name: str, of: str, ufunc: Any) -> Any:
    """`_is_all_true` or `_is_any_true`: one answer for a whole batch, so that checks may ask for it."""

    def kernel(self: Array) -> Array:
        if self.dtype != np.bool_:
            raise RuntimeError(f"{name} expects a tensor of bools, but got {self.dtype}")
        return np.asarray(ufunc.reduce(self, None))

    kernel.__doc__ = f"""Whether {of} elements of bools are True, under `vmap` those of all samples.

    >>> import pullback as torch
    >>> torch.{name}(torch.tensor([True, False]))
    tensor({name == "_is_any_true"})
    """
    kernel.__name__ = name
    record = op(name=name, nondiff=True)(kernel)
    record.batch(lambda level, op, self: op(level.front(self)))
    record.meta(lambda self: meta_array((), np.dtype(np.bool_)))
    return record


is_all_true = _truth_of_batch("_is_all_true", "all", np.logical_and)
is_any_true = _truth_of_batch("_is_any_true", "any", np.logical_or)
