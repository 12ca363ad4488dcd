"""`torch.fx`: programs as graphs, traced with stand-ins for their inputs, changed, run and written as code.

`symbolic_trace` makes a `GraphModule`. Its `Graph` is a list of `Node`s, each a call; `Interpreter` runs
them one after another, `Transformer` makes a changed graph. Control flow that depends on a stand-in is
refused.
"""

from pullback.face.absent import getter
from pullback.fx._symbolic_trace import Tracer, symbolic_trace, wrap
from pullback.fx.graph import CodeGen, Graph
from pullback.fx.graph_module import GraphModule
from pullback.fx.interpreter import Interpreter, Transformer
from pullback.fx.node import Node, has_side_effect, map_arg
from pullback.fx.proxy import Proxy
from pullback.fx.subgraph_rewriter import replace_pattern

__all__ = [
    "CodeGen",
    "Graph",
    "GraphModule",
    "Interpreter",
    "Node",
    "Proxy",
    "Tracer",
    "Transformer",
    "has_side_effect",
    "map_arg",
    "replace_pattern",
    "symbolic_trace",
    "wrap",
]

__getattr__ = getter(__name__)
