"""Seeing gradients.

`explain` says what became of one, `draw` shows the graph, `memory_report` what it keeps alive, `summary` a
module's layers.
"""

from pullback.see.drawing import Drawing, draw
from pullback.see.explain import Explanation, explain
from pullback.see.memory import MemoryReport, memory_report
from pullback.see.recording import explaining
from pullback.see.summary import Summary, summary

__all__ = [
    "Drawing",
    "Explanation",
    "MemoryReport",
    "Summary",
    "draw",
    "explain",
    "explaining",
    "memory_report",
    "summary",
]
