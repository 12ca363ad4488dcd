"""What resample.pyx offers to Python."""

from typing import Any

from pullback.core.types import Array

GATHER: Any
WEIGH: dict[str, Any]

def take_runs(x: Array, y: Array, outer: int, size: int, inner: int, source: Array, length: Array, places: int) -> None: ...
def weighted_sums(x: Array, y: Array, outer: int, size: int, inner: int, places: int, start: Array, index: Array, weight: Array | None, divisor: Array | None) -> None: ...
