"""`torch.ao.quantization`: nothing is quantised; the stubs that models contain pass numbers on."""

from __future__ import annotations

from typing import Any

from pullback import nn
from pullback.face.placeholders import placeholders

__all__ = ["DeQuantStub", "QuantStub", "QuantWrapper"]


class QuantStub(nn.Module):
    """A module that returns its input."""

    def __init__(self, qconfig: Any = None) -> None:
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x: Any) -> Any:
        return x


class DeQuantStub(QuantStub):
    """A module that returns its input."""


class QuantWrapper(nn.Module):
    """A module between two stubs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.add_module("quant", QuantStub())
        self.add_module("dequant", DeQuantStub())
        self.add_module("module", module)
        self.train(module.training)

    def forward(self, X: Any) -> Any:
        return self.dequant(self.module(self.quant(X)))


__getattr__ = placeholders(__name__, "does not quantise")
