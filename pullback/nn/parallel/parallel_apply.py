"""Several modules called side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter

__all__ = ["get_a_var", "parallel_apply"]


def get_a_var(obj: Any) -> Tensor | None:
    """The first tensor in lists, tuples and dicts; None if there is none."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, list | tuple | dict):
        for item in obj.items() if isinstance(obj, dict) else obj:
            found = get_a_var(item)
            if found is not None:
                return found
    return None


def parallel_apply(
    modules: Sequence[Any],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[Any] | None = None,
) -> list[Any]:
    """The result of each module for its input, a tuple of arguments or one of them, and its keywords.

    >>> import pullback as torch
    >>> torch.nn.parallel.parallel_apply([torch.nn.ReLU(), torch.nn.Tanh()], [torch.ones(1), torch.zeros(1)])
    [tensor([1.]), tensor([0.])]
    """
    assert len(modules) == len(inputs), (
        f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}"
    )
    keywords = [{}] * len(modules) if kwargs_tup is None else kwargs_tup
    assert len(modules) == len(keywords)
    calls = zip(modules, inputs, keywords, strict=True)
    return [
        module(*given, **named) if isinstance(given, list | tuple) else module(given, **named)
        for module, given, named in calls
    ]


__getattr__ = getter(__name__)
