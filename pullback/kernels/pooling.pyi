"""What pooling.pyx offers to Python."""

from typing import Any

from pullback.core.types import Array

RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""

def address(a: Array) -> int: ...
def table() -> dict[str, dict[str, Any]]: ...
