from typing import Any

from pullback.core.types import Array

RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""
TYPES: dict[str, int]
"""What `distinct` calls a dtype, by its name."""
def table() -> dict[str, dict[str, Any]]: ...
def distinct(a: Array, type: int) -> tuple[Array, Array, Array]: ...
def counted(a: Array, least: int) -> Array | None: ...
