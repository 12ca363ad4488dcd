"""`summary`: the layers of a module as a table of shapes, parameters, operations and memory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pullback.autograd.graph import saved
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad
from pullback.nn import Module
from pullback.see.flops import FlopCounterMode
from pullback.see.page import bytes_text
from pullback.see.recording import memory_of
from pullback.see.tables import table
from pullback.transforms.stack import bottom
from pullback.utils._pytree import tree_leaves


@dataclass
class Layer:
    """One module: its dotted name, class, the shapes of its first results, own and all parameters, flops."""

    name: str
    kind: str
    depth: int
    shapes: list[list[int]] = field(default_factory=list)
    parameters: int = 0
    flops: int = 0
    calls: int = 0


@dataclass
class Summary:
    """What `summary` found. `str` of it is a table; `layers` are in the order of their definition."""

    layers: list[Layer]
    parameters: int
    trainable: int
    flops: int
    parameter_bytes: int
    saved_bytes: int

    def __str__(self) -> str:
        rows = []
        for layer in self.layers:
            name = (
                "  " * layer.depth
                + (f"{layer.name.rpartition('.')[2]}: " if layer.depth else "")
                + layer.kind
            )
            shapes = ", ".join(map(str, layer.shapes)) or "not called"
            again = f" x{layer.calls}" if layer.calls > 1 else ""
            rows.append((name, shapes + again, f"{layer.parameters:,}", f"{layer.flops:,}"))
        return "\n".join(
            [
                table(("Layer", "Result", "Parameters", "FLOP"), rows),
                "",
                f"parameters: {self.parameters:,} ({bytes_text(self.parameter_bytes)}), "
                f"of them trainable: {self.trainable:,}",
                f"FLOP of a call: {self.flops:,}; kept for its backward pass: {bytes_text(self.saved_bytes)}",
            ]
        )

    __repr__ = __str__


def summary(model: Module, *inputs: Any, depth: int | None = None, **options: Any) -> Summary:
    """Calls a module once and says of each of its parts what came out, how many parameters it has and
    how many floating point operations its matrix products and convolutions took. `depth` leaves out what lies
    deeper.

    The module is called as it stands, with gradients; buffers change as in any call, and random numbers are
    drawn.

    >>> import pullback as torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> print(torch.summary(net, torch.ones(4, 2)))
    Layer        Result  Parameters  FLOP
    -----------  ------  ----------  ----
    Sequential   [4, 1]          13    72
      0: Linear  [4, 3]           9    48
      1: ReLU    [4, 3]           0     0
      2: Linear  [4, 1]           4    24
    <BLANKLINE>
    parameters: 13 (52 B), of them trainable: 13
    FLOP of a call: 72; kept for its backward pass: 80 B
    """
    layers = {
        module: Layer(name, type(module).__name__, name.count(".") + bool(name), parameters=_count(module))
        for name, module in model.named_modules()
    }
    with contextlib.ExitStack() as context, FlopCounterMode(display=False) as counter:

        def before(module: Module, args: Any) -> None:
            started.append(counter.get_total_flops())

        def after(module: Module, args: Any, result: Any) -> None:
            layer = layers[module]
            layer.flops += counter.get_total_flops() - started.pop()
            layer.calls += 1
            if layer.calls == 1:
                layer.shapes = [list(x.shape) for x in tree_leaves(result) if isinstance(x, Tensor)]

        started: list[int] = []
        for module in layers:
            context.callback(module.register_forward_pre_hook(before).remove)
            context.callback(module.register_forward_hook(after).remove)
        with enable_grad():
            result = model(*inputs, **options)
    outputs = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
    parameters = list(model.parameters())
    return Summary(
        [layer for layer in layers.values() if depth is None or layer.depth <= depth],
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        counter.get_total_flops(),
        sum(p.nbytes for p in parameters),
        _saved_bytes(outputs, parameters),
    )


def _count(module: Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _saved_bytes(outputs: list[Tensor], parameters: Sequence[Tensor]) -> int:
    """What the graph keeps, each piece of memory once and without the parameters."""
    arrays = {id(a): a for a in (memory_of(x) for _, _, x in saved(outputs) if not bottom(x).is_meta)}
    own = {id(memory_of(p)) for p in parameters}
    return sum(a.nbytes for key, a in arrays.items() if key not in own)
