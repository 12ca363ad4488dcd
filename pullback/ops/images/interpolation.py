"""`interpolate`: images at another size.

All modes weigh a few elements along one dim after another: they differ in the weights only, so each is
a table of them (`AxisMap`) for `resample`. Positions are computed in the input's precision, as in
PyTorch. Read `_step`, then `_linear`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.types import Array, Dims
from pullback.ops.images.axis_maps import AxisMap, apply_maps, gather_map, mapped_shape, resample, take_axes
from pullback.ops.shared.batches import samples
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse

# ------------------------------------------------------------------------------- weights of one dim


def _step(n: int, out: int, factor: float | None, corners: bool) -> float:
    """How far apart the places of the result lie in the input."""
    if corners:
        return (n - 1) / (out - 1) if out > 1 else 0.0
    return 1 / factor if factor else n / out


def _positions(kind: Any, n: int, out: int, factor: float | None, corners: bool) -> Array:
    """Where the places of the result lie in the input."""
    scale, place = kind(_step(n, out, factor, corners)), np.arange(out, dtype=kind)
    return place * scale if corners else scale * (place + kind(0.5)) - kind(0.5)


def _nearest(kind: Any, n: int, out: int, factor: float | None, corners: bool) -> AxisMap:
    source = np.arange(out, dtype=np.float32) * np.float32(_step(n, out, factor, False))
    return gather_map(n, np.minimum(source.astype(np.int64), n - 1))


def _nearest_exact(kind: Any, n: int, out: int, factor: float | None, corners: bool) -> AxisMap:
    middle = np.arange(out, dtype=np.float32) + np.float32(0.5)
    source = middle * np.float32(_step(n, out, factor, False))
    return gather_map(n, np.minimum(source.astype(np.int64), n - 1))


def _weight_table(n: int, index: Array, weight: Array) -> AxisMap:
    """The map with a row of indices and weights for each place."""
    places, taps = index.shape
    return AxisMap(n, np.arange(places + 1) * taps, index.reshape(-1), weight.reshape(-1))


def _linear(kind: Any, n: int, out: int, factor: float | None, corners: bool) -> AxisMap:
    at = np.maximum(_positions(kind, n, out, factor, corners), 0)
    low = np.minimum(at.astype(np.int64), n - 1)
    share = np.clip(at - low.astype(kind), 0, 1)
    index = np.stack([low, np.minimum(low + 1, n - 1)], 1)
    return _weight_table(n, index, np.stack([1 - share, share], 1))


def _cubic_weight(x: Array, a: float) -> Array:
    """Keys' cubic kernel with slope `a` at one."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _cubic(kind: Any, n: int, out: int, factor: float | None, corners: bool) -> AxisMap:
    at = _positions(kind, n, out, factor, corners)
    low = np.floor(at)
    reach = np.arange(-1, 3)
    weight = _cubic_weight((at - low)[:, None] - reach.astype(kind), -0.75)
    return _weight_table(n, np.clip(low.astype(np.int64)[:, None] + reach, 0, n - 1), weight)


def _tent(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0)


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


def _antialiased(support: float, weigh: Callable[[Array], Array]) -> Callable[..., AxisMap]:
    """A filter that grows with the distance of the places, so that nothing in between is lost."""

    def make(kind: Any, n: int, out: int, factor: float | None, corners: bool) -> AxisMap:
        scale = _step(n, out, factor, corners)
        stretch = max(scale, 1.0)
        reach = support * stretch
        center = scale * (np.arange(out) + 0.5)
        first = np.maximum((center - reach + 0.5).astype(np.int64), 0)
        end = np.maximum(np.minimum((center + reach + 0.5).astype(np.int64), n), first + 1)
        counts = end - first
        start = np.concatenate([[0], np.cumsum(counts)])
        index = np.arange(start[-1]) - np.repeat(start[:-1] - first, counts)
        weight = weigh((index - np.repeat(center, counts) + 0.5) / stretch)
        total = np.add.reduceat(weight, start[:-1]) if len(weight) else weight
        return AxisMap(
            n, start, np.minimum(index, n - 1), weight / np.repeat(np.where(total, total, 1), counts)
        )

    return make


_WEIGHTS: dict[str, Callable[..., AxisMap]] = {
    "nearest": _nearest,
    "nearest-exact": _nearest_exact,
    "linear": _linear,
    "bilinear": _linear,
    "trilinear": _linear,
    "bicubic": _cubic,
    "bilinear smooth": _antialiased(1.0, _tent),
    "bicubic smooth": _antialiased(2.0, lambda x: _cubic_weight(x, -0.5)),
    "lanczos smooth": _antialiased(3.0, _lanczos),
}


@functools.lru_cache(1024)
def _maps(
    mode: str, kind: Any, size: tuple[int, ...], out: tuple[int, ...], factors: Any, corners: bool
) -> Any:
    """The maps of a mode for each dim."""
    factors = factors or (None,) * len(size)
    every = zip(size, out, factors, strict=True)
    return tuple([_WEIGHTS[mode](kind, n, m, factor, corners) for n, m, factor in every])


# ------------------------------------------------------------------------------------------ checks

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "lanczos": 2, "trilinear": 3}
_MODE_NAMES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"


def _value_per_dim(values: Any, what: str, spatial: list[int]) -> tuple[Any, ...]:
    """One value for each spatial dim, of `size` or `scale_factor`."""
    if not isinstance(values, (tuple, list)):
        return (values,) * len(spatial)
    if len(values) == len(spatial):
        return tuple(values)
    shown = ", ".join(f"{letter}{i + 1}" for i, letter in enumerate("dd")) + ", ...,dK"
    of, sizes = ("output size of", "output size") if what == "size" else ("scale_factor of shape", what)
    letter = "o" if what == "size" else "s"
    owner = "output" if what == "size" else "scale_factor"
    raise ValueError(
        f"Input and {owner} must have the same number of spatial dimensions, but got input with spatial "
        f"dimensions of {spatial} and {of} {values}. Please provide input tensor in (N, C, {shown}) format "
        f"and {sizes} in ({letter}1, {letter}2, ...,{letter}K) format."
    )


# ------------------------------------------------------------------------------------ what users call


def _with_short_weights(m: AxisMap) -> AxisMap:
    """The map with weights of 16 bits, as whole numbers are weighed by."""
    bits = 0
    while bits < 22 and int(0.5 + m.weight.max() * 2.0 ** (bits + 1)) < 1 << 15:
        bits += 1
    whole = np.trunc(m.weight * 2.0**bits + np.copysign(0.5, m.weight))
    return AxisMap(m.size, m.start, m.index, whole / 2.0**bits)


@op(places="", nondiff=True)
def resample_bytes(self: Array, maps: Any) -> Array:
    """`resample` of uint8, each dim rounded and kept within 0 and 255: the last comes first."""
    x = self
    for dim in reversed(range(len(maps))):
        alone = tuple([_with_short_weights(m) if d == dim else None for d, m in enumerate(maps)])
        x = np.clip(np.floor(apply_maps(x.astype(np.float64), alone) + 0.5), 0, 255).astype(np.uint8)
    return x


resample_bytes.meta(lambda self, maps: meta_array(mapped_shape(self, maps), self.dtype))
resample_bytes.batch(samples)


def _grad_name(mode: str, dims: int, smooth: bool) -> str:
    name = "".join(part.capitalize() for part in mode.split("-"))
    return f"Upsample{name}{dims}D{'Aa' if smooth else ''}Backward0"


def _resized_images(
    input: Tensor, mode: str, out: tuple[int, ...], factors: Any, corners: bool, smooth: bool
) -> Tensor:
    """`interpolate` after its checks."""
    shape, dims = tuple(input.shape), len(out)
    _check_resizing(shape, out)
    _check_resize_dtype(mode, smooth, input)
    kind = np.float64 if input.dtype.itemsize == 8 else np.float32
    maps = _maps(f"{mode} smooth" if smooth else mode, kind, shape[2:], out, factors, corners)
    if "nearest" in mode:
        return take_axes(input, maps, _grad_name(mode, dims, False))
    if input.dtype.kind != "f":
        return resample_bytes(input, maps)
    return resample(input, maps, _grad_name(mode, dims, smooth))


@public()
def interpolate(
    input: Tensor,
    size: Dims = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images (batch, channels, ...) of one to three dims at another size: `size`, or `scale_factor` times.

    `mode` is "nearest", "nearest-exact", "area" (means of windows), "linear" (1 dim), "bilinear" or
    "bicubic" (2 dims), "trilinear" (3 dims). `align_corners` puts the corner pixels on each other,
    `antialias` averages over what lies between the places (bilinear, bicubic, lanczos);
    `recompute_scale_factor` takes the factor from the rounded size. ValueError or NotImplementedError
    for arguments that do not go together. The gradient is spread by the same weights.

    >>> import pullback as torch
    >>> torch.nn.functional.interpolate(torch.tensor([[[1.0, 2.0]]]), size=4, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    shape = tuple(input.shape)
    _check_mode(mode, len(shape), align_corners, antialias)
    spatial = list(shape[2:])
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = None
    if size is not None:
        out = _value_per_dim(size, "size", spatial)
        if isinstance(size, (tuple, list)) and not all(hasattr(n, "__index__") for n in size):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], "
                f"but got size with types {[type(n) for n in size]}"
            )
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    else:
        factors = _value_per_dim(scale_factor, "scale_factor", spatial)
        out = tuple([math.floor(n * s) for n, s in zip(spatial, factors, strict=True)])
        if any(n >= 2**63 for n in out):
            raise RuntimeError("value cannot be converted to type int64_t without overflow")
        if recompute_scale_factor or mode == "area":
            factors = None
    _check_mode_dims(mode, len(shape))
    if mode == "area":
        return _AREA[len(spatial) - 1](input, out)
    factors = None if factors is None else tuple(map(float, factors))
    return _resized_images(input, mode, tuple(out), factors, bool(align_corners), antialias)


_AREA = (
    lambda input, out: ops.adaptive_avg_pool1d(input, out[0]),
    lambda input, out: ops.adaptive_avg_pool2d(input, out),
    lambda input, out: ops.adaptive_avg_pool3d(input, out),
)


def _warn(name: str) -> None:
    text = f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead."
    warn_each_time(text)


@function(places="", aliases=("nn.functional.upsample",))
def upsample(
    input: Tensor,
    size: Dims = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate`, by its former name."""
    _warn("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@function(places="", aliases=("nn.functional.upsample_nearest",))
def upsample_nearest(
    input: Tensor, size: Dims = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` with the mode "nearest"."""
    _warn("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


@function(places="", aliases=("nn.functional.upsample_bilinear",))
def upsample_bilinear(
    input: Tensor, size: Dims = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` with the mode "bilinear" and aligned corners."""
    _warn("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


@function(places="t")
def _upsample_bilinear2d_aa(
    input: Tensor,
    output_size: Sequence[int] | None,
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Tensor:
    """`interpolate` with the mode "bilinear" and antialias."""
    factors = tuple(scale_factors) if scale_factors is not None else (scales_h, scales_w)
    if output_size is None:
        output_size = [math.floor(n * s) for n, s in zip(input.shape[2:], factors, strict=True)]
    return _resized_images(input, "bilinear", tuple(output_size), factors, align_corners, True)


# ---------------------------------------------------------------------------------- what is refused


def _check_mode(mode: str, ndim: int, align_corners: bool | None, antialias: bool) -> None:
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            "linear | bilinear | bicubic | trilinear"
        )
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D "
            "tensor as input"
        )


def _check_mode_dims(mode: str, ndim: int) -> None:
    dims = _DIMS.get(mode, ndim - 2)
    known = mode in _DIMS or mode in ("nearest", "nearest-exact", "area")
    if ndim in (3, 4, 5) and mode in ("linear", "bilinear", "trilinear") and ndim != dims + 2:
        raise NotImplementedError(f"Got {ndim}D input, but {mode} mode needs {dims + 2}D input")
    if not known or ndim not in (3, 4, 5) or ndim != dims + 2:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: "
            f"{_MODE_NAMES} (got {mode})"
        )


def _check_resizing(shape: tuple[int, ...], out: tuple[int, ...]) -> None:
    axes, dims = "DHW"[3 - len(out) :], len(out)
    if min(out) <= 0 or min(shape[2:]) <= 0:
        given = ", ".join(f"{a}: {n}" for a, n in zip(axes, shape[2:], strict=True))
        made = ", ".join(f"{a}: {n}" for a, n in zip(axes, out, strict=True))
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({given}) output ({made})"
        )
    if 0 in shape[1:]:
        raise RuntimeError(
            f"Non-empty {dims + 2}D data tensor expected but got a tensor with sizes {list(shape)}"
        )


def _check_resize_dtype(mode: str, smooth: bool, input: Tensor) -> None:
    dims = len(input.shape) - 2
    name = "compute_indices_weights_" + mode.removesuffix("-exact").removeprefix("bi").removeprefix("tri")
    if smooth:
        name = "compute_index_ranges_weights"
    elif dims == 2 and mode != "bicubic":
        name = f"upsample_{mode.replace('-exact', '')}2d_channels_last"
    whole = ("uint8",) if "nearest" in mode or dims == 2 else ()
    refuse(name, input, also=whole, half=not smooth)
