"""`torch._tensor`: names that files of PyTorch refer to."""

from __future__ import annotations

from typing import Any

from pullback._utils import _with_state
from pullback.core._engine import Tensor, make_subclass
from pullback.face.absent import getter

__all__ = ["Tensor", "_rebuild_from_type_v2"]


def _rebuild_from_type_v2(func: Any, new_type: Any, args: Any, state: Any) -> Any:
    """A tensor of a subclass, or one with attributes."""
    made = func(*args)
    if type(made) is not new_type:
        made = make_subclass(new_type, made.detach(), made.requires_grad)
    own = getattr(new_type, "__setstate__", None)
    if own is not None and own is not getattr(Tensor, "__setstate__", None):
        own(made, state)
        return made
    return _with_state(made, state)


__getattr__ = getter(__name__)
