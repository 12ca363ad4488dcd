"""`torch.utils.cpp_extension`: extensions in C++ are written against PyTorch's library, which is not here."""

from __future__ import annotations

import importlib.util
from typing import Any, NoReturn

from pullback.face.absent import getter

__all__ = [
    "BuildExtension",
    "CUDAExtension",
    "CppExtension",
    "include_paths",
    "is_ninja_available",
    "load",
    "load_inline",
    "verify_ninja_availability",
]

CUDA_HOME: str | None = None
ROCM_HOME: str | None = None
CUDNN_HOME: str | None = None
IS_HIP_EXTENSION = False


def _refuse(name: str) -> NoReturn:
    raise RuntimeError(
        f"torch.utils.cpp_extension.{name}: Pullback cannot build or load C++ extensions, which are written "
        "against PyTorch's C++ library"
    )


def load(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: no C++ is built."""
    _refuse("load")


def load_inline(name: str, cpp_sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: no C++ is built."""
    _refuse("load_inline")


def CppExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: no C++ is built."""
    _refuse("CppExtension")


def CUDAExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: no C++ is built."""
    _refuse("CUDAExtension")


class BuildExtension:
    """A name for setup scripts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("BuildExtension")

    @classmethod
    def with_options(cls, **options: Any) -> type[BuildExtension]:
        """The class itself."""
        return cls


def include_paths(device_type: str = "cpu") -> list[str]:
    """The folders of PyTorch's headers: none."""
    return []


def is_ninja_available() -> bool:
    """Whether the build tool ninja is installed."""
    return importlib.util.find_spec("ninja") is not None


def verify_ninja_availability() -> None:
    """RuntimeError where the build tool ninja is missing."""
    if not is_ninja_available():
        raise RuntimeError("Ninja is required to load C++ extensions (pip install ninja to get it)")


__getattr__ = getter(__name__)
