"""What factorings.pyx offers to Python."""

from typing import Any

RUNS: dict[str, Any]

def routine_of(name: str, kind: str) -> int: ...
