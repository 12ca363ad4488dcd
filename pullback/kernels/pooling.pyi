"""What pooling.pyx offers to Python."""

from typing import Any

from pullback.core.types import Array

RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""

def address(a: Array) -> int: ...
def run(
    op: str, geometry: tuple[int, ...], arrays: tuple[Array, ...], parts: int, scratch: int = 0
) -> int: ...
def table() -> dict[str, dict[str, Any]]: ...
