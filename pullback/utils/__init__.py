"""`torch.utils`: what is useful beside tensors. Each module is imported when it is first named."""

from __future__ import annotations

import copyreg
import weakref
from typing import Any

from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.face.absent import getter


def set_module(obj: Any, mod: str) -> None:
    """Says which module a class or function is of, for what is printed of it."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


def swap_tensors(t1: Tensor, t2: Tensor) -> None:
    """Swaps what two tensors are: class, attributes, numbers, gradient and place in the graph.

    What refers to the one object then has the other tensor. RuntimeError if a graph or a view keeps one of
    them, or their classes have different slots.

    >>> import pullback as torch
    >>> a, b = torch.zeros(2), torch.nn.Parameter(torch.ones(3))
    >>> torch.utils.swap_tensors(a, b)
    >>> a
    Parameter containing:
    tensor([1., 1., 1.], requires_grad=True)
    """
    for name, t in (("t1", t1), ("t2", t2)):
        if len(weakref.getweakrefs(t)) > _engine.own_weakrefs(t):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    slots, others = (set(copyreg._slotnames(type(t))) for t in (t1, t2))  # type: ignore[attr-defined]
    if slots != others:
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    _engine.swap(t1, t2)
    for slot in slots:
        values = [getattr(t, slot, _NOTHING) for t in (t1, t2)]
        for t, value in zip((t2, t1), values, strict=True):
            if value is not _NOTHING:
                setattr(t, slot, value)
            elif hasattr(t, slot):
                delattr(t, slot)


_NOTHING = object()

__getattr__ = getter(__name__)
