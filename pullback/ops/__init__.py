"""The op table. Importing it declares every op and hands the engine those it needs itself.

All ops and composites stand here by their names, so a rule writes `ops.where(...)` whatever file
`where` is in.
"""

from __future__ import annotations

import importlib
from typing import Any

from pullback import _engine
from pullback._engine import Tensor
from pullback.op import SURFACE

FAMILIES = [
    "pointwise",
    "arithmetic",
    "rounding",
    "parts",
    "bits",
    "compare",
    "math",
    "shape",
    "axes",
    "memory",
    "casts",
    "reduce",
    "expsums",
    "extremes",
    "norms",
    "scan",
    "sorting",
    "order",
]


def _collect() -> None:
    for family in FAMILIES:
        module = importlib.import_module(f"pullback.ops.{family}")
        for name, value in vars(module).items():
            if not name.startswith("_") and callable(value):
                globals().setdefault(name, value)


_collect()


def __getattr__(name: str) -> Any:
    raise AttributeError(f"Pullback has no op '{name}'")


OPERATORS = (
    "add sub mul div pow pow_number rpow rsub neg matmul lt le gt ge eq ne "
    "bitwise_and bitwise_or bitwise_xor detach as_strided"
)
