"""Names of `torch._C._profiler` that programs use."""

from __future__ import annotations

import enum
from typing import Any

from pullback.autograd.profiler import record_function as _RecordFunctionFast

__all__ = ["ProfilerActivity", "_ExperimentalConfig", "_RecordFunctionFast"]


class ProfilerActivity(enum.Enum):
    """What could be watched. Here it is the CPU alone."""

    CPU = 0
    XPU = 1
    CUDA = 2
    HPU = 3
    MTIA = 4
    PrivateUse1 = 5


class _ExperimentalConfig:
    """Settings of a profile; `profile_all_threads` is the one that changes something."""

    def __init__(self, *, profile_all_threads: bool = False, verbose: bool = False, **options: Any) -> None:
        self.profile_all_threads, self.verbose = profile_all_threads, verbose
