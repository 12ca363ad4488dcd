"""Parameters as one vector, and back, as `torch.nn.utils.convert_parameters`."""

from __future__ import annotations

from collections.abc import Iterable

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter, shown

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of the parameters, one parameter after another.

    >>> import pullback as torch
    >>> torch.nn.utils.parameters_to_vector([torch.ones(1), torch.zeros(1, 2)])
    tensor([1., 0., 0.])
    """
    return ops.cat([p.view(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Makes the parts of a vector the data of the parameters: the inverse of `parameters_to_vector`."""
    if not isinstance(vec, Tensor):
        kind = type(vec)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{shown(kind.__module__)}.{kind.__name__}"
        raise TypeError(f"expected torch.Tensor, but got: {name}")
    place = 0
    for p in parameters:
        count = p.numel()
        p.data = vec[place : place + count].view_as(p).data
        place += count


__getattr__ = getter(__name__)
