"""What steps.pyx offers to Python."""

from typing import Any

CHAIN: Any
POINTWISE: Any
PRODUCT: Any
WIDEN: dict[str, Any]
NARROW: dict[str, Any]

def address(run: Any) -> int: ...
def loop_of(ufunc: Any, code: int) -> tuple[int, int]: ...
def matrix_loop(ufunc: Any, typenum: int) -> tuple[int, int]: ...
