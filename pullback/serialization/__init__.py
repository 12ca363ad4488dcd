"""`torch.save` and `torch.load`: files in PyTorch's formats, which go both ways.

Here stand the two functions. `zipped` and `legacy` are the formats, `archive` is the
container of the first; `pickling` and `names` say how objects are described, `restricted` reads descriptions
without running them, `locations` has `map_location`, `settings` what else they go by.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import warnings
from typing import Any

from pullback.core._engine import unrecordable
from pullback.face.absent import getter
from pullback.serialization import legacy, zipped
from pullback.serialization.archive import MAGIC, Reader
from pullback.serialization.files import replaced
from pullback.serialization.locations import (
    MAP_LOCATION,
    default_restore_location,
    location_tag,
    mapping_of,
    register_package,
)
from pullback.serialization.pickling import _get_layout
from pullback.serialization.restricted import (
    WeightsUnpickler,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)
from pullback.serialization.settings import (
    LoadEndianness,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    maps_shared,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)

__all__ = [
    "MAP_LOCATION",
    "LoadEndianness",
    "_get_layout",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "register_package",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]

DEFAULT_PROTOCOL = 2

DOCUMENTED = (
    "Check the documentation of torch.load to learn more about types accepted by default with weights_only "
    "https://pytorch.org/docs/stable/generated/torch.load.html."
)
RISK = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` from "
    "`False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but "
    "it can result in arbitrary code execution. Do it only if you got the file from a trusted source."
)
OPTIONS = (
    "Weights only load failed. This file can still be loaded, to do so you have two options, \x1b[1mdo those "
    "steps only if you trust the source of the checkpoint\x1b[0m. \n"
    f"\t(1) {RISK}\n"
    "\t(2) Alternatively, to load with `weights_only=True` please check the recommended steps in the "
    "following error message.\n"
    "\tWeightsUnpickler error: "
)

# ------------------------------------------------------------------------------------------ save


def save(
    obj: object,
    f: Any,
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Writes an object, with all tensors in it, to a file: a path, or an object with `write`.

    Tensors that share memory before share it after. A file at a path is replaced when all of the new one is
    written, so that there is always a whole one. RuntimeError if tensors of several dtypes share a memory.

    >>> import io
    >>> import pullback as torch
    >>> file = io.BytesIO()
    >>> torch.save({"w": torch.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    {'w': tensor([1., 1.])}
    """
    unrecordable("a file that is written")
    if isinstance(f, (str, os.PathLike)):
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0] or "archive"
        with replaced(os.fspath(f)) as file:
            _write(obj, file, name, pickle_module, pickle_protocol, _use_new_zipfile_serialization)
        return
    if not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    _write(obj, f, "archive", pickle_module, pickle_protocol, _use_new_zipfile_serialization)


def _write(obj: object, file: Any, name: str, module: Any, protocol: int, in_archive: bool) -> None:
    if in_archive:
        zipped.write(obj, file, name, module, protocol)
    else:
        legacy.write(obj, file, module, protocol)


# ------------------------------------------------------------------------------------------ load


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """The object that `save`, of Pullback or of PyTorch, has written to a file: a path, or a file object.

    By default only weights are loaded: tensors, numbers, texts and containers of them, and what
    `add_safe_globals` has allowed; nothing that a file contains is run. `weights_only=False` loads any object
    and runs what the file says. `map_location` says where storages go, as a device, a dict or a function of
    the storage and its location. `mmap=True` leaves them in the file until they are needed. UnpicklingError
    for a file with other objects, RuntimeError for a broken one.

    >>> import io
    >>> import pullback as torch
    >>> file = io.BytesIO()
    >>> torch.save(torch.arange(3), file)
    >>> _ = file.seek(0)
    >>> torch.load(file, map_location="cpu")
    tensor([0, 1, 2])
    """
    if weights_only is None:
        weights_only = pickle_module is None
    elif weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if weights_only and pickle_load_args:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
        for unknown in pickle_load_args.keys() - {"encoding"}:
            raise TypeError(f"Unpickler.__init__() got an unexpected keyword argument '{unknown}'")
    mapped = bool(mmap if mmap is not None else False)
    pickle_load_args.setdefault("encoding", "utf-8")
    how = mapping_of(map_location), weights_only, pickle_module or pickle, pickle_load_args
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _read(file, how, mapped)
    if mapped:
        raise ValueError("f must be a file path in order to use the mmap argument")
    return _read(_seekable(f), how, False)


def _seekable(file: Any) -> Any:
    """The file, or AttributeError if it cannot be read at any place."""
    for name in ("seek", "tell", "read"):
        if not hasattr(file, name):
            raise AttributeError(
                f"'{type(file).__name__}' object has no attribute '{name}'. You can only torch.load from a "
                "file that is seekable. Please pre-load the data into a buffer like io.BytesIO and try to "
                "load from it instead."
            )
    return file


def _read(file: Any, how: tuple[Any, ...], mapped: bool) -> Any:
    """The object in a file of either format."""
    unrecordable("a file that is read")
    begin = file.tell()
    head = file.read(len(MAGIC))
    file.seek(begin)
    weights_only = how[1]
    if not head:
        raise EOFError("Ran out of input")
    if head != MAGIC and mapped:
        raise RuntimeError(
            f"mmap can only be used with files saved with `torch.save({file.name}, "
            "_use_new_zipfile_serialization=True), please torch.save your checkpoint with this option in "
            "order to use mmap."
        )
    try:
        if head != MAGIC:
            return legacy.Loader(file, *how).load()
        memory = _map(file) if mapped else None
        return zipped.Loader(Reader(file), memory, *how).load()
    except pickle.UnpicklingError as error:
        if not weights_only:
            raise
        raise pickle.UnpicklingError(_explained(str(error))) from None


def _map(file: Any) -> mmap.mmap:
    """A file as memory: reads come from it, writes stay with this process unless it is set otherwise."""
    if maps_shared():
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _explained(reason: str) -> str:
    """What is said of a file that has more than weights, or is broken."""
    if reason.startswith("Unsupported global"):
        return f"{OPTIONS}{reason}\n\n{DOCUMENTED}"
    return f"Weights only load failed. {RISK}\n\n\n{reason}\n\n{DOCUMENTED}"


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file that `load` would refuse, unless they are allowed. Nothing is made of it."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    if f.read(len(MAGIC)) != MAGIC:
        raise ValueError("Expected input to be a checkpoint returned by torch.save")
    f.seek(0)
    reader = WeightsUnpickler(Reader(f).read("data.pkl").data, 0, lambda pid: None)
    reader.names = []
    reader.load()
    allowed = {name for name in reader.names if reader.is_allowed(name)}
    return [name for name in dict.fromkeys(reader.names) if name not in allowed]


def _load_from_bytes(data: bytes) -> Any:
    """The storage of a pickle of PyTorch's."""
    return load(io.BytesIO(data), weights_only=False)


FILE_LIKE = Any

__getattr__ = getter(__name__)
