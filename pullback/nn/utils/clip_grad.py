"""Gradients kept from growing too large, as `torch.nn.utils.clip_grad`.

`foreach` is taken and ignored: all gradients are always gone through at once.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable
from typing import Any

from pullback import ops
from pullback.autograd import no_grad
from pullback.core._engine import Tensor, fold_all, listening
from pullback.face.absent import getter
from pullback.kernels.reduce import RUNS
from pullback.ops.shared.programs import formula

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = Tensor | Iterable[Tensor]


_FOLDS = {1.0: RUNS["norm1"], 2.0: RUNS["norm2"], math.inf: RUNS["norm_inf"]}


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


@formula
def _scaled(grad: Any, *, factor: Any) -> Any:
    return (grad * factor,)


@formula
def _cut_off(grad: Any, *, low: Any, high: Any) -> Any:
    return (grad.clamp(low, high),)


@no_grad()
def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of several tensors as of one vector of all their elements; the norm of their norms.

    With `error_if_nonfinite` a RuntimeError if it is infinite or NaN.

    >>> import pullback as torch
    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    given, power = _listed(tensors), float(norm_type)
    if not given:
        return ops.tensor(0.0)
    quick = listening() is None and power in _FOLDS and (power < math.inf or all(t.numel() for t in given))
    total: Tensor | None = fold_all(given, _FOLDS[power]) if quick else None
    if total is None:
        total = ops.vector_norm(ops.stack([ops.vector_norm(t, power) for t in given]), power)
    if error_if_nonfinite and (total.isnan() | total.isinf()):
        raise RuntimeError(
            f"The total norm of order {power} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales the gradients by `max_norm / (total_norm + 1e-6)`, in place, if that is below 1."""
    _scale(_gradients(parameters), max_norm, total_norm)


def _scale(grads: list[Tensor], max_norm: float, total_norm: Tensor) -> None:
    if grads:
        factor = ops.clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
        _scaled([grads], {"factor": factor})


@no_grad()
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales the gradients so that their norm, as of one vector, is at most `max_norm`; returns what it was.

    >>> import pullback as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> torch.nn.utils.clip_grad_norm_([w], 1.0), w.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    grads = _gradients(parameters)
    total = get_total_norm(grads, norm_type, error_if_nonfinite)
    _scale(grads, max_norm, total)
    return total


@functools.wraps(clip_grad_norm_)
def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Cuts each element of the gradients off at `clip_value` and `-clip_value`, in place.

    >>> import pullback as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> w.grad = torch.tensor([-3.0, 0.5])
    >>> torch.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([-1.0000,  0.5000])
    """
    bound, grads = float(clip_value), _gradients(parameters)
    if grads:
        _cut_off([grads], {"low": -bound, "high": bound})


__getattr__ = getter(__name__)
