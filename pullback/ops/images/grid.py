"""Images sampled at the places of a grid, with derivatives of every order: grid_sample, affine_grid.

Three ops, one family: `grid_samples` (the values), `grid_scatter` (its transpose in the image) and
`grid_slopes` (its derivative in the coordinates). Each takes an `order`, which derivative of the weights
of each dim is meant, so each is a derivative of the others. Read their rules, then `grid_sample`. The
loops are in `kernels/grid.h`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.types import Array
from pullback.kernels import grid as grids
from pullback.kernels.steps import call
from pullback.ops.shared.batches import samples
from pullback.ops.shared.chains import Chain, Step
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse

Order = tuple[int, ...]
"""Which derivative of the weights of each spatial dim, in the order of the image."""


@op(places="")
def grid_samples(self: Array, grid: Array, mode: int, padding: int, corners: bool, order: Order) -> Array:
    """The values of images (n, c, ...) at the places of grids (n, ..., dims): (n, c, ...)."""
    y = np.empty((*self.shape[:2], *grid.shape[1:-1]), self.dtype)
    return _computed("samples", (self, grid), y, _geometry(self, grid, mode, padding, corners, order))


@op(places="")
def grid_scatter(
    self: Array, grid: Array, size: tuple[int, ...], mode: int, padding: int, corners: bool, order: Order
) -> Array:
    """Values at the places of grids, added into the pixels of images of a size, by the same weights."""
    x = np.empty((*self.shape[:2], *size), self.dtype)
    return _computed("scatter", (self, grid), x, _geometry(x, grid, mode, padding, corners, order))


@op(places="")
def grid_slopes(
    self: Array, image: Array, grid: Array, mode: int, padding: int, corners: bool, order: Order
) -> Array:
    """The derivative of `sum(self * samples)` with respect to each coordinate of the grid."""
    geometry = _geometry(image, grid, mode, padding, corners, order)
    return _computed("slopes", (self, image, grid), np.empty(grid.shape, grid.dtype), geometry)


_MOST_PIXELS = 2**31 - 1


def _geometry(
    image: Array | Spec, grid: Array | Spec, mode: int, padding: int, corners: bool, order: Order
) -> tuple[int, ...]:
    """What grid.h calls a pb_image."""
    _, channels, *size = image.shape
    if math.prod(size) > _MOST_PIXELS:
        raise RuntimeError(f"grid_sampler(): images of more than {_MOST_PIXELS} pixels are not supported")
    none = 3 - len(size)
    places = math.prod(grid.shape[1:-1])
    head = (*(1,) * none, *size, places, channels, len(size), mode, padding, int(corners))
    return (*head, *(0,) * none, *order)


def _computed(name: str, inputs: tuple[Array, ...], result: Array, geometry: tuple[int, ...]) -> Array:
    """A run on arrays, of which each part is one of the first dim."""
    plain = [np.ascontiguousarray(a) for a in inputs]
    call(grids.RUNS[name][result.dtype.name], geometry, (*plain, result), len(result))
    return result


def _planned(name: str, inputs: tuple[Spec, ...], result: Spec, geometry: tuple[int, ...]) -> Plan:
    """The plan of the same."""
    chain = Chain(len(inputs), result)
    places = [chain.floats(number, spec) for number, spec in enumerate(inputs)]
    chain.add_floats(lambda kind: Step(grids.RUNS[name][kind.name], geometry, result.shape[0]), *places)
    return chain.plan()


@grid_samples.prepare
def _plan_samples(self: Spec, grid: Spec, mode: int, padding: int, corners: bool, order: Order) -> Plan:
    result = Spec(self.dtype, (*self.shape[:2], *grid.shape[1:-1]))
    return _planned("samples", (self, grid), result, _geometry(self, grid, mode, padding, corners, order))


@grid_scatter.prepare
def _plan_scatter(
    self: Spec, grid: Spec, size: tuple[int, ...], mode: int, padding: int, corners: bool, order: Order
) -> Plan:
    result = Spec(self.dtype, (*self.shape[:2], *size))
    return _planned("scatter", (self, grid), result, _geometry(result, grid, mode, padding, corners, order))


@grid_slopes.prepare
def _plan_slopes(
    self: Spec, image: Spec, grid: Spec, mode: int, padding: int, corners: bool, order: Order
) -> Plan:
    geometry = _geometry(image, grid, mode, padding, corners, order)
    return _planned("slopes", (self, image, grid), Spec(grid.dtype, grid.shape), geometry)


def _parts(h: Tensor, order: Order) -> list[tuple[Tensor, Order]]:
    """The part of each coordinate in a cotangent of the grid, as a channel, and the order it raises."""
    dims = len(order)  # coordinates stand the other way round: w, h, d
    raised = [tuple(n + (d == dims - 1 - a) for d, n in enumerate(order)) for a in range(dims)]
    return [(ops.unsqueeze(ops.select(h, -1, a), 1), raised[a]) for a in range(dims)]


def _total(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


grid_samples.vjp(
    self=lambda g, grid, self_shape, mode, padding, corners, order: grid_scatter(
        g, grid, tuple(self_shape[2:]), mode, padding, corners, order
    ),
    grid=lambda g, self, grid, mode, padding, corners, order: grid_slopes(
        g, self, grid, mode, padding, corners, order
    ),
)
grid_scatter.vjp(
    self=lambda g, grid, mode, padding, corners, order: grid_samples(g, grid, mode, padding, corners, order),
    grid=lambda g, self, grid, mode, padding, corners, order: grid_slopes(
        self, g, grid, mode, padding, corners, order
    ),
)
grid_slopes.vjp(
    self=lambda g, image, grid, mode, padding, corners, order: _total(
        [part * grid_samples(image, grid, mode, padding, corners, up) for part, up in _parts(g, order)]
    ),
    image=lambda g, self, image_shape, grid, mode, padding, corners, order: _total(
        [
            grid_scatter(self * part, grid, tuple(image_shape[2:]), mode, padding, corners, up)
            for part, up in _parts(g, order)
        ]
    ),
    grid=lambda g, self, image, grid, mode, padding, corners, order: _total(
        [grid_slopes(self * part, image, grid, mode, padding, corners, up) for part, up in _parts(g, order)]
    ),
)
grid_scatter.variant = grid_slopes.variant = lambda saved: (
    f"GridSampler{len(saved['order'])}DBackwardBackward0"
)
grid_samples.variant = lambda saved: (
    f"GridSampler{len(saved['order'])}DBackward{'Backward' * any(saved['order'])}0"
)

_BICUBIC = 2


@function(places="t")
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with numbers for its modes: 0, 1, 2 in the order of its documentation.

    >>> import pullback as torch
    >>> torch.grid_sampler(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 1, 2), 0, 0, False)
    tensor([[[[1.]]]])
    """
    _check_grid(input, grid, interpolation_mode)
    dims = len(input.shape) - 2
    order = (0,) * dims
    return grid_samples(input, grid, interpolation_mode, padding_mode, bool(align_corners), order)


@function(places="t")
def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of images."""
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@function(places="t")
def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of volumes."""
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


_GRID_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


def _corners(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warn_each_time(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
            "Please specify align_corners=True if the old behavior is desired. See the documentation of "
            f"{name} for details.",
        )
    return bool(align_corners)


@public()
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images (n, c, h, w) at the places of grids (n, ..., 2), or volumes at those of (n, ..., 3).

    A place is (x, y) or (x, y, z) in [-1, 1], from one end of the image to the other: the middle of its
    corner pixels with `align_corners`, else their outer edges. `mode` is "bilinear" (trilinear for
    volumes), "nearest" or "bicubic" (images only); `padding_mode` says what lies outside: "zeros",
    "border" (the nearest pixel) or "reflection". ValueError for another mode, RuntimeError for shapes
    that do not go together. It is differentiable in both, to any order.

    >>> import pullback as torch
    >>> image, middle = torch.arange(4.0).view(1, 1, 2, 2), torch.zeros(1, 1, 1, 2)
    >>> torch.nn.functional.grid_sample(image, middle, align_corners=False)
    tensor([[[[1.5000]]]])
    """
    if mode not in _GRID_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but "
            f"got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    corners = _corners("grid_sample", align_corners)
    return grid_sampler(input, grid, _GRID_MODES[mode], _PADDINGS[padding_mode], corners)


# ------------------------------------------------------------------------------------- affine_grid


@op(places="", grad_name="AffineGridGeneratorBackward0", linear=True)
def affine_places(self: Array, size: tuple[int, ...], corners: bool) -> Array:
    """The places of all pixels, moved by matrices (n, dims, dims + 1): (n, *size, dims)."""
    y = np.empty((len(self), *size, len(size)), self.dtype)
    return _computed("affine_places", (self,), y, _affine_geometry(size, corners))


@op(places="", grad_name="AffineGridGeneratorBackwardBackward0", linear=True)
def affine_matrices(self: Array, corners: bool) -> Array:
    """The transpose: matrices, from a cotangent of their places."""
    size = self.shape[1:-1]
    matrices = np.empty((len(self), len(size), len(size) + 1), self.dtype)
    return _computed("affine_matrices", (self,), matrices, _affine_geometry(size, corners))


def _affine_geometry(size: tuple[int, ...], corners: bool) -> tuple[int, ...]:
    return (*(1,) * (3 - len(size)), *size, len(size), int(corners))


@affine_places.prepare
def _plan_affine_places(self: Spec, size: tuple[int, ...], corners: bool) -> Plan:
    result = Spec(self.dtype, (self.shape[0], *size, len(size)))
    return _planned("affine_places", (self,), result, _affine_geometry(size, corners))


@affine_matrices.prepare
def _plan_affine_matrices(self: Spec, corners: bool) -> Plan:
    size = self.shape[1:-1]
    result = Spec(self.dtype, (self.shape[0], len(size), len(size) + 1))
    return _planned("affine_matrices", (self,), result, _affine_geometry(size, corners))


for _record in (grid_samples, grid_scatter, grid_slopes, affine_places, affine_matrices):
    _record.batch(samples)
affine_places.vjp(self=lambda g, corners: affine_matrices(g, corners))
affine_matrices.vjp(self=lambda g, self_shape, corners: affine_places(g, tuple(self_shape[1:-1]), corners))


@function(places="t")
def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """`affine_grid` without its checks."""
    size = tuple([index(n) for n in size])
    if len(theta) != size[0]:
        columns = len(size) - 1
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{size[0]}, {columns}] but "
            f"got: [{len(theta)}, {columns}]."
        )
    return affine_places(theta, size[2:], bool(align_corners))


@public()
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Grids for `grid_sample` that move images by affine matrices: (n, 2, 3), or (n, 3, 4) for volumes.

    `size` is that of the result of `grid_sample`: (n, c, h, w) or (n, c, d, h, w). ValueError for
    matrices and sizes that do not go together. The gradient is linear in that of the grid.

    >>> import pullback as torch
    >>> turn = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    >>> torch.nn.functional.affine_grid(turn, (1, 1, 2, 2), align_corners=True).shape
    torch.Size([1, 2, 2, 2])
    """
    if theta.dtype.kind != "f":
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(size)
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {size}."
        )
    dims = len(size) - 2
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (dims, dims + 1):
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {size}. "
            f"Got {theta.shape}."
        )
    corners = _corners("affine_grid", align_corners)
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if corners and 1 in size[2:]:
        warn_each_time(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the documentation of "
            "affine_grid for details.",
        )
    return affine_grid_generator(theta, size, corners)


# ---------------------------------------------------------------------------------- what is refused


def _check_grid(input: Tensor, grid: Tensor, mode: int) -> None:
    """Shapes and dtypes that go together; RuntimeError in PyTorch's words if they do not."""
    shape, places = list(input.shape), list(grid.shape)
    dims = len(shape) - 2
    if shape[:1] != places[:1]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{shape} and grid with sizes {places}"
        )
    if places[-1] != dims and (len(places) == len(shape) or dims not in (2, 3)):
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {dims} in last dimension, but got grid with sizes "
            f"{places}"
        )
    for d in range(2, len(shape)):
        if not shape[d]:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{shape} with dimension {d} being empty"
            )
    if dims not in (2, 3) or len(places) != len(shape):
        kind = f"{dims + 2}D" if dims in (2, 3) else "4D or 5D"
        raise RuntimeError(
            f"grid_sampler(): expected {kind} input and grid with same number of dimensions, but got "
            f"input with sizes {shape} and grid with sizes {places}"
        )
    if mode == _BICUBIC and dims == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    refuse("grid_sampler_2d_cpu_kernel_impl" if dims == 2 else "grid_sampler3d_cpu", input)
    if input.dtype is not grid.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype.type_name} but found {grid.dtype.type_name}")
