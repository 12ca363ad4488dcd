"""Random numbers into NumPy arrays: the distributions of `generators.pyx` behind checks of arguments.

Each function fills `out`, any writable array, from a generator, and raises what PyTorch raises, in
its words: NotImplementedError for a dtype without a kernel, RuntimeError for numbers out of range.
The same seed gives PyTorch's numbers, bit for bit. Tensors come in above.

Read `uniform`, then `randint`, whose range depends on the dtype.
"""

from __future__ import annotations

import warnings

import numpy as np

from pullback.core.dtype_names import C_NAMES
from pullback.core.dtypes import DTYPES
from pullback.kernels.random import generators
from pullback.kernels.random.generators import Generator, dtype_name

TYPE_NAMES = {d.name: d.type_name for d in DTYPES}
FLOATS = frozenset(d.name for d in DTYPES if d.kind == "f")
COMPLEX = frozenset(d.name for d in DTYPES if d.kind == "c")
INEXACT = FLOATS | COMPLEX
NEW_UNSIGNED = frozenset({"uint16", "uint32", "uint64"})
NUMBERS = frozenset(d.name for d in DTYPES if d.kind != "e") - COMPLEX - NEW_UNSIGNED
"""What most kernels know: all dtypes but complex ones, the younger unsigned ones and floats of eight bits."""

DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
"""How many binary digits a float has: all integers up to 2**digits are among them."""

LARGEST = {"bool": 1, "float16": 65504.0, "bfloat16": (2 - 2**-7) * 2.0**127}
LARGEST |= {name: float(np.finfo(name).max) for name in ("float32", "float64")}
LARGEST |= {d.name: int(np.iinfo(d.name).max) for d in DTYPES if d.kind in "ui"}


CONTINUOUS = (
    "{} distribution is a continuous probability distribution. dtype must be a floating point but you "
    "specified {}"
)


def require(array: np.ndarray, known: frozenset[str], kernel: str) -> str:
    """The name of the array's dtype, which must be a known one."""
    name = dtype_name(array)
    if name not in known:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{TYPE_NAMES[name]}'")
    return name


# ---- Real numbers ----


def uniform(out: np.ndarray, generator: Generator, low: float = 0.0, high: float = 1.0) -> None:
    """Fill with numbers from [low, high); of complex numbers, both parts."""
    name = require(out, INEXACT, "check_uniform_bounds")
    real = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}.get(name, name)
    largest = LARGEST[real]
    for value, which in ((low, "from"), (high, "to")):
        if not -largest <= value <= largest:
            raise RuntimeError(f"{which} is out of bounds for {C_NAMES[real]}")
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    if high - low > largest:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{TYPE_NAMES[real]}>::max(), "
            f"but found to={high:g} and from={low:g} which result in to-from to exceed the limit"
        )
    generators.uniform(out, generator, low, high)


def normal(out: np.ndarray, generator: Generator, mean: float = 0.0, std: float = 1.0) -> None:
    """Fill with normal numbers; of complex numbers, both parts, each with half the variance."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if out.size:
        require(out, INEXACT, "normal_kernel_cpu")
        generators.normal(out, generator, mean, std)


def log_normal(out: np.ndarray, generator: Generator, mean: float = 1.0, std: float = 2.0) -> None:
    """Fill with exp of normal numbers."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    if out.size:
        require(out, FLOATS, "log_normal_cpu")
        generators.log_normal(out, generator, mean, std)


def cauchy(out: np.ndarray, generator: Generator, median: float = 0.0, sigma: float = 1.0) -> None:
    """Fill with median + sigma tan(pi (u - 1/2)), u uniform."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    if dtype_name(out) not in FLOATS:
        raise RuntimeError(CONTINUOUS.format("Cauchy", C_NAMES[dtype_name(out)]))
    generators.cauchy(out, generator, median, sigma)


def exponential(out: np.ndarray, generator: Generator, rate: float = 1.0) -> None:
    """Fill with -log(1 - u) / rate, u uniform."""
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    if out.size:
        if dtype_name(out) not in FLOATS:
            raise RuntimeError(CONTINUOUS.format("Exponential", TYPE_NAMES[dtype_name(out)]))
        generators.exponential(out, generator, rate)


def geometric(out: np.ndarray, generator: Generator, p: float) -> None:
    """Fill with the numbers of the first success among trials that succeed with probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if out.size:
        require(out, NUMBERS - {"bool"}, "geometric_cpu")
        generators.geometric(out, generator, p)


def bernoulli(out: np.ndarray, p: float | np.ndarray, generator: Generator) -> None:
    """Fill with 1 with probability p, else 0; p is a number, or an array that broadcasts."""
    if isinstance(p, np.ndarray):
        if out.size:
            require(out, NUMBERS, "bernoulli_tensor_cpu_self_")
            require(p, FLOATS, "bernoulli_tensor_cpu_p_")
            each = p if p.shape == out.shape else np.broadcast_to(p, out.shape)
            if not generators.bernoulli_each(out, generator, each):
                raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
        return
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    if out.size:
        require(out, NUMBERS, "bernoulli_scalar_cpu_")
        generators.bernoulli(out, generator, p)


# ---- Integers ----


def any_integer(out: np.ndarray, generator: Generator) -> None:
    """Fill with integers from 0 to the largest of the dtype; of a float, to 2**digits."""
    if out.size:
        name = require(out, NUMBERS, "random_kernel_cpu")
        generators.integers(out, generator, 0, last_exact(name) + 1, name in ("int64", "float64"))


def randint(out: np.ndarray, generator: Generator, low: int, high: int | None = None) -> None:
    """Fill with integers from [low, high); without `high`, to the largest of the dtype.

    `low` = -2**63 without `high` is the whole range of int64.
    """
    if high is None and low == -(2**63):
        _whole_range(out, generator)
        return
    low, end = _range(out, low, high)
    if out.size:
        generators.integers(out, generator, low, end - low, end - low >= 2**28)


def _whole_range(out: np.ndarray, generator: Generator) -> None:
    kernel = "random_full_64_bits_range_kernel_cpu"
    if out.size:
        require(out, NUMBERS - {"bool", "float16"}, kernel)
        if dtype_name(out) not in ("int64", "float64", "float32", "bfloat16"):
            raise RuntimeError(f"{kernel} handles only int64, double, float and bfloat16")
        generators.integers(out, generator, 0, 2**64, True)


def last_exact(name: str) -> int:
    """The last integer up to which a dtype has all."""
    return 1 << DIGITS[name] if name in FLOATS else int(LARGEST[name])


def _range(out: np.ndarray, low: int, high: int | None) -> tuple[int, int]:
    """The integers [low, end) to draw for the dtype of `out`, checked."""
    name, dtype = dtype_name(out), out.dtype
    if high is None:
        if name in COMPLEX:
            raise RuntimeError("random_from_to_impl handles only integral, floating-point and boolean types")
        end = (-1 if name == "uint64" else last_exact(name)) + 1
        if name in FLOATS:
            low = _first_in(dtype, low)
            if low >= end - 1:
                raise RuntimeError(
                    "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' "
                    f"casted to dtype, but got from={low} > to_inc={end - 1}"
                )
    else:
        end = high
        if low >= end:
            raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={end}")
        if name in FLOATS:
            low, end = _first_in(dtype, low), _end_in(dtype, end)
            if low >= end:
                raise RuntimeError(
                    "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                    f"but got from={low} >= to={end}"
                )
    _check_range(name, low, end - 1)
    return low, end


def _first_in(dtype: np.dtype, low: int) -> int:
    """`low`, or the next number of the float dtype if low + 1 would round to one below."""
    rounded = _through(dtype, low + 1)
    return rounded + _spacing(dtype, low + 1) if rounded < low else low


def _end_in(dtype: np.dtype, end: int) -> int:
    """`end`, or the number of the float dtype before it if end - 1 would round up to it."""
    rounded = _through(dtype, end - 1)
    return rounded - _spacing(dtype, end - 1) if rounded >= end else end


def _spacing(dtype: np.dtype, value: int) -> int:
    return 2 ** (abs(value).bit_length() - DIGITS[dtype.name])


def _through(dtype: np.dtype, value: int) -> int:
    """The integer rounded to the float dtype; -2**63 where an int64 cannot hold that."""
    if abs(value) <= 2 ** DIGITS[dtype.name]:
        return value
    with np.errstate(over="ignore"):
        single = np.int64(value).astype(np.float64 if dtype == np.float64 else np.float32)
        number = float(single.astype(dtype))
    return int(number) if -(2.0**63) <= number < 2.0**63 else -(2**63)


def _check_range(name: str, low: int, last: int) -> None:
    """Raise RuntimeError for integers outside the dtype; warn where a float has not all."""
    if name in COMPLEX:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    most = 2**63 - 1 if name == "uint64" else LARGEST[name]
    least = -most if name in FLOATS else (-most - 1 if name.startswith("int") else 0)
    for value, which in ((low, "from"), (last, "to - 1")):
        if not least <= value <= most:
            raise RuntimeError(f"{which} is out of bounds for {C_NAMES[name]}")
    for value, which in ((low, "from"), (last, "to - 1")):
        if name in FLOATS and abs(value) > 2 ** DIGITS[name]:
            digits = DIGITS[name]
            warnings.warn(
                f"{which} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision "
                f"limitations {C_NAMES[name]} can support discrete uniform distribution only "
                "within this range. This warning will become an error in version 1.7 release, "
                "please fix the code in advance",
                stacklevel=3,
            )
