from typing import Any

STEPS: dict[str, int]
"""The kinds of steps: name -> number."""

RUNS: dict[str, Any]
"""dtype's name -> capsule of the function that runs a program on tensors of that dtype."""

BLOCK: int
"""Elements of a register."""

REGISTERS: int
"""How many registers a program may have."""
