"""`torch.fx.passes.shape_prop`: shapes and dtypes of what the nodes of a graph give."""

from __future__ import annotations

from typing import Any, NamedTuple

from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.core.dtypes import dtype as Dtype
from pullback.face.absent import getter
from pullback.fx.interpreter import Interpreter
from pullback.fx.node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor."""

    shape: Size
    dtype: Dtype
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: Any
    is_quantized: bool
    qparams: dict[str, Any]


def _metadata(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    return TensorMetadata(x.shape, x.dtype, x.requires_grad, x.stride(), None, False, {})


class ShapeProp(Interpreter):
    """Runs a graph, and notes of each node `meta["tensor_meta"]` and `meta["type"]`."""

    def __init__(self, gm: Any, fake_mode: Any = None) -> None:
        super().__init__(gm)

    def run_node(self, n: Node) -> Any:
        """What one node gives."""
        result = super().run_node(n)
        if isinstance(result, (Tensor, tuple, list, dict)):
            n.meta["tensor_meta"] = map_aggregate(result, _metadata)
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """Runs the graph on arguments."""
        return super().run(*args)


__getattr__ = getter(__name__)
