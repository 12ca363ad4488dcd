"""`torch.autograd.forward_ad`: dual numbers by hand. The machinery is `transforms/tangents.py`."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.transforms.stack import entered
from pullback.transforms.tangents import Tangents

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """A tensor's value and its tangent, None where it has none."""

    primal: Tensor
    tangent: Tensor | None


class _Duals(threading.local):
    """The dual level of a thread and its context, none or one."""

    def __init__(self) -> None:
        self.levels: list[tuple[Tangents, Any]] = []


_duals = _Duals()


def enter_dual_level() -> int:
    """Begins forward mode on this thread; RuntimeError within another dual level."""
    if _duals.levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    level = Tangents()
    context = entered(level)
    context.__enter__()
    _duals.levels.append((level, context))
    return len(_duals.levels) - 1


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends forward mode; tangents are forgotten."""
    if not _duals.levels:
        raise RuntimeError("Dual level must be a positive number.")
    if level is not None and level != len(_duals.levels) - 1:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    _duals.levels.pop()[1].__exit__()


class dual_level:
    """Within, tensors may carry tangents.

    >>> import pullback as torch
    >>> import pullback.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(torch.tensor(3.0), torch.tensor(1.0))
    ...     fwAD.unpack_dual(x * x).tangent
    tensor(6.)
    """

    def __enter__(self) -> int:
        self.level = enter_dual_level()
        return self.level

    def __exit__(self, *exc: object) -> None:
        exit_dual_level(level=self.level)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of `tensor` that carries `tangent`, which has its shape; both are real or complex."""
    if not _duals.levels:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for name, x in (("primal", tensor), ("tangent", tangent)):
        if x.dtype.kind not in "fc":
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
    innermost = _duals.levels[-1][0]
    if innermost.carries(tensor):
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            "same level 0 is not supported."
        )
    if tangent.shape != tensor.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the "
            f"original Tensor, this is not supported. Tensor is of size {list(tensor.shape)} "
            f"while the given forward gradient is of size {list(tangent.shape)}."
        )
    made = innermost.dual(ops.view_as(tensor, tensor), tangent)
    innermost.share(made, tangent)
    return made


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a tensor."""
    if not _duals.levels:
        return UnpackedDualTensor(tensor, None)
    innermost = _duals.levels[-1][0]
    primal = ops.view_as(tensor, tensor)
    innermost.forget(primal)
    return UnpackedDualTensor(primal, innermost.tangent(tensor))


def tangent_of(x: Any) -> Any:
    """The tangent that a tensor carries at the dual level of this thread, None for none."""
    return _duals.levels[-1][0].tangent(x) if _duals.levels else None


__getattr__ = getter(__name__)
