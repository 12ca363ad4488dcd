"""What attention.pyx offers to Python."""

from typing import Any

RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""

QUICK: bool
"""Whether this processor multiplies and adds in one, without which BLAS is the better way."""

QUERIES: int
KEYS: int
"""See attend.h."""

ROWS: int
"""Of the highest tile."""
