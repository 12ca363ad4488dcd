"""What steps.pyx offers to Python."""

from typing import Any

from pullback.core.types import Array

CHAIN: Any
POINTWISE: Any
LINE_BLOCK: int
PRODUCT: Any
MULTIPLY: dict[str, Any]
QUICK: bool
OF_SUM: int
WIDEST: int
MOST_ROWS: int
PAIRS: dict[str, Any]
UNIT: dict[str, Any]
WIDEN: dict[str, Any]
NARROW: dict[str, Any]

def address(run: Any) -> int: ...
def call(
    run: Any, geometry: tuple[int, ...], arrays: tuple[Array, ...], parts: int = 1, scratch: int = 0
) -> int: ...
def loop_of(ufunc: Any, code: int) -> tuple[int, int]: ...
def matrix_loop(ufunc: Any, typenum: int) -> tuple[int, int]: ...
