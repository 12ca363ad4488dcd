"""Seeing gradients: `explain` says what became of one; `draw`, `memory_report` and `summary` show the graph."""

from pullback.see.drawing import Drawing, draw
from pullback.see.explain import Explanation, explain
from pullback.see.recording import explaining

__all__ = ["Drawing", "Explanation", "draw", "explain", "explaining"]
