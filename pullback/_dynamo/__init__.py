"""`torch._dynamo`: the names by which packages ask PyTorch's compiler; nothing is compiled."""

from __future__ import annotations

from typing import Any

from pullback._dynamo.eval_frame import OptimizedModule
from pullback.compiler import (
    allow_in_graph,
    assume_constant_result,
    compile,
    disable,
    is_compiling,
    list_backends,
    reset,
)
from pullback.face.absent import getter

__all__ = [
    "OptimizedModule",
    "allow_in_graph",
    "assume_constant_result",
    "config",
    "disable",
    "disallow_in_graph",
    "forbid_in_graph",
    "graph_break",
    "is_compiling",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "maybe_mark_dynamic",
    "optimize",
    "reset",
]


class _Config:
    """Settings of the compiler: any may be set and read."""

    suppress_errors = False
    cache_size_limit = 8
    verbose = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


config = _Config()


def optimize(backend: Any = "inductor", **options: Any) -> Any:
    """A decorator that returns its function."""
    return compile()


def disallow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


forbid_in_graph = disallow_in_graph


def graph_break(msg: str = "") -> None:
    """Nothing is recorded that could break."""


def mark_dynamic(t: Any, index: Any, **options: Any) -> None:
    """Accepted: shapes are what they are at each call."""


maybe_mark_dynamic = mark_static = mark_static_address = mark_dynamic

__getattr__ = getter(__name__)
