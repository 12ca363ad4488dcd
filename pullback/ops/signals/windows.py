"""Window functions: those of `torch.signal.windows`, and the five older ones at top level.

Each is a formula in NumPy at double precision, rounded once. A periodic window is a symmetric one of
one point more, without its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from pullback.core._engine import Tensor
from pullback.core.dtypes import get_default_dtype, strided
from pullback.core.op import function
from pullback.core.types import Array
from pullback.ops.arrays.create import Options, created, dtype_of

WindowFunction = Callable[[Array, int], Array]
"""A window's values at the indices 0, 1, ... of its points, whose symmetric number comes second."""


def _window_tensor(name: str, count: int, periodic: bool, shape: WindowFunction, options: Any) -> Tensor:
    points = count + 1 if periodic else count

    def make(size: Any, dtype: Any) -> Array:
        if count <= 1:
            return np.ones(size, dtype)
        return shape(np.arange(count, dtype=np.float64), points).astype(dtype)

    return created(name, options, get_default_dtype(), (count,), make)


def _cosines(coefficients: Sequence[float]) -> WindowFunction:
    """The sum of a[k] cos(2 pi k x), with alternating signs, over one period."""

    def shape(index: Array, points: int) -> Array:
        angle = 2 * math.pi / (points - 1) * index
        total = np.zeros_like(angle)
        for k, a in enumerate(coefficients):
            total += (-1) ** k * a * np.cos(k * angle)
        return total

    return shape


def _kaiser(beta: float) -> WindowFunction:
    from scipy.special import i0

    def shape(index: Array, points: int) -> Array:
        x = 2 * index / (points - 1) - 1
        return i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / i0(beta)

    return shape


def _bartlett(index: Array, points: int) -> Array:
    return 1 - np.abs(2 * index / (points - 1) - 1)


BLACKMAN = (0.42, 0.5, 0.08)
NUTTALL = (0.3635819, 0.4891775, 0.1365995, 0.0106411)

# -------------------------------------------------------------------------- at top level: periodic


def _periodic_window(
    name: str, window_length: Any, periodic: Any, shape: WindowFunction, options: Any
) -> Tensor:
    """One of the older windows: RuntimeError for a negative length or an integer dtype."""
    if not hasattr(window_length, "__index__") or isinstance(window_length, bool):
        kind = type(window_length).__name__
        raise TypeError(f"{name}(): argument 'window_length' (position 1) must be int, not {kind}")
    if not isinstance(periodic, bool):
        kind = type(periodic).__name__
        raise TypeError(f"{name}(): argument 'periodic' (position 2) must be bool, not {kind}")
    if options.get("dtype") is not None:
        wanted = dtype_of(name, options["dtype"])
        if wanted.kind == "c":
            raise NotImplementedError(f"\"arange_cpu\" not implemented for '{wanted.type_name}'")
        if wanted.kind != "f":
            raise RuntimeError(f"{name} expects floating point dtypes, got: {wanted}")
    count = window_length.__index__()
    if count < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={count}")
    return _window_tensor(name, count, periodic, shape, options)


@function(places="t", quick=("remembered", {}))
def bartlett_window(window_length: int, periodic: bool = True, **options: Unpack[Options]) -> Tensor:
    """A triangle from 0 over 1 to 0, of which a periodic window has not the last point.

    >>> import pullback as torch
    >>> torch.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _periodic_window("bartlett_window", window_length, periodic, _bartlett, options)


@function(places="t", quick=("remembered", {}))
def blackman_window(window_length: int, periodic: bool = True, **options: Unpack[Options]) -> Tensor:
    """`0.42 - 0.5 cos(a) + 0.08 cos(2 a)` over one period of `a`.

    >>> import pullback as torch
    >>> torch.blackman_window(2)[1]
    tensor(1.)
    """
    return _periodic_window("blackman_window", window_length, periodic, _cosines(BLACKMAN), options)


@function(places="t", quick=("remembered", {}))
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    **options: Unpack[Options],
) -> Tensor:
    """`alpha - beta cos(a)` over one period of `a`.

    >>> import pullback as torch
    >>> torch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _periodic_window("hamming_window", window_length, periodic, _cosines((alpha, beta)), options)


@function(places="t", quick=("remembered", {}))
def hann_window(window_length: int, periodic: bool = True, **options: Unpack[Options]) -> Tensor:
    """`(1 - cos(a)) / 2` over one period of `a`.

    >>> import pullback as torch
    >>> torch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _periodic_window("hann_window", window_length, periodic, _cosines((0.5, 0.5)), options)


@function(places="t", quick=("remembered", {}))
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, **options: Unpack[Options]
) -> Tensor:
    """`i0(beta sqrt(1 - x**2)) / i0(beta)` for x from -1 to 1.

    >>> import pullback as torch
    >>> torch.kaiser_window(2)[1]
    tensor(1.)
    """
    return _periodic_window("kaiser_window", window_length, periodic, _kaiser(beta), options)


# ------------------------------------------------------------ in torch.signal.windows: symmetric


def _symmetric_window(
    name: str, M: int, sym: bool, shape: WindowFunction, options: Any, checked: str = ""
) -> Tensor:
    """One of `signal.windows`: ValueError for a negative length or a dtype not single or double."""
    checked = checked or name
    if M < 0:
        raise ValueError(f"{checked} requires non-negative window length, got M={M}")
    layout = options.get("layout", strided)
    if layout is not strided:
        raise ValueError(f"{checked} is implemented for strided tensors only, got: {layout}")
    dtype = options.get("dtype") or get_default_dtype()
    if dtype.kind != "f" or dtype.itemsize == 2:
        raise ValueError(f"{checked} expects float32 or float64 dtypes, got: {dtype}")
    return _window_tensor(name, M, not sym, shape, options)


def _window(name: str) -> Callable[[Callable[..., Any]], Any]:
    return function(name=name, places="", aliases=(f"signal.windows.{name}",), quick=("remembered", {}))


@_window("bartlett")
def bartlett(M: int, *, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """A triangle from 0 over 1 to 0; with `sym=False` without the last point.

    >>> import pullback as torch
    >>> torch.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _symmetric_window("bartlett", M, sym, _bartlett, options)


@_window("blackman")
def blackman(M: int, *, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`0.42 - 0.5 cos(a) + 0.08 cos(2 a)` over one period of `a`.

    >>> import pullback as torch
    >>> torch.signal.windows.blackman(3)[1]
    tensor(1.)
    """
    return _symmetric_window("blackman", M, sym, _cosines(BLACKMAN), options)


@_window("cosine")
def cosine(M: int, *, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """The upper half of a sine, between its zeros.

    >>> import pullback as torch
    >>> torch.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    return _symmetric_window("cosine", M, sym, lambda index, n: np.sin(math.pi * (index + 0.5) / n), options)


@_window("exponential")
def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Unpack[Options]
) -> Tensor:
    """`exp(-|x - center| / tau)`; the center may be given for `sym=False` only.

    >>> import pullback as torch
    >>> torch.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")

    def shape(index: Array, points: int) -> Array:
        middle = (points - 1) / 2 if center is None else center
        return np.exp(-np.abs(index - middle) / tau)

    return _symmetric_window("exponential", M, sym, shape, options)


@_window("gaussian")
def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`exp(-(x / std)**2 / 2)` around the center.

    >>> import pullback as torch
    >>> torch.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")

    def shape(index: Array, points: int) -> Array:
        return np.exp(-(((index - (points - 1) / 2) / std) ** 2) / 2)

    return _symmetric_window("gaussian", M, sym, shape, options)


@_window("general_cosine")
def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`a[0] - a[1] cos(x) + a[2] cos(2 x) - ...` over one period of `x`.

    >>> import pullback as torch
    >>> torch.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    return _symmetric_window("general_cosine", M, sym, _cosines(tuple(a)), options)


@_window("general_hamming")
def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`alpha - (1 - alpha) cos(x)` over one period of `x`.

    >>> import pullback as torch
    >>> torch.signal.windows.general_hamming(3, alpha=0.5)
    tensor([0., 1., 0.])
    """
    return _symmetric_window(
        "general_hamming", M, sym, _cosines((alpha, 1 - alpha)), options, "general_cosine"
    )


@_window("hamming")
def hamming(M: int, *, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`0.54 - 0.46 cos(x)` over one period of `x`.

    >>> import pullback as torch
    >>> torch.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _symmetric_window("hamming", M, sym, _cosines((0.54, 0.46)), options, "general_cosine")


@_window("hann")
def hann(M: int, *, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`(1 - cos(x)) / 2` over one period of `x`.

    >>> import pullback as torch
    >>> torch.signal.windows.hann(3)
    tensor([0., 1., 0.])
    """
    return _symmetric_window("hann", M, sym, _cosines((0.5, 0.5)), options, "general_cosine")


@_window("kaiser")
def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """`i0(beta sqrt(1 - x**2)) / i0(beta)` for x from -1 to 1.

    >>> import pullback as torch
    >>> torch.signal.windows.kaiser(3)[1]
    tensor(1.)
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _symmetric_window("kaiser", M, sym, _kaiser(beta), options)


@_window("nuttall")
def nuttall(M: int, *, sym: bool = True, **options: Unpack[Options]) -> Tensor:
    """Nuttall's sum of four cosines, which falls to nearly 0 at both ends.

    >>> import pullback as torch
    >>> torch.signal.windows.nuttall(3)[1]
    tensor(1.)
    """
    return _symmetric_window("nuttall", M, sym, _cosines(NUTTALL), options, "general_cosine")
