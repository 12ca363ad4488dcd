from typing import Any

from pullback.core.types import Array

RUNS: dict[str, Any]

def between(x: Array, y: Array, out: Array, p: float) -> None: ...
def within(x: Array, out: Array, p: float) -> None: ...
