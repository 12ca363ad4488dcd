"""The text of tensors and the options that shape it, as `torch._tensor_str`."""

from __future__ import annotations

from pullback.core._engine import Tensor
from pullback.core.printing import (
    PRINT_OPTS,
    array_str,
    get_printoptions,
    printoptions,
    set_printoptions,
)
from pullback.face.absent import getter

__all__ = ["PRINT_OPTS", "get_printoptions", "printoptions", "set_printoptions"]


def _tensor_str(self: Tensor, indent: int) -> str:
    """The numbers of a tensor in brackets, lines but the first indented."""
    return array_str(self.detach().numpy(), indent)


def _str(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """The whole text of a tensor."""
    return repr(self)


__getattr__ = getter(__name__)
