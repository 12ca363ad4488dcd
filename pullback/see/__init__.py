"""Seeing gradients.

`explain` says what became of one, `draw` shows the graph, `memory_report` what it keeps alive, `summary` a
module's layers.
"""

from pullback.see.drawing import Drawing, draw
from pullback.see.explain import Explanation, explain
from pullback.see.recording import explaining

__all__ = ["Drawing", "Explanation", "draw", "explain", "explaining"]
