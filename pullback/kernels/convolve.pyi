"""What convolve.pyx offers to Python."""

from typing import Any

RUNS: dict[str, dict[str, Any]]
"""Op -> dtype's name -> capsule of its compiled run."""

QUICK: bool
"""Whether this processor multiplies and adds in one, without which columns are the better way."""

LANES: dict[str, int]
"""Numbers of a dtype in a vector."""

UNIT_ROWS: int
TAPS: int
MORE_THAN_A_STRIP: int
"""See convolve.h."""
