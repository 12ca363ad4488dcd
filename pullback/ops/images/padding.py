"""`pad`: borders of numbers, of reflections, of the edge, or of the other end.

A border that repeats elements is a gather along each dim, so it is a `take_axes`; its gradient adds up
what was repeated. Borders of a constant are `constant_pad_nd` in `flip_roll_tile.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.types import Array
from pullback.ops.images.axis_maps import AxisMap, gather_map, take_axes
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse


def _padded_index(mode: str, n: int, left: int, right: int) -> Array:
    """The element that stands at each place of a padded dim of size n."""
    place = np.arange(-left, n + right)
    if mode == "replicate":
        return np.clip(place, 0, n - 1)
    if mode == "circular":  # what is cut off is not repeated either
        first, last = max(-left, 0), n - max(-right, 0)
        return (place - first) % (last - first) + first
    place = np.abs(place)
    return n - 1 - np.abs(n - 1 - place)


@functools.lru_cache(1024)
def _pad_maps(mode: str, shape: tuple[int, ...], pad: tuple[int, ...]) -> tuple[AxisMap | None, ...]:
    """The maps of a padding, after all checks."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    if mode == "circular":
        _check_circular(shape, pairs)
    else:
        if mode == "reflect" and 0 not in shape[-len(pairs) - 1 :]:
            _check_reflect(shape, pairs)
        _check_pad_size(shape, pairs)
    sizes = shape[len(shape) - len(pairs) :]
    return tuple(
        [
            None if a == b == 0 else gather_map(n, _padded_index(mode, n, a, b))
            for n, (a, b) in zip(sizes, reversed(pairs), strict=True)
        ]
    )


_PAD_NAMES = {"reflect": "reflection_pad", "replicate": "replication_pad"}


@public()
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with borders: two widths for each dim in `pad`, from the last dim backwards.

    `mode` is "constant" (borders of `value`, by default zero), "reflect" (mirrored, without the edge),
    "replicate" (the edge repeated) or "circular" (the other end); these pad the last one to three dims,
    behind a channel dim and perhaps a batch. Negative widths cut. RuntimeError for widths that do not
    fit. The gradients of repeated elements are added up.

    >>> import pullback as torch
    >>> torch.nn.functional.pad(torch.tensor([[1, 2, 3]]), (2, 1), mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    """
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad(): argument 'pad' (position 2) must be tuple of ints, not {type(pad).__name__}")
    for place, width in enumerate(pad):
        if type(width) is not int and not hasattr(width, "__index__"):
            raise TypeError(
                f"pad(): argument 'pad' failed to unpack the object at pos {place + 1} with error \"type "
                f'must be tuple of ints,but got {type(width).__name__}"'
            )
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if mode == "constant":
        return ops.constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    dims, ndim = len(pad) // 2, len(input.shape)
    if not 1 <= dims <= 3 or ndim not in (dims + 1, dims + 2):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    maps = _pad_maps(mode, tuple(input.shape), tuple(pad))
    if mode == "circular":
        return take_axes(input, maps, "CopySlices")
    refuse(f"{_PAD_NAMES[mode]}{dims}d", input, kinds="fciu")
    return take_axes(input, maps, f"{_PAD_NAMES[mode].title().replace('_', '')}{dims}DBackward0")


# ---------------------------------------------------------------------------------- what is refused


def _check_reflect(shape: tuple[int, ...], pairs: list[tuple[int, int]]) -> None:
    for k, (left, right) in enumerate(pairs):
        dim = len(shape) - 1 - k
        if max(left, right) >= shape[dim]:
            raise RuntimeError(
                f"Argument #{4 + 2 * k}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding ({left}, {right}) at dimension {dim} of input {list(shape)}"
            )


def _check_circular(shape: tuple[int, ...], pairs: list[tuple[int, int]]) -> None:
    for k, (left, right) in enumerate(pairs):
        n = shape[-1 - k]
        if left > n or right > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if n + left + right < 0 or n == 0:
            few = n + left + right < 0
            raise RuntimeError(
                "Negative padding value is resulting in an empty dimension"
                if few
                else "Padding value causes wrapping around more than once."
            )


def _check_pad_size(shape: tuple[int, ...], pairs: list[tuple[int, int]]) -> None:
    """Only the batch may be empty, and at least one place must be left in each dim."""
    dims = len(pairs)
    if 0 in shape[-dims - 1 :]:
        raise RuntimeError(
            f"Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with possibly 0 batch size and "
            f"other non-zero dimensions for input, but got: {list(shape)}"
        )
    made = [n + a + b for n, (a, b) in zip(shape[-dims:], reversed(pairs), strict=True)]
    if min(made) < 1:
        axes = "DHW"[3 - dims :]
        given = ", ".join(f"{a}: {n}" for a, n in zip(axes, shape[-dims:], strict=True))
        shown = " ".join(f"{a}: {n}" for a, n in zip(axes, made, strict=True))
        raise RuntimeError(f"input ({given}) is too small. Calculated output {shown}")
