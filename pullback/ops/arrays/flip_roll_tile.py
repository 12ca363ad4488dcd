"""Copies with the elements in other places: reversed, rolled, rotated, repeated, cut to triangles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import contiguous_format
from pullback.core.op import function, op
from pullback.core.strides import preserved_strides
from pullback.core.types import Array, Ints, Number, Size
from pullback.kernels.moves import RUNS
from pullback.ops.shared.batches import padded, shifted
from pullback.ops.shared.dims import one_or_many, wrap_dim, wrap_dims
from pullback.ops.shared.flat_indices import WHOLE, compact
from pullback.ops.shared.pieces import Outline, Pieces, assembled, plan_by


@op(moves=True, linear=True)
def flip(self: Array, dims: Size) -> Array:
    """`self` with the order of elements reversed in some dimensions: a copy.

    The gradient is reversed likewise.

    >>> import pullback as torch
    >>> torch.flip(torch.arange(4).view(2, 2), (1,))
    tensor([[1, 0],
            [3, 2]])
    """
    return assembled(_flipped(self, dims), self.dtype)


def _flipped(self: Array, dims: Any) -> Pieces:
    axes = wrap_dims(dims, self.ndim)
    turned = np.flip(self, axes) if self.ndim else self
    return Pieces(self.shape, [(..., turned)], strides=preserved_strides(self))


flip.prepare(plan_by(_flipped))
flip.vjp(self=lambda g, dims: flip(g, dims))


@function()
def fliplr(input: Tensor) -> Tensor:
    """`input` reversed in dimension 1."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


@function()
def flipud(input: Tensor) -> Tensor:
    """`input` reversed in dimension 0."""
    if not input.ndim:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


@op(moves=True, linear=True, layout="F")
def roll(self: Array, shifts: Ints, dims: Ints = ()) -> Array:
    """`self` with the elements moved by `shifts` along `dims`, those that leave entering behind.

    Without dimensions the flattened tensor is rolled. The gradient is rolled back.

    >>> import pullback as torch
    >>> torch.arange(4).roll(1)
    tensor([3, 0, 1, 2])
    """
    return assembled(_rolled(self, shifts, dims), self.dtype)


def _rolled(self: Array, shifts: Any, dims: Any) -> Pieces:
    shifts, dims = _checked_roll(self, shifts, dims)
    shape = self.shape
    if not dims:
        if not self.flags.c_contiguous and isinstance(self, Outline):
            return Pieces(shape, None)
        self, dims = compact(self).reshape(-1), (0,)
    copies: list[tuple[tuple[slice, ...], Array]] = [((), self)]
    for dim in range(self.ndim):
        n = self.shape[dim]
        shift = sum(s for s, d in zip(shifts, dims, strict=True) if d == dim) % max(n, 1)
        ends = [(slice(shift, None), slice(0, n - shift)), (slice(0, shift), slice(n - shift, None))]
        copies = [
            ((*key, to), piece[(WHOLE,) * dim + (there,)])
            for key, piece in copies
            for to, there in (ends if shift else [(WHOLE, WHOLE)])
        ]
    return Pieces(shape, copies, seen=self.shape)


def _checked_roll(self: Array, shifts: Any, dims: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shifts and dims, counted from the front; no dims for the flattened tensor."""
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return shifts, ()
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not self.ndim:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return shifts, tuple(wrap_dim(d, self.ndim) for d in dims)


roll.prepare(plan_by(_rolled))


def _unflipped(shifts: Any) -> Any:
    return -shifts if isinstance(shifts, int) else tuple(-n for n in shifts)


roll.vjp(self=lambda g, shifts, dims: roll(g, _unflipped(shifts), dims))


@op(moves=True, linear=True)
def rot90(self: Array, k: int = 1, dims: Sequence[int] = (0, 1)) -> Array:
    """`self` turned `k` times by a quarter in the plane of two dimensions, from the first to the second.

    The gradient is turned back.

    >>> import pullback as torch
    >>> torch.arange(4).view(2, 2).rot90()
    tensor([[1, 3],
            [0, 2]])
    """
    return assembled(_turned(self, k, dims), self.dtype)


def _turned(self: Array, k: int, dims: Any) -> Pieces:
    first, second = _checked_plane(self, dims)
    turned, strides = np.rot90(self, k, (first, second)), list(preserved_strides(self))
    if k % 2:  # as a flip, which keeps the order of dims, and a transpose
        strides[first], strides[second] = strides[second], strides[first]
    return Pieces(turned.shape, [(..., turned)], strides=tuple(strides))


rot90.prepare(plan_by(_turned))


def _checked_plane(self: Array, dims: Any) -> tuple[int, int]:
    """The two dims, counted from the front."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if self.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {self.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == self.ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    first, second = (wrap_dim(d, self.ndim) for d in dims)
    return first, second


rot90.vjp(self=lambda g, k, dims: rot90(g, -k, dims))


@rot90.batch
def _rot90_batch(level: Any, op: Op, self: Any, k: int, dims: Any) -> Any:
    return level.wrap(op(self.physical, k, shifted(tuple(dims), self.ndim)))


# --------------------------------------------------------------------------------- repetitions


@op(name="repeat", places="", moves=True)
def _repeat(self: Array, repeats: Sequence[int]) -> Array:
    """`self` put side by side with itself."""
    return assembled(_repeated(self, repeats), self.dtype)


def _repeated(self: Array, repeats: Any) -> Pieces:
    shape = (1,) * (len(repeats) - self.ndim) + self.shape
    seen = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    each = self.reshape(shape)[(None, WHOLE) * len(shape)] if shape else self
    return Pieces([n * count for n, count in zip(shape, repeats, strict=True)], [(..., each)], seen=seen)


_repeat.prepare(plan_by(_repeated))


@_repeat.joint_vjp
def _repeat_rule(g: Any, self_shape: Any, repeats: Any, needs: Any) -> Any:
    shape = (1,) * (len(repeats) - len(self_shape)) + tuple(self_shape)
    split = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    if not split:
        return (g,)
    total = ops.sum(ops.reshape(g, split), tuple(range(0, len(split), 2)))
    return (ops.reshape(total, self_shape),)


@_repeat.batch
def _repeat_batch(level: Any, op: Op, self: Any, repeats: Any) -> Any:
    if len(repeats) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    return level.wrap(op(padded(self.physical, len(repeats)), (1, *repeats)))


@function(places="m")
def repeat(input: Tensor, *sizes: int | Sequence[int], repeats: Sequence[int] | None = None) -> Tensor:
    """`input` repeated so many times along each dimension, new ones in front: a copy.

    RuntimeError for fewer numbers than dimensions. The gradient is summed over the repetitions.

    >>> import pullback as torch
    >>> torch.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = one_or_many(sizes if repeats is None else (repeats,))
    if len(times) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    shape = (1,) * (len(times) - input.ndim) + tuple(input.shape)
    whole = [n * m for n, m in zip(times, shape, strict=True)]
    for n in whole:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {whole}")
    return _repeat(input, times)


@function()
def tile(input: Tensor, *sizes: int | Sequence[int], dims: Sequence[int] | None = None) -> Tensor:
    """`repeat` where missing numbers count as 1."""
    times = one_or_many(sizes if dims is None else (dims,))
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def _repeated_places(repeats: Any) -> Any:
    """Each index as often as `repeats` says."""
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype.name not in ("int64", "int32"):
        raise NotImplementedError(
            f"\"repeat_interleave_cpu\" not implemented for '{repeats.dtype.type_name}'"
        )
    if repeats.is_meta:
        raise RuntimeError("cannot repeat_interleave a meta tensor without output_size")
    return _repeat_counts(repeats)


@op(name="repeat_interleave", places="", nondiff=True)
def _repeat_counts(self: Array) -> Any:
    if (self < 0).any():
        raise RuntimeError("repeats can not be negative")
    return np.repeat(np.arange(len(self)), self)


@function(name="repeat_interleave")
def repeat_interleave(
    input: Tensor,
    repeats: Tensor | int | None = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Each element, or each index of dimension `dim`, repeated in place.

    `repeats` is a number or a tensor with one for each index; without a dimension the input is
    flattened. RuntimeError for negative numbers. The gradient is summed over the repetitions.

    >>> import pullback as torch
    >>> torch.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        return _repeated_places(input)
    if dim is None:
        input, dim = ops.flatten(input), 0
    if isinstance(repeats, Tensor) and repeats.numel() == 1:
        repeats = repeats.item()
    dim = wrap_dim(dim, input.ndim)
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        shape = list(input.shape) or [1]
        wide = ops.expand(
            ops.unsqueeze(input, dim + 1 if input.ndim else 0),
            (*shape[: dim + 1], repeats, *shape[dim + 1 :]),
        )
        copy = ops.clone(wide, contiguous_format)
        shape[dim] *= repeats
        return ops.view(copy, shape)
    size = input.shape[dim] if input.ndim else 1
    if repeats.shape[0] != size:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats.shape[0]} and input.size({dim}) = {size}"
        )
    return ops.index_select(input, dim, _repeated_places(repeats))


# ----------------------------------------------------------------------------------- triangles


def _triangle(self: Array, diagonal: int, lower: bool) -> Array:
    """Matrices with what is above (or else below) a diagonal replaced by zeros."""
    rows, columns = self.shape[-2:]
    inside = np.tri(rows, columns, diagonal if lower else diagonal - 1, dtype=bool)
    whole = np.zeros(self.shape, self.dtype)
    np.copyto(whole, self, where=inside if lower else ~inside)
    return whole


def _plan_triangle(name: str, self: Spec, diagonal: int, lower: bool) -> Plan:
    if self.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    item, strides = self.dtype.itemsize, self.strides or ()
    outer = [n for pair in zip(self.shape[:-2], strides, strict=False) for n in pair]
    geometry = (int(lower), diagonal, *self.shape[-2:], *strides[-2:], self.ndim - 2, *outer)
    result = Spec(self.dtype, self.shape)
    return Plan(result, RUNS["triangle"][item], geometry, math.prod(self.shape[:-1]))


@op(places="tmi", moves=True, linear=True, batch="leading")
def tril(self: Array, diagonal: int = 0) -> Array:
    """The lower triangles of matrices, zeros elsewhere.

    `diagonal` moves the border up (positive) or down. The gradient is cut likewise.

    >>> import pullback as torch
    >>> torch.tril(torch.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle(self, diagonal, True)


@op(places="tmi", moves=True, linear=True, batch="leading")
def triu(self: Array, diagonal: int = 0) -> Array:
    """The upper triangles of matrices, zeros elsewhere.

    `diagonal` moves the border up (positive) or down. The gradient is cut likewise.

    >>> import pullback as torch
    >>> torch.triu(torch.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle(self, diagonal, False)


tril.prepare(lambda self, diagonal: _plan_triangle("tril", self, diagonal, True))
triu.prepare(lambda self, diagonal: _plan_triangle("triu", self, diagonal, False))
tril.vjp(self=lambda g, diagonal: tril(g, diagonal))
triu.vjp(self=lambda g, diagonal: triu(g, diagonal))


# ------------------------------------------------------------------------------------- borders


@op(places="t", moves=True, linear=True, layout="F")
def constant_pad_nd(self: Array, pad: Sequence[int], value: Number = 0) -> Array:
    """`self` with a border of `value`; negative widths cut.

    `pad` has two widths for each dimension, from the last backwards. The gradient is that of the
    inner part.

    >>> import pullback as torch
    >>> torch.constant_pad_nd(torch.tensor([1, 2]), (1, 2))
    tensor([0, 1, 2, 0, 0])
    """
    return assembled(_bordered(self, pad, value), self.dtype)


def _bordered(self: Array, pad: Any, value: Any) -> Pieces:
    pairs = _checked_pad(self, pad)
    shape = [n + a + b for (a, b), n in zip(pairs, self.shape, strict=True)]
    inner = self[
        tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, self.shape, strict=True))
    ]
    place = tuple(slice(max(a, 0), m - max(b, 0)) for (a, b), m in zip(pairs, shape, strict=True))
    return Pieces(shape, [(place, inner)], value)


def _checked_pad(self: Array, pad: Any) -> list[tuple[int, int]]:
    """The widths before and after each dim."""
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * self.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)} while the input has {self.ndim} dimensions."
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = ([(0, 0)] * (self.ndim - len(pairs))) + pairs[::-1]
    for d, ((a, b), n) in enumerate(zip(widths, self.shape, strict=True)):
        if n + a + b < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {a} and {b} resulted in a negative output "
                f"size, which is invalid. Check dimension {d} of your input."
            )
        if n + min(a, 0) + min(b, 0) < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
    return widths


constant_pad_nd.prepare(plan_by(_bordered))
constant_pad_nd.vjp(self=lambda g, pad: constant_pad_nd(g, [-n for n in pad], 0))


@constant_pad_nd.jvp
def _pad_tangent(self: Any, pad: Any, value: Any) -> Any:
    return constant_pad_nd(self, pad, 0)


@constant_pad_nd.batch
def _pad_batch(level: Any, op: Op, self: Any, pad: Any, value: Any) -> Any:
    if len(pad) > 2 * self.ndim:
        return NotImplemented  # the message for a sample
    return level.wrap(op(self.physical, pad, value))
