"""What the compiled plans offer to Python."""

from collections.abc import Callable, Iterable
from typing import Any

from pullback.core._engine import Op
from pullback.core.dtypes import dtype as _dtype
from pullback.core.types import Array

class Spec:
    dtype: _dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # of a result perhaps None
    offset: int | None
    ndim: int
    size: int
    itemsize: int
    steps: tuple[int, ...]
    contiguous: bool
    def __init__(
        self,
        dtype: _dtype,
        shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        offset: int | None = None,
    ) -> None: ...
    def seen(
        self, shape: Iterable[int], strides: Iterable[int], offset: int = 0, dtype: _dtype | None = None
    ) -> Spec: ...
    @staticmethod
    def columns(dtype: _dtype, shape: tuple[int, ...]) -> Spec: ...

class Plan:
    results: tuple[Spec, ...]
    several: bool
    view: bool
    refuse: Callable[..., Exception | None] | None
    def __init__(
        self,
        results: Spec | tuple[Spec, ...],
        run: Any = None,
        geometry: tuple[int, ...] = (),
        parts: int = 1,
        scratch: int = 0,
        refuse: Callable[..., Exception | None] | None = None,
        over: bool = False,
        work: int = 0,
    ) -> None: ...

class Lasting: ...

def count_plans() -> tuple[int, int]: ...
def run_into(op: Op, arguments: tuple[Any, ...], results: tuple[Array, ...]) -> Plan | None: ...
def views_of(owner: Op, prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> Any: ...
def run_over(plan: Plan, arguments: tuple[Any, ...]) -> bool: ...
def use_plans(use: bool) -> bool: ...
def set_long_work(elements: int) -> int: ...
