"""`torch.gradient`: slopes of a function known at points of a grid, by finite differences.

Inside the slope is that of the parabola through a point and its neighbours, exact for any spacing; at
the ends that of the line through two points, or with `edge_order=2` of the parabola through three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import number_dtype
from pullback.ops.shared.dims import wrap_dims
from pullback.ops.shared.forms import explained


def _spacings(input: Tensor, spacing: Any, dim: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The dims to differentiate along, and for each a step or the points' coordinates."""
    dims = wrap_dims(dim, input.ndim)
    if dim is not None and not isinstance(dim, int):
        dims = tuple(d % input.ndim for d in dim)
    if spacing is None or number_dtype(spacing) is not None:
        return dims, [1 if spacing is None else spacing] * len(dims)
    spacing = list(spacing)
    if len(spacing) != len(dims):
        if dim is None:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to "
                f"'self.dim() = {input.ndim}', since dim argument was not given, but got a list of length "
                f"{len(spacing)}"
            )
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments "
            f"to have the same length, but got a spacing argument of length {len(spacing)} and a dim "
            f"argument of length {len(dims)}."
        )
    devices = {points.device for points in spacing if isinstance(points, Tensor)} - {input.device}
    if devices:
        raise RuntimeError(
            "torch.gradient expected each tensor to be on the same device, but got devices "
            f"{input.device} and {devices.pop()}!"
        )
    for points in spacing:
        if isinstance(points, Tensor) and points.ndim != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element "
                f"with {points.ndim} dimensions!"
            )
    return dims, spacing


def _steps(x: Tensor, dim: int, spacing: Any) -> tuple[Any, Any]:
    """The distances to the point before and to the point behind each inner point."""
    if not isinstance(spacing, Tensor):
        return spacing, spacing
    steps = ops.diff(spacing)
    shape = [-1 if d == dim else 1 for d in range(x.ndim)]
    n = steps.shape[0]
    before, behind = ops.narrow(steps, 0, 0, n - 1), ops.narrow(steps, 0, 1, n - 1)
    return ops.reshape(before, shape), ops.reshape(behind, shape)


def _edge(x: Tensor, dim: int, spacing: Any, edge_order: int, side: int) -> Tensor:
    """The slope at the first (side 1) or the last point (side -1)."""
    n = x.shape[dim]
    points = range(edge_order + 1) if side > 0 else range(n - 1, n - 2 - edge_order, -1)
    values = [ops.narrow(x, dim, i, 1) for i in points]
    uneven = isinstance(spacing, Tensor)
    first = spacing[points[1]] - spacing[points[0]] if uneven else spacing * side
    near = (values[1] - values[0]) / first if side > 0 else (values[0] - values[1]) / -first
    if edge_order == 1:
        return near
    second = spacing[points[2]] - spacing[points[1]] if uneven else first
    far = (values[2] - values[1]) / second
    return near - (far - near) * first / (first + second)


def _slopes_along(x: Tensor, dim: int, spacing: Any, edge_order: int) -> Tensor:
    n = x.shape[dim]
    left, middle, right = (ops.narrow(x, dim, i, n - 2) for i in range(3))
    if isinstance(spacing, Tensor):
        before, behind = _steps(x, dim, spacing)
        down, up = (middle - left) / before, (right - middle) / behind
        inner = (down * behind + up * before) / (before + behind)
    else:
        inner = (right - left) / (spacing * 2)
    edges = [_edge(x, dim, spacing, edge_order, side) for side in (1, -1)]
    return ops.cat([edges[0], inner, edges[1]], dim)


def gradient(
    input: Tensor, *, spacing: Any = None, dim: int | Sequence[int] | None = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The slopes along each of `dim`, along all if None: a tuple of tensors of the input's shape.

    `spacing` is the distance of the points, one for each dim, or 1-dim tensors with their coordinates.
    The error is of second order inside, at the ends of `edge_order`, 1 or 2. RuntimeError for fewer than
    `edge_order + 1` points.

    >>> import pullback as torch
    >>> torch.gradient(torch.tensor([1.0, 4.0, 9.0]))
    (tensor([3., 4., 5.]),)
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    dims, spacings = _spacings(input, spacing, dim)
    if input.dtype.name == "uint8":
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if any(input.shape[d] < edge_order + 1 for d in dims if input.ndim):
        raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple(_slopes_along(input, d, step, edge_order) for d, step in zip(dims, spacings, strict=True))


gradient = explained(gradient, places="t")
