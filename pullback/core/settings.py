"""Settings of the process: threads, determinism, warnings.

What changes how tensors are made is elsewhere: the default dtype in `dtypes`, printing in
`printing`. Read `warn` and `warn_each_time`, which all warnings of ops go through: a call that warns is not
recorded, so that it warns each time it would. What has been said once for the process may be.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import sys
import warnings
from importlib.util import find_spec
from typing import Any, ClassVar

from pullback.core import _pool
from pullback.core._engine import forget_tapes, unrecordable

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_deterministic_debug_mode",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "get_num_threads",
    "is_deterministic_algorithms_warn_only_enabled",
    "is_warn_always_enabled",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_num_interop_threads",
    "set_num_threads",
    "set_warn_always",
    "use_deterministic_algorithms",
    "warn",
    "warn_each_time",
]


class _State:
    warn_always = False
    warn_only = False
    deterministic = 0  # 0 off, 1 warn, 2 error: PyTorch's debug modes
    precision = "highest"
    threads: int | None = None
    interop_threads: int | None = None
    warned: ClassVar[set[str]] = set()


# ------------------------------------------------------------------------------------- warnings


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns once in the life of the process; each time after `set_warn_always(True)`."""
    if _State.warn_always or message not in _State.warned:
        _State.warned.add(message)
        warn_each_time(message, category)


def warn_each_time(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns as `warnings.warn` does, of the line outside this package that led here."""
    unrecordable("a warning")
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    known = frame.f_globals.setdefault("__warningregistry__", {})
    file, module = frame.f_code.co_filename, frame.f_globals.get("__name__", "<string>")
    warnings.warn_explicit(message, category, file, frame.f_lineno, module, known)


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def set_warn_always(b: bool, /) -> None:
    """Whether warnings that are given once in a process are given each time.

    >>> import pullback as torch
    >>> torch.set_warn_always(False)
    """
    if not isinstance(b, bool):
        raise RuntimeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _State.warn_always = b
    forget_tapes()  # of functions that had warned


def is_warn_always_enabled() -> bool:
    """Whether once-only warnings are given each time."""
    return _State.warn_always


# -------------------------------------------------------------------------------------- threads


@functools.cache
def blas_threads() -> list[tuple[Any, Any]]:
    """What tells and what sets the threads of an OpenBLAS, NumPy's and SciPy's; none elsewhere."""
    found = []
    for package in ("numpy", "scipy"):
        spec = find_spec(package)  # which loads nothing
        folder = os.path.dirname(str(spec and spec.origin))
        for path in glob.glob(folder + ".libs/*openblas*") + glob.glob(folder + "/.dylibs/*openblas*"):
            library = ctypes.CDLL(path)
            for name in (
                "scipy_openblas_{}_num_threads64_",
                "scipy_openblas_{}_num_threads",
                "openblas_{}_num_threads",
            ):
                if hasattr(library, name.format("set")):
                    found.append((getattr(library, name.format("get")), getattr(library, name.format("set"))))
                    break
    return found


def get_num_threads() -> int:
    """How many threads one op may use: at first OMP_NUM_THREADS, or as many as there are processors.

    >>> import pullback as torch
    >>> torch.get_num_threads() >= 1
    True
    """
    if _State.threads is None:
        _State.threads = _pool.threads()
    return _State.threads


def set_num_threads(int: int, /) -> None:
    """Sets how many threads one op may use; RuntimeError for other than a positive integer.

    Results do not depend on it. Matrix products and decompositions are done by threads of BLAS, all else by a
    pool of Pullback's.

    >>> import pullback as torch
    >>> torch.set_num_threads(torch.get_num_threads())
    """
    _State.threads = _thread_count("set_num_threads", int)
    _pool.set_threads(_State.threads)
    for _, set_threads in blas_threads():
        set_threads(_State.threads)


def _thread_count(name: str, count: Any) -> int:
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise RuntimeError(f"{name} expects an int, but got {type(count).__name__}")
    if count <= 0:
        raise RuntimeError(f"{name} expects a positive integer")
    return count.__index__()


def get_num_interop_threads() -> int:
    """How many ops may run at once: one for each thread of the program that calls them."""
    return _State.interop_threads or os.cpu_count() or 1


def set_num_interop_threads(int: int, /) -> None:
    """Kept and given back: ops run on the thread that calls them, whatever it is set to."""
    _State.interop_threads = _thread_count("set_num_interop_threads", int)


# ---------------------------------------------------------------------------------- determinism


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Asks for ops that give the same result each time, which all of Pullback's do.

    >>> import pullback as torch
    >>> torch.use_deterministic_algorithms(True)
    >>> torch.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(
            "_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, "
            f"not {type(mode).__name__}"
        )
    _State.deterministic, _State.warn_only = (1 if warn_only else 2) if mode else 0, bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` is on."""
    return _State.deterministic > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it is on with `warn_only`."""
    return _State.warn_only


def get_deterministic_debug_mode() -> int:
    """0 for off, 1 for warn, 2 for error."""
    return _State.deterministic


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same setting as a number, or as "default", "warn", "error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    names = ["default", "warn", "error"]
    if isinstance(debug_mode, str):
        if debug_mode not in names:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, "
                f"but got {debug_mode}"
            )
        debug_mode = names.index(debug_mode)
    elif not 0 <= debug_mode <= 2:
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _State.deterministic, _State.warn_only = debug_mode, debug_mode == 1


def set_float32_matmul_precision(precision: str) -> None:
    """Kept and given back: products of float32 matrices are always computed in float32.

    >>> import pullback as torch
    >>> torch.set_float32_matmul_precision("high"); torch.get_float32_matmul_precision()
    'high'
    >>> torch.set_float32_matmul_precision("highest")
    """
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    _State.precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given last, "highest" at first."""
    return _State.precision
