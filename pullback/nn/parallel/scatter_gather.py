"""Arguments parted for several devices, and results put together. Tensors cannot be: there is one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn.parallel.comm import refuse

__all__ = ["gather", "is_namedtuple", "scatter", "scatter_kwargs"]


def is_namedtuple(obj: Any) -> bool:
    """Whether something is a named tuple."""
    return isinstance(obj, tuple) and hasattr(obj, "_asdict") and hasattr(obj, "_fields")


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Any:
    """What each device gets of `inputs`: parts of its tensors, of which there can be none, and all else.

    >>> import pullback as torch
    >>> torch.nn.parallel.scatter([1, {"a": 2}], [0, 1])
    [[1, {'a': 2}], [1, {'a': 2}]]
    """
    if isinstance(inputs, Tensor):
        for device in target_gpus:
            refuse(device)
        return ()
    if is_namedtuple(inputs):
        return [type(inputs)(*parts) for parts in _parted(inputs, target_gpus, dim)]
    if isinstance(inputs, tuple) and inputs:
        return _parted(inputs, target_gpus, dim)
    if isinstance(inputs, list) and inputs:
        return [list(parts) for parts in _parted(inputs, target_gpus, dim)]
    if isinstance(inputs, dict) and inputs:
        return [type(inputs)(parts) for parts in _parted(inputs.items(), target_gpus, dim)]
    return [inputs for _ in target_gpus]


def _parted(items: Any, target_gpus: Sequence[Any], dim: int) -> list[Any]:
    return list(zip(*[scatter(item, target_gpus, dim) for item in items], strict=False))


def scatter_kwargs(
    inputs: Any, kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[Any, Any]:
    """The positional and the named arguments of each device, as many of both."""
    given = list(scatter(inputs, target_gpus, dim)) if inputs else []
    named = list(scatter(kwargs, target_gpus, dim)) if kwargs else []
    given += [()] * (len(named) - len(given))
    named += [{}] * (len(given) - len(named))
    return tuple(given), tuple(named)


def gather(outputs: Any, target_device: Any, dim: int = 0) -> Any:
    """The results of several devices in one. AssertionError: tensors lie on no other device than the CPU."""
    raise AssertionError("Gather function not implemented for CPU tensors")


__getattr__ = getter(__name__)
