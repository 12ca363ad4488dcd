from typing import Any


RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""
COLUMNS: int
FEW: int
def table() -> dict[str, dict[str, Any]]: ...
