"""What messages call a dtype: by the tensor type, `Float`, or by the type in C++, `float`."""

from __future__ import annotations

from typing import Any

from pullback.core.dtypes import DTYPES, from_numpy_dtype

C_NAMES = {
    "bool": "bool",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
    "uint16": "short unsigned int",
    "uint32": "unsigned int",
    "uint64": "long unsigned int",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
    "float64": "double",
    "complex32": "c10::complex<c10::Half>",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}
"""The types of C++ by the names of dtypes."""
C_NAMES |= {d.name: f"c10::{d.type_name}" for d in DTYPES if d.kind == "e"}

WIDTH_NAMES = C_NAMES | {
    name: f"{name}_t" for name in ("uint8", "int8", "int16", "int64", "uint16", "uint32", "uint64")
}
"""The same, with the width of integers in their names, as conversions have it."""


def type_name(a: Any) -> str:
    """The name of the tensor type of an array or a spec, as `dtype.type_name`: `Long`."""
    return from_numpy_dtype(a.dtype).type_name


def c_name(a: Any) -> str:
    """The C++ type of an array's, or a spec's, elements: `long int`."""
    return C_NAMES[from_numpy_dtype(a.dtype).name]
