"""Number types, their promotion, and the defaults.

A dtype is a singleton, `float32` say. Its `code` is its row in the promotion table and
in every table of loops that the compiled core keeps; `numpy` is the NumPy dtype of the payload.
Promotion has PyTorch's three categories: tensors with dimensions outrank 0-dim tensors, which outrank
Python numbers, and a lower category changes the result only if its kind (bool < int < float < complex)
is higher. Read `promote_types`, then `combine`.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from pullback.core.eight_bits import narrowed
from pullback.core.types import Array

_KIND_RANKS = {"b": 0, "u": 1, "i": 1, "f": 2, "e": 2, "c": 3}


class dtype:
    """The number type of a tensor's elements, such as `torch.float32`.

    >>> import pullback as torch
    >>> torch.float32.itemsize, torch.float32.is_floating_point
    (4, True)
    """

    code: int
    name: str
    kind: str
    type_name: str
    itemsize: int
    is_floating_point: bool
    is_complex: bool
    is_signed: bool
    is_native: bool
    letter: str
    _numpy: np.dtype[Any] | None

    def __init__(self, code: int, name: str, kind: str, itemsize: int, type_name: str) -> None:
        self.code = code
        self.name = name
        self.kind = kind
        self.itemsize = itemsize
        self.type_name = type_name
        self.is_floating_point = kind in "fe"
        self.is_complex = kind == "c"
        self.is_signed = kind in "ifec" and name != "float8_e8m0fnu"
        self.is_native = kind != "e" and name not in ("bfloat16", "complex32")
        self.letter = "h" if name == "complex32" else kind  # by which ops say that they compute in it
        self._numpy = None

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype of the payload, of ml_dtypes where it is not native: loaded when first asked."""
        if self._numpy is None:
            if self.is_native:
                self._numpy = np.dtype(self.name)
            else:
                import ml_dtypes

                self._numpy = np.dtype(getattr(ml_dtypes, self.name))
        return self._numpy

    def from_floats(self, a: Array) -> Array:
        """An array of float32, or of what is rounded to it first, in this dtype of eight bits."""
        return narrowed(a, self.numpy)

    def to_real(self) -> dtype:
        """The real type of the same precision."""
        return {"complex32": float16, "complex64": float32, "complex128": float64}.get(self.name, self)

    def to_complex(self) -> dtype:
        """The complex type of the same precision (complex64 for bfloat16)."""
        if self.is_complex:
            return self
        if self.kind == "e":
            raise RuntimeError(f"Unknown Complex ScalarType for {self.type_name}")
        return {"float16": complex32, "float64": complex128}.get(self.name, complex64)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.name,)


def _restore(name: str) -> Any:
    """The singleton of that name: what pickle calls."""
    return _BY_NUMPY.get(name) or NAMED.get(name) or globals()[name]


def _table() -> list[dtype]:
    rows = (
        "bool b 1 Bool, uint8 u 1 Byte, int8 i 1 Char, int16 i 2 Short, int32 i 4 Int, int64 i 8 Long, "
        "uint16 u 2 UInt16, uint32 u 4 UInt32, uint64 u 8 UInt64, float16 f 2 Half, bfloat16 f 2 BFloat16, "
        "float32 f 4 Float, float64 f 8 Double, complex64 c 8 ComplexFloat, complex128 c 16 ComplexDouble, "
        "float8_e4m3fn e 1 Float8_e4m3fn, float8_e5m2 e 1 Float8_e5m2, "
        "float8_e4m3fnuz e 1 Float8_e4m3fnuz, float8_e5m2fnuz e 1 Float8_e5m2fnuz, "
        "float8_e8m0fnu e 1 Float8_e8m0fnu, complex32 c 4 ComplexHalf"
    )
    made = []
    for code, row in enumerate(rows.split(", ")):
        name, kind, itemsize, type_name = row.split()
        made.append(dtype(code, name, kind, int(itemsize), type_name))
    return made


DTYPES = _table()
"""All dtypes; the index is the code."""

(
    bool_,
    uint8,
    int8,
    int16,
    int32,
    int64,
    uint16,
    uint32,
    uint64,
    float16,
    bfloat16,
    float32,
    float64,
    complex64,
    complex128,
    float8_e4m3fn,
    float8_e5m2,
    float8_e4m3fnuz,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    complex32,
) = DTYPES


class NamedDtype(dtype):
    """A number type of PyTorch's that has a name here, and no tensors."""

    def __init__(self, name: str, itemsize: int, type_name: str) -> None:
        self.name, self.itemsize, self.type_name = name, itemsize, type_name
        self.kind = self.letter = "i" if name.startswith(("int", "uint")) else "o"
        self.is_floating_point, self.is_complex = name.startswith("float"), False
        self.is_signed = name.startswith(("int", "float"))
        self.is_native = False

    @property
    def code(self) -> int:  # type: ignore[override]
        """NotImplementedError: it has no row in the tables of what is computed."""
        raise NotImplementedError(f"\"empty_cpu\" not implemented for '{self.type_name}'")

    @property
    def numpy(self) -> np.dtype[Any]:
        """NotImplementedError: there are no arrays of it."""
        return np.dtype(str(self.code))

    def to_real(self) -> dtype:
        """The real type of the same precision."""
        return self

    def to_complex(self) -> dtype:
        """The complex type of the same precision: RuntimeError."""
        raise RuntimeError(f"Unknown Complex ScalarType for {self.type_name}")


def _names() -> dict[str, NamedDtype]:
    small = [f"{sign}int{bits}" for sign in ("u", "") for bits in range(1, 8)]
    sizes = dict.fromkeys([*small, "bits1x8", "bits2x4", "bits4x2", "bits8", "float4_e2m1fn_x2"], 1)
    sizes |= {"bits16": 2, "qint8": 1, "qint32": 4, "quint8": 1, "quint2x4": 1, "quint4x2": 1}
    parts = {"uint": "UInt", "quint": "QUInt", "qint": "QInt", "int": "Int", "bits": "Bits", "float": "Float"}
    made = {}
    for name, size in sizes.items():
        word = name.rstrip("0123456789x") if name[:5] != "float" else "float"
        made[name] = NamedDtype(name, size, parts[word.rstrip("0123456789x")] + name[len(word) :])
    return made


NAMED = _names()
"""The dtypes that have names alone."""

ALIASES = {
    "half": float16,
    "float": float32,
    "double": float64,
    "short": int16,
    "int": int32,
    "long": int64,
    "cfloat": complex64,
    "cdouble": complex128,
    "chalf": complex32,
}
"""PyTorch's second names of dtypes."""

_BY_NUMPY = {d.name: d for d in DTYPES}


_SEEN: dict[np.dtype[Any], dtype | None] = {}


def from_numpy_dtype(given: np.dtype[Any]) -> dtype:
    """The dtype of a NumPy dtype.

    Raises TypeError if there is none, in PyTorch's words.
    """
    found = _SEEN.get(given)
    if found is None:
        found = _SEEN[given] = _BY_NUMPY.get(given.name)  # building the name takes a microsecond
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type {given.type.__module__}.{given.type.__name__}. "
            "The only supported types are: float64, float32, float16, complex64, complex128, int64, "
            "int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        )
    return found


def _promote(a: dtype, b: dtype) -> dtype | None:
    """The smallest type that holds both, None where PyTorch has none."""
    if a is b:
        return a
    if "e" in (a.kind, b.kind):
        return None
    if _KIND_RANKS[a.kind] > _KIND_RANKS[b.kind]:
        a, b = b, a
    low, high = _KIND_RANKS[a.kind], _KIND_RANKS[b.kind]
    if {a, b} & {uint16, uint32, uint64} and high != 2:
        return None
    if high == 3:
        return max(a.to_complex() if low >= 2 else b, b, key=lambda kind: kind.itemsize)
    if high == 2:
        if low < 2:
            return b
        if {a, b} == {float16, bfloat16}:
            return float32
        return a if a.code > b.code else b
    if low == 0:
        return b
    if uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    return a if a.itemsize > b.itemsize else b


PROMOTION = [[_promote(a, b) for b in DTYPES] for a in DTYPES]
"""Row and column are codes."""


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that both given ones convert to without a change of kind.

    >>> import pullback as torch
    >>> torch.promote_types(torch.uint8, torch.int8)
    torch.int16
    """
    for kind in (type1, type2):
        if isinstance(kind, NamedDtype):
            raise RuntimeError(f"Promotion from {type1.type_name} and {type2.type_name} is unsupported.")
    found = PROMOTION[type1.code][type2.code]
    if found is None and "e" in (type1.kind, type2.kind):
        raise RuntimeError(
            "Promotion for Float8 Types is not supported, attempted to promote "
            f"{type1.type_name} and {type2.type_name}"
        )
    if found is None:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{type1.type_name} and {type2.type_name}"
        )
    return found


def combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """The result type of a higher category and a lower one, either of which may be absent."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        return higher.to_complex() if lower.is_complex else higher
    if lower.kind in "fec":
        return lower
    return promote_types(higher, lower) if higher is bool_ else higher


class _Defaults:
    """The default floating-point dtype, one for the process."""

    float = float32


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats.

    >>> import pullback as torch
    >>> torch.get_default_dtype()
    torch.float32
    """
    return _Defaults.float


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether PyTorch's casting rules allow the conversion in an in-place op.

    >>> import pullback as torch
    >>> torch.can_cast(torch.float64, torch.float32), torch.can_cast(torch.float32, torch.int64)
    (True, False)
    """
    rank, target = _KIND_RANKS.get(from_.kind, 0), _KIND_RANKS.get(to.kind, 3)
    if rank == 3 and target != 3:
        return False
    if rank == 2 and target < 2:
        return False
    return not (to is bool_ and from_ is not bool_)


def number_dtype(number: object) -> dtype | None:
    """The dtype that a Python or NumPy number stands for in promotion; None if it is no number."""
    if isinstance(number, (np.bool_, bool)):
        return bool_
    if isinstance(number, (int, np.integer)):
        return int64
    if isinstance(number, (float, np.floating)):
        return _Defaults.float
    if isinstance(number, (complex, np.complexfloating)):
        return _Defaults.float.to_complex()
    return None


def _of_python_type(given: Any) -> dtype:
    """The dtype that Python's `float`, `int` or `complex` stands for; a dtype stands for itself."""
    return {float: float64, complex: complex128, int: int64}.get(given, given)


class finfo:
    """Machine limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution.

    >>> import pullback as torch
    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: dtype | None = None) -> None:
        type = _of_python_type(get_default_dtype() if type is None else type)
        if not (type.is_floating_point or type.is_complex):
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        real = type.to_real()
        if real.is_native:
            info: Any = np.finfo(real.numpy)
        else:
            import ml_dtypes

            info = ml_dtypes.finfo(real.numpy)
        self.bits = real.itemsize * 8
        self.eps = 0.125 if real is float8_e5m2fnuz else float(info.eps)  # there PyTorch's is half of it
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = float(info.tiny)
        self.smallest_normal = self.tiny
        self.resolution = float(f"1e-{info.precision}") if real.kind == "f" else 1.0
        self.dtype = real.name

    def __repr__(self) -> str:
        def short(x: float) -> str:
            return f"{x:g}"

        return (
            f"finfo(resolution={short(self.resolution)}, min={short(self.min)}, max={short(self.max)}, "
            f"eps={short(self.eps)}, smallest_normal={short(self.smallest_normal)}, "
            f"tiny={short(self.tiny)}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: bits, max, min.

    >>> import pullback as torch
    >>> torch.iinfo(torch.int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    def __init__(self, type: dtype) -> None:
        if type.kind not in "ui" or isinstance(type, NamedDtype):
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
            )
        info = np.iinfo(type.numpy)
        self.bits, self.max, self.min, self.dtype = info.bits, int(info.max), int(info.min), type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


class device:
    """Where a tensor lives: "cpu", or "meta" for shapes without numbers.

    >>> import pullback as torch
    >>> torch.device("cpu")
    device(type='cpu')
    """

    _KNOWN = (
        "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, "
        "mps, meta, hpu, mtia, privateuseone"
    )
    type: str
    index: int | None

    def __init__(self, type: str | device | int, index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index  # type: ignore[assignment]
        elif isinstance(type, int):
            if type < 0:
                raise RuntimeError("Device index must not be negative")
            raise RuntimeError("Cannot access accelerator device when none is available.")
        elif not isinstance(type, str):
            raise TypeError(
                f"device() received an invalid combination of arguments - got ({_type_name(type)}), but "
                "expected one of:\n * (torch.device device)\n      didn't match because some of the "
                f"arguments have invalid types: (!{_type_name(type)}!)\n * (str type, int index = -1)\n"
            )
        if not type:
            raise RuntimeError("Device string must not be empty")
        kind, colon, number = type.partition(":")
        if kind not in self._KNOWN.split(", "):
            raise RuntimeError(f"Expected one of {self._KNOWN} device type at start of device string: {kind}")
        if colon:
            if not number.isdecimal() or number != str(int(number)):
                raise RuntimeError(f"Invalid device string: '{type}'")
            if index is not None:
                raise RuntimeError(
                    f"type (string) must not include an index because index was passed explicitly: {type}"
                )
            index = int(number)
        if index is not None and index < 0:
            raise RuntimeError("Device index must not be negative")
        self.type, self.index = kind, index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + ("" if self.index is None else f", index={self.index}") + ")"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        DEVICES.append(as_device(self))
        return self

    def __exit__(self, *exc: object) -> None:
        DEVICES.pop()


def _type_name(value: object) -> str:
    return type(value).__name__


CPU, META = device("cpu"), device("meta")
DEVICES = [CPU]
"""Where new tensors go is the last of these; before it stand those to come back to."""


def get_default_device() -> device:
    """The device of new tensors whose maker is given none.

    >>> import pullback as torch
    >>> torch.get_default_device()
    device(type='cpu')
    """
    return DEVICES[-1]


def set_default_device(device: str | device | int | None) -> None:
    """Sets the device of new tensors; None is the CPU. `with torch.device("meta"):` does so for a while.

    >>> import pullback as torch
    >>> with torch.device("meta"):
    ...     torch.zeros(10**6, 10**6).shape
    torch.Size([1000000, 1000000])
    """
    DEVICES[-1] = CPU if device is None else as_device(device)


def as_device(given: str | device | int | None) -> device:
    """The device of an argument, the default one for None; an error where Pullback has no such device."""
    if given is None:
        return DEVICES[-1]
    found = given if isinstance(given, device) else device(given)
    if found.type == "cpu":
        return CPU
    if found.type == "meta":
        return META
    if found.type in ("cuda", "xpu"):
        raise AssertionError(f"Torch not compiled with {found.type.upper()} enabled")
    if found.type == "mps":
        raise RuntimeError("PyTorch is not linked with support for mps devices")
    raise RuntimeError(f"Pullback has no {found.type} device; its devices are 'cpu' and 'meta'")


class _Constant:
    """A named constant that prints as `torch.name`, such as a layout."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.name,)


class layout(_Constant):
    """How a tensor's elements are stored."""


class memory_format(_Constant):
    """The order of the dimensions in memory."""


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")
sparse_bsr = layout("sparse_bsr")
sparse_bsc = layout("sparse_bsc")
jagged = layout("jagged")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")


class Size(tuple[int, ...]):
    """A tensor's shape: a tuple of ints.

    >>> import pullback as torch
    >>> torch.ones(2, 3).shape
    torch.Size([2, 3])
    """

    __slots__ = ()

    def __new__(cls, sizes: Any = ()) -> Size:
        made = tuple.__new__(cls, sizes)
        for place, size in enumerate(made):
            if isinstance(size, (int, np.integer)):
                continue
            if not hasattr(type(size), "__index__"):
                raise TypeError(
                    f"torch.Size() takes an iterable of 'int' (item {place} is '{type(size).__name__}')"
                )
            return tuple.__new__(cls, [index(n) for n in made])
        return made

    def __repr__(self) -> str:
        return f"torch.Size({list(self)!r})"

    def numel(self) -> int:
        """The number of elements: the product of the entries, 1 for no dimensions."""
        total = 1
        for n in self:
            total *= n
        return total

    def __getitem__(self, key: Any) -> Any:
        got = tuple.__getitem__(self, key)
        return Size(got) if isinstance(key, slice) else got

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return Size(tuple.__add__(other, self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        return Size(tuple.__mul__(self, other))

    __rmul__ = __mul__

    def __reduce__(self) -> tuple[Any, ...]:
        return Size, (tuple(self),)
