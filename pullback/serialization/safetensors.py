"""Tensors by name in a safetensors file: the length of a header, the header, which is JSON, the numbers.

A file says for each tensor its dtype, its shape and where its numbers are. It holds nothing that could be
run.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array, unrecordable
from pullback.core.dtypes import (
    DTYPES,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
)
from pullback.face.absent import getter
from pullback.serialization.files import replaced

__all__ = ["load_safetensors", "save_safetensors"]

LENGTH = struct.Struct("<Q")
MOST = 100_000_000  # bytes of a header

_NAMES = "BOOL U8 I8 I16 I32 I64 U16 U32 U64 F16 BF16 F32 F64 C64"
NAMES = dict(zip(DTYPES, _NAMES.split(), strict=False))  # complex128 has none
NAMES |= {float8_e4m3fn: "F8_E4M3", float8_e5m2: "F8_E5M2", float8_e8m0fnu: "F8_E8M0"}
NAMES |= {float8_e4m3fnuz: "F8_E4M3FNUZ", float8_e5m2fnuz: "F8_E5M2FNUZ"}
KINDS = {name: kind for kind, name in NAMES.items()}


def save_safetensors(
    tensors: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors by name to a safetensors file, which is replaced when all is written.

    Each is written by itself, contiguous: what shares memory before does not after. TypeError for a dtype
    that the format has not.

    >>> import os, tempfile
    >>> import pullback as torch
    >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
    >>> torch.save_safetensors({"w": torch.ones(2)}, path)
    >>> torch.load_safetensors(path)
    {'w': tensor([1., 1.])}
    """
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    place = 0
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))  # stays aligned
    for name, tensor in ordered:
        if tensor.dtype not in NAMES:
            raise TypeError(f"safetensors files have no {tensor.dtype}, as tensor {name!r} is")
        end = place + tensor.numel() * tensor.dtype.itemsize
        where = {"shape": list(tensor.shape), "data_offsets": [place, end]}
        header[name] = {"dtype": NAMES[tensor.dtype], **where}
        place = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with replaced(os.fspath(path)) as file:
        file.write(LENGTH.pack(len(text)) + text)
        for _, tensor in ordered:
            file.write(np.ascontiguousarray(tensor._array).reshape(-1).view(np.uint8).data)


def load_safetensors(path: str | os.PathLike[str], mmap: bool = False) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    `mmap=True` leaves the numbers in the file until they are needed. RuntimeError for a broken file.
    """
    unrecordable("a file that is read")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(LENGTH.size)
        length = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else -1
        if not 0 <= length <= min(MOST, size - LENGTH.size):
            raise RuntimeError("Error while deserializing header: the length of the header is wrong")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise RuntimeError("Error while deserializing header: it is no JSON") from None
        begin = LENGTH.size + length
        if mmap and size > begin:
            data: Any = np.memmap(path, np.uint8, "c")[begin:]
        else:
            data = np.fromfile(file, np.uint8)
    if not isinstance(header, dict):
        raise RuntimeError("Error while deserializing header: it is no table")
    header.pop("__metadata__", None)
    found = {name: _tensor(name, entry, data) for name, entry in header.items()}
    if sum(tensor.nbytes for tensor in found.values()) != len(data):
        raise RuntimeError("Error while deserializing header: the tensors are not all of the file")
    return found


def _tensor(name: str, entry: Any, data: Any) -> Tensor:
    """The tensor that an entry of the header describes."""
    try:
        kind, shape, (begin, end) = KINDS[entry["dtype"]], entry["shape"], entry["data_offsets"]
        good = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        good = good and end <= len(data) and end - begin == math.prod(shape) * kind.itemsize
        good = good and isinstance(shape, list) and len(shape) <= 64
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise RuntimeError(
            f"Error while deserializing header: the tensor {name[:50]!r} is not in the file so"
        )
    part = data[begin:end]
    if begin % kind.itemsize:
        part = part.copy()
    return from_array(part.view(kind.numpy).reshape(shape))


__getattr__ = getter(__name__)
