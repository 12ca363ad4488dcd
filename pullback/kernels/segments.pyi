"""What segments.pyx offers to Python."""

from typing import Any

RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""

def table() -> dict[str, dict[str, Any]]: ...
