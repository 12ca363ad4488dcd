from typing import Any

from pullback.core.types import Array


RUNS: dict[str, dict[str | int, Any]]
"""Op -> dtype's name, or size of an element -> capsule of its compiled run."""
def table() -> dict[str, dict[str | int, Any]]: ...
def take_true(a: Array, mask: Array) -> Array: ...
def places_of_true(mask: Array) -> Array: ...
