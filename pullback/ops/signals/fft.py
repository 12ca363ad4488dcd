"""Discrete Fourier transforms.

Three ops do the work: complex to complex, real to complex, and the half of a Hermitian spectrum to
real, each over several dims, by SciPy in the precision given. All functions of `torch.fft` cut or pad
their input and call one. The derivative of a transform is a transform in the other direction.
`scale` is what a sum over n points is divided by: 0 nothing, 1 the square root of n, 2 n.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, conj, write_out
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype, get_default_dtype
from pullback.core.op import function, op
from pullback.core.strides import ordered_strides
from pullback.core.types import Array, Dims
from pullback.kernels.fft import RUNS
from pullback.ops.arrays.create import Options, created
from pullback.ops.shared.chains import Chain, Operand, Place, Step, bits_of, merged, operand
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained

Axes = tuple[int, ...]

LARGEST_FACTOR, MOST_POINTS = 127, 2048
"""Points that kernels/fft.h is made for: those with larger factors, and more of them, are left to SciPy."""

FEW_LINES = 4
"""Lines below which SciPy, which does one after another, is quicker for more than 256 points."""

COMPLEX, REAL_TO_HALF, REAL_TO_ALL, HALF_TO_REAL = range(4)

# --------------------------------------------------------------------------------- the three ops

_FORWARD, _INVERSE = ("backward", "ortho", "forward"), ("forward", "ortho", "backward")


def _in_memory_order(a: Any, dim: Sequence[int]) -> list[int]:
    """Dims in the order in which they lie in memory."""
    return sorted(dim, key=lambda i: (-a.strides[i], i))


def _transform_along(a: Array, dim: Axes, transform: Callable[..., Array], **options: Any) -> Array:
    """A transform with its dims moved innermost, where the result has them in memory too."""
    order = [*_in_memory_order(a, [i for i in range(a.ndim) if i not in dim]), *dim]
    if order == list(range(a.ndim)):
        return transform(a, axes=dim, **options)
    result = transform(a.transpose(order), axes=range(a.ndim - len(dim), a.ndim), **options)
    return result.transpose(np.argsort(order))


def _result_of(a: Spec, dim: Sequence[int], last: int, kind: dtype) -> Spec:
    """The result, `last` long in the last of the dims, in memory as `_transform_along` leaves it."""
    shape = list(a.shape)
    if dim:
        shape[dim[-1]] = last
    order = [*_in_memory_order(a, [i for i in range(a.ndim) if i not in dim]), *dim]
    strides = tuple([step * kind.itemsize for step in ordered_strides(shape, order)])
    return Spec(kind, tuple(shape), strides)


def _planned(
    a: Spec, result: Spec, transforms: Sequence[tuple[int, int, float, bool]], mirrored: int | None = None
) -> Plan:
    """The plan of transforms one after another: of each what it makes of what, its dim, factor and direction.

    A half spectrum becomes real in the last; until then its size is that of `a`. Of a `mirrored` dim only
    half is transformed.
    """
    chain = Chain(1, result)
    whole = out = operand(chain.result(), result, range(a.ndim))
    if mirrored is not None:
        out = replace(out, sizes={**out.sizes, mirrored: out.sizes[mirrored] // 2 + 1})
    x = operand(Place(0), a, range(a.ndim))
    for number, (what, dim, factor, forward) in enumerate(transforms):
        n = out.sizes[dim] if what == HALF_TO_REAL else x.sizes[dim]
        to = out
        if transforms[-1][0] == HALF_TO_REAL and number < len(transforms) - 1:
            to = chain.room(a.dtype, x.sizes) if number == 0 else x
        step = _transform_step(what, dim, n, x, to, factor, forward)
        if step is None:
            return Plan(result)
        chain.add(step, x.place, to.place)
        x = to
    if mirrored is not None:
        others = [dim for _, dim, _, _ in transforms if dim != mirrored]
        chain.add(_mirror_step(whole, mirrored, others), whole.place, whole.place)
    return chain.plan()


def _mirror_step(x: Operand, last: int, others: Sequence[int]) -> Step:
    """What fills the second half of a spectrum of reals over several dims."""
    opposite = [(x.sizes[d], x.step(d)) for d in others]
    leading = merged((n, x.step(d)) for d, n in x.sizes.items() if d != last and d not in others)
    geometry = [x.sizes[last], x.step(last)]
    for dims in (opposite, leading):
        geometry += [len(dims), *[n for each in dims for n in each]]
    parts = math.prod([n for n, *_ in (*opposite, *leading)])
    work = parts * x.sizes[last]
    return Step(RUNS["complete"][x.dtype.to_real().name], tuple(geometry), parts, 0, work)


def _transform_step(
    what: int, dim: int, n: int, x: Operand, to: Operand, factor: float, forward: bool
) -> Step | None:
    """One transform along a dim, as kernels/fft.h does it; None where it should not."""
    factors = _prime_factors(n // 2 if what != COMPLEX and n % 2 == 0 else n)
    rest = sorted((d for d in to.sizes if d != dim), key=lambda d: -abs(to.steps[d]))
    *leading, (lanes, *across) = merged((to.sizes[d], x.step(d), to.step(d)) for d in rest) or [(1, 0, 0)]
    few = math.prod([n for n, *_ in leading]) * lanes < FEW_LINES and n > 256
    if max(factors, default=1) > LARGEST_FACTOR or n > MOST_POINTS or few:
        return None
    real = to.dtype.to_real()
    geometry = [what, n, x.sizes[dim], to.sizes[dim], bits_of(factor), len(factors), *factors]
    geometry += [
        x.step(dim),
        to.step(dim),
        lanes,
        *across,
        len(leading),
        *[n for each in leading for n in each],
    ]
    width = 64 // real.itemsize
    parts = math.prod([size for size, *_ in leading]) * -(-lanes // width)
    scratch = 4 * (n + 1) * width * real.itemsize + 64
    work = parts * width * n * len(factors)
    return Step(RUNS["fft"][real.name], (*geometry, *_roots(n, forward, real.itemsize)), parts, scratch, work)


def _prime_factors(n: int) -> list[int]:
    """Of a number the eights, as many as leave no single two, the fours, then twos and odd primes."""
    found = []
    while n % 8 == 0 and n // 8 % 4 != 2:
        found.append(8)
        n //= 8
    for factor in (4, 2, *range(3, LARGEST_FACTOR + 1, 2)):
        while n % factor == 0:
            found.append(factor)
            n //= factor
    return [*found, n] if n > 1 else found


@functools.cache
def _roots(n: int, forward: bool, itemsize: int) -> tuple[int, ...]:
    """The n-th roots of one as words of a geometry, real and imaginary parts in turn."""
    # the nearer way round the circle, where angles are more exact
    turns = np.arange(n) * (-1 if forward else 1)
    roots = np.exp(2j * np.pi * np.where(2 * np.abs(turns) > n, turns - np.sign(turns) * n, turns) / n)
    numbers = roots.view(np.float64)
    numbers[np.abs(numbers) < 1e-9] = 0  # at quarters of the circle
    return tuple(numbers.astype(f"f{itemsize}").view(np.int64).tolist())


def _factors(shape: Sequence[int], dim: Sequence[int], scale: int) -> list[float]:
    """By what the sums along each dim are multiplied."""
    return [1 / (1, math.sqrt(shape[d]), shape[d])[scale] for d in dim]


@op(name="fft_c2c", places="", linear=True, layout="", grad_name="FftC2CBackward0")
def _c2c(self: Array, dim: Axes, scale: int, forward: bool) -> Array:
    import scipy.fft

    if not dim or not self.size:
        return self.copy()
    transform = scipy.fft.fftn if forward else scipy.fft.ifftn
    return _transform_along(
        self, tuple(_in_memory_order(self, dim)), transform, norm=(_FORWARD if forward else _INVERSE)[scale]
    )


@_c2c.prepare
def _plan_c2c(self: Spec, dim: Axes, scale: int, forward: bool) -> Plan:
    order = _in_memory_order(self, dim)
    result = _result_of(self, order, self.shape[order[-1]] if dim else 0, self.dtype)
    if not dim or not self.size:
        return Plan(result)
    factors = _factors(self.shape, order, scale)
    return _planned(self, result, [(COMPLEX, d, f, forward) for d, f in zip(order, factors, strict=True)])


_c2c.vjp(self=lambda g, dim, scale, forward: _c2c(g, dim, scale, not forward))


@op(name="fft_r2c", places="", linear=True, layout="", grad_name="FftR2CBackward0")
def _r2c(self: Array, dim: Axes, scale: int, onesided: bool) -> Array:
    import scipy.fft

    if not self.size:
        shape = list(self.shape)
        shape[dim[-1]] = shape[dim[-1]] // 2 + 1 if onesided else shape[dim[-1]]
        return np.zeros(shape, np.result_type(self.dtype, np.complex64))
    dim = (*_in_memory_order(self, dim[:-1]), dim[-1]) if onesided else tuple(_in_memory_order(self, dim))
    return _transform_along(self, dim, scipy.fft.rfftn if onesided else scipy.fft.fftn, norm=_FORWARD[scale])


@_r2c.prepare
def _plan_r2c(self: Spec, dim: Axes, scale: int, onesided: bool) -> Plan:
    n, kind = self.shape[dim[-1]], self.dtype.to_complex()
    order = (*_in_memory_order(self, dim[:-1]), dim[-1])
    last = n // 2 + 1
    if not onesided:
        order, last = tuple(_in_memory_order(self, dim)), n
        last = self.shape[order[-1]]
    result = _result_of(self, order, last, kind)
    if not self.size:
        return Plan(result)
    factors = _factors(self.shape, order, scale)
    others = [(COMPLEX, d, f, True) for d, f in zip(order[:-1], factors, strict=False)]
    mirrored = order[-1] if others and not onesided else None
    what = REAL_TO_HALF if onesided or others else REAL_TO_ALL
    return _planned(self, result, [(what, order[-1], factors[-1], True), *others], mirrored)


def _r2c_vjp(g: Tensor, self_shape: Any, dim: Axes, scale: int, onesided: bool) -> Tensor:
    if onesided:
        g = _cut_or_padded(g, dim[-1:], (self_shape[dim[-1]],))
    return ops.real(_c2c(g, dim, scale, False))


_r2c.vjp(self=_r2c_vjp)


@op(name="fft_c2r", places="", linear=True, layout="", grad_name="FftC2RBackward0")
def _c2r(self: Array, dim: Axes, scale: int, last: int) -> Array:
    import scipy.fft

    shape = list(self.shape)
    shape[dim[-1]] = last
    if not self.size:
        return np.zeros(shape, self.real.dtype)
    dim = (*_in_memory_order(self, dim[:-1]), dim[-1])
    return _transform_along(self, dim, scipy.fft.irfftn, s=[shape[d] for d in dim], norm=_INVERSE[scale])


@_c2r.prepare
def _plan_c2r(self: Spec, dim: Axes, scale: int, last: int) -> Plan:
    result = _result_of(self, (*_in_memory_order(self, dim[:-1]), dim[-1]), last, self.dtype.to_real())
    if not self.size or not last or self.shape[dim[-1]] != last // 2 + 1:
        return Plan(result)
    factors = _factors(result.shape, dim, scale)
    others = [(COMPLEX, d, f, False) for d, f in zip(dim[:-1], factors, strict=False)]
    return _planned(self, result, [*others, (HALF_TO_REAL, dim[-1], factors[-1], False)])


def _c2r_vjp(g: Tensor, dim: Axes, scale: int, last: int) -> Tensor:
    """The transform of g; what stands for its mirror image too counts twice."""
    half = _r2c(g, dim, scale, True)
    kept = half.shape[dim[-1]]
    mirrored = last - kept
    if mirrored <= 0:
        return half
    parts = [(0, 1, 1), (1, mirrored, 2), (1 + mirrored, kept - 1 - mirrored, 1)]
    weighed = [ops.narrow(half, dim[-1], at, n) * by for at, n, by in parts if n]
    return ops.cat(weighed, dim[-1])


_c2r.vjp(self=_c2r_vjp)

# ------------------------------------------------------------------------------------- arguments


def _scale_of(norm: str | None, forward: bool) -> int:
    """What a norm mode makes of a direction."""
    if norm is None or norm == "backward":
        return 0 if forward else 2
    if norm == "forward":
        return 2 if forward else 0
    if norm == "ortho":
        return 1
    raise RuntimeError(f'Invalid normalization mode: "{norm}"')


def _as_inexact(x: Tensor, to_complex: bool = False) -> Tensor:
    """Integers as floats; RuntimeError for the half precisions."""
    if x.dtype.kind not in "fc":
        x = x.to(get_default_dtype())
    if x.dtype.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {x.dtype.type_name}")
    return x.to(x.dtype.to_complex()) if to_complex and x.dtype.kind == "f" else x


def _real_only(name: str, x: Tensor) -> Tensor:
    if x.dtype.kind == "c":
        dtype = x.dtype.type_name
        if name in ("ihfftn", "ihfft2"):
            raise RuntimeError(f"Only supports floating-point dtypes, but found: {dtype}")
        kind = "real" if name in ("rfft", "ihfft") else "real-valued"
        name = "rfftn" if name == "rfft2" else name
        raise RuntimeError(f"{name} expects a {kind} input tensor, but got {dtype}")
    return _as_inexact(x)


def _wrapped_dim(dim: int, ndim: int) -> int:
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, ndim)


def _checked_points(n: int) -> int:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def _cut_or_padded(x: Tensor, dims: Axes, sizes: Sequence[int]) -> Tensor:
    """The tensor cut or padded with zeros at the end of these dims."""
    pad = [0] * (2 * x.ndim)
    for dim, size in zip(dims, sizes, strict=True):
        have = x.shape[dim]
        if size < have:
            x = ops.narrow(x, dim, 0, size)
        pad[2 * (x.ndim - 1 - dim) + 1] = max(size - have, 0)
    return ops.constant_pad_nd(x, pad) if any(pad) else x


def _dims_and_sizes(x: Tensor, s: Any, dim: Any) -> tuple[Axes, list[int]]:
    """The dims of a transform and the points it takes along each."""
    s = (s,) if isinstance(s, int) else s
    dim = (dim,) if isinstance(dim, int) else dim
    if dim is not None:
        dims = tuple(_wrapped_dim(d, x.ndim) for d in dim)
        if len(set(dims)) < len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When points, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > x.ndim:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {x.ndim} dimensions."
            )
        dims = tuple(range(x.ndim - len(s), x.ndim))
    else:
        dims = tuple(range(x.ndim))
    points = [-1] * len(dims) if s is None else s
    return dims, [_checked_points(x.shape[d] if n == -1 else n) for n, d in zip(points, dims, strict=True)]


def _half_dims_and_sizes(name: str, x: Tensor, s: Any, dim: Any) -> tuple[Axes, list[int], int]:
    """The same for a half spectrum: also the length of the whole along the last dim."""
    dims, sizes = _dims_and_sizes(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    points = s if s is None or isinstance(s, int) else s[-1]
    last = _checked_points(2 * (x.shape[dims[-1]] - 1)) if points in (None, -1) else sizes[-1]
    return dims, [*sizes[:-1], last // 2 + 1], last


# ---------------------------------------------------------------------- transforms over any dims


def _fftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Tensor:
    forward = name[0] != "i"
    dims, sizes = _dims_and_sizes(x, s, dim)
    return _c2c(_cut_or_padded(_as_inexact(x, True), dims, sizes), dims, _scale_of(norm, forward), forward)


def _rfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Tensor:
    x = _real_only(name, x)
    dims, sizes = _dims_and_sizes(x, s, dim)
    if not dims:
        raise RuntimeError("rfftn must transform at least one axis")
    return _r2c(_cut_or_padded(x, dims, sizes), dims, _scale_of(norm, True), True)


def _irfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Tensor:
    dims, sizes, last = _half_dims_and_sizes("irfftn", x, s, dim)
    return _c2r(_cut_or_padded(_as_inexact(x, True), dims, sizes), dims, _scale_of(norm, False), last)


def _hfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Tensor:
    dims, sizes, last = _half_dims_and_sizes("hfftn", x, s, dim)
    scale = _scale_of(norm, True)
    x = _cut_or_padded(_as_inexact(x, True), dims, sizes)
    if len(dims) > 1:
        x = _c2c(x, dims[:-1], scale, True)
    return _c2r(conj(x), dims[-1:], scale, last)


def _ihfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None) -> Tensor:
    x = _real_only(name, x)
    dims, sizes = _dims_and_sizes(x, s, dim)
    if not dims:
        raise RuntimeError("ihfftn must transform at least one axis")
    scale = _scale_of(norm, False)
    spectrum = conj(_r2c(_cut_or_padded(x, dims, sizes), dims[-1:], scale, True))
    return _c2c(spectrum, dims[:-1], scale, False) if len(dims) > 1 else spectrum


# ---------------------------------------------------------------------- transforms over one dim


def _to_whole(name: str, x: Tensor, n: int | None, dim: int, norm: str | None) -> Tensor:
    """`fft` and `ifft`; of real numbers by half of the work."""
    axis, forward = _wrapped_dim(dim, x.ndim), name == "fft"
    scale, x = _scale_of(norm, forward), _as_inexact(x)
    x = _cut_or_padded(x, (axis,), (_checked_points(x.shape[axis] if n is None else n),))
    if x.dtype.kind == "c":
        return _c2c(x, (axis,), scale, forward)
    spectrum = _r2c(x, (axis,), scale, False)
    return spectrum if forward else conj(spectrum)


def _to_half(name: str, x: Tensor, n: int | None, dim: int, norm: str | None) -> Tensor:
    """`rfft` and `ihfft`."""
    x, axis = _real_only(name, x), _wrapped_dim(dim, x.ndim)
    forward = name == "rfft"
    x = _cut_or_padded(x, (axis,), (_checked_points(x.shape[axis] if n is None else n),))
    spectrum = _r2c(x, (axis,), _scale_of(norm, forward), True)
    return spectrum if forward else conj(spectrum)


def _from_half(name: str, x: Tensor, n: int | None, dim: int, norm: str | None) -> Tensor:
    """`irfft` and `hfft`."""
    axis, forward = _wrapped_dim(dim, x.ndim), name == "hfft"
    last = _checked_points(2 * (x.shape[axis] - 1) if n is None else n)
    x = _cut_or_padded(_as_inexact(x, True), (axis,), (last // 2 + 1,))
    return _c2r(conj(x) if forward else x, (axis,), _scale_of(norm, forward), last)


# ------------------------------------------------------------------------------ what users call


def _written_or_new(name: str, result: Tensor, out: Tensor | None) -> Tensor:
    if out is None:
        return result
    if out.dtype.kind != result.dtype.kind:
        kind = "complex" if result.dtype.kind == "c" else "floating point"
        raise RuntimeError(f"{name} expects a {kind} output tensor, but got {out.dtype.type_name}")
    return write_out(out, ops.resolve_conj(result.detach()), True)


def _publish_transform(name: str, call: Any, text: str) -> Any:
    call.__name__ = call.__qualname__ = f"fft_{name}"
    call.__doc__ = text
    return explained(call, places="", aliases=(f"fft.{name}",))


_NORM_TEXT = (
    "`norm` is where the division by the number of points stands: backward, forward, or in both\n"
    "directions its square root, ortho. RuntimeError for fewer than one point."
)


def _transform_over_dim(name: str, transform: Callable[..., Tensor], text: str, result: str) -> Any:
    def call(
        input: Tensor,
        n: int | None = None,
        dim: int = -1,
        norm: str | None = None,
        *,
        out: Tensor | None = None,
    ) -> Tensor:
        return _written_or_new(name, transform(name, input, n, dim, norm), out)

    example = f">>> import pullback as torch\n>>> torch.fft.{name}(torch.tensor([1.0, 2.0, 1.0]))\n{result}\n"
    return _publish_transform(
        name, call, f"{text} along `dim`, cut or padded to `n` points.\n\n{_NORM_TEXT}\n\n{example}"
    )


def _transform_over_dims(name: str, transform: Callable[..., Tensor], text: str, default: Any) -> Any:
    def call(
        input: Tensor,
        s: Sequence[int] | None = None,
        dim: Sequence[int] | None = default,
        norm: str | None = None,
        *,
        out: Tensor | None = None,
    ) -> Tensor:
        return _written_or_new(name, transform(name, input, s, dim, norm), out)

    over = "all dims, or the last `len(s)`," if default is None else "the last two dims"
    example = f">>> import pullback as torch\n>>> torch.fft.{name}(torch.ones(4, 4)).shape\n"
    shape = [4, {"r": 3, "ih": 3, "ir": 6, "h": 6}.get(name.partition("fft")[0], 4)]
    return _publish_transform(
        name,
        call,
        f"{text} over `dim`, by default {over} cut or padded to `s`.\n\n{_NORM_TEXT}\n\n"
        f"{example}torch.Size({shape})\n",
    )


_TEXTS = {
    "fft": "The discrete Fourier transform",
    "ifft": "The inverse of `fft`",
    "rfft": "The transform of real numbers, of which the first half is kept,",
    "irfft": "The inverse of `rfft`: real numbers, 2 (n - 1) of them unless told otherwise,",
    "hfft": "The real transform of numbers of which the first half is given, the rest their mirror,",
    "ihfft": "The inverse of `hfft`, the first half of it,",
}
_TRANSFORMS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "fft": (_to_whole, _fftn),
    "ifft": (_to_whole, _fftn),
    "rfft": (_to_half, _rfftn),
    "irfft": (_from_half, _irfftn),
    "hfft": (_from_half, _hfftn),
    "ihfft": (_to_half, _ihfftn),
}
_EXAMPLE_RESULTS = {
    "fft": "tensor([ 4.0000+0.0000j, -0.5000-0.8660j, -0.5000+0.8660j])",
    "ifft": "tensor([ 1.3333-0.0000j, -0.1667+0.2887j, -0.1667-0.2887j])",
    "rfft": "tensor([ 4.0000+0.0000j, -0.5000-0.8660j])",
    "irfft": "tensor([ 1.5000,  0.0000, -0.5000,  0.0000])",
    "hfft": "tensor([ 6.,  0., -2.,  0.])",
    "ihfft": "tensor([ 1.3333-0.0000j, -0.1667+0.2887j])",
}
for _name, (_by_one, _by_many) in _TRANSFORMS.items():
    _transform_over_dim(_name, _by_one, _TEXTS[_name], _EXAMPLE_RESULTS[_name])
    _transform_over_dims(f"{_name}2", _by_many, _TEXTS[_name], (-2, -1))
    _transform_over_dims(f"{_name}n", _by_many, _TEXTS[_name], None)

# ------------------------------------------------------------------------- frequencies and shifts


def _frequencies(name: str, n: int, d: float, options: Any, multiples_of: Callable[[int], Array]) -> Tensor:
    kind = options.get("dtype") or get_default_dtype()
    if kind.kind not in "fc":
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    if kind.kind == "c":
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{kind.type_name}'")
    if not hasattr(n, "__index__"):
        raise TypeError(f"fft_{name}(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    multiples = multiples_of(n)
    step = np.float64(1) / (np.float64(n) * d) if n and d else np.float64(np.inf)

    def make(shape: Any, dtype: Any) -> Array:
        with np.errstate(invalid="ignore"):
            return (multiples * step).astype(dtype)

    return created(f"fft_{name}", options, kind, multiples.shape, make)


@function(name="fft_fftfreq", places="", aliases=("fft.fftfreq",), quick=("remembered", {}))
def fftfreq(n: int, d: float = 1.0, **options: Unpack[Options]) -> Tensor:
    """The frequencies of the n results of `fft` for samples `d` apart, the negative ones last.

    >>> import pullback as torch
    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    if isinstance(n, int) and n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    return _frequencies("fftfreq", n, d, options, lambda n: (np.arange(n) + n // 2) % max(n, 1) - n // 2)


@function(name="fft_rfftfreq", places="", aliases=("fft.rfftfreq",), quick=("remembered", {}))
def rfftfreq(n: int, d: float = 1.0, **options: Unpack[Options]) -> Tensor:
    """The frequencies of the n // 2 + 1 results of `rfft` for n samples `d` apart.

    >>> import pullback as torch
    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _frequencies("rfftfreq", n, d, options, lambda n: np.arange(n // 2 + 1))


def _rolled_by_half(input: Tensor, dim: Any, sign: int) -> Tensor:
    dims = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = [wrap_dim(d, input.ndim) for d in dims]
    sizes = [input.shape[d] for d in axes]
    return ops.roll(input, [n // 2 if sign > 0 else (n + 1) // 2 for n in sizes], axes)


@function(name="fft_fftshift", places="", aliases=("fft.fftshift",))
def fftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """Moves the frequency zero of a spectrum to the middle of `dim`, of all dims if None.

    >>> import pullback as torch
    >>> torch.fft.fftshift(torch.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return _rolled_by_half(input, dim, 1)


@function(name="fft_ifftshift", places="", aliases=("fft.ifftshift",))
def ifftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """The inverse of `fftshift`.

    >>> import pullback as torch
    >>> torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return _rolled_by_half(input, dim, -1)
