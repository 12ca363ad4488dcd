"""Muon: momentum for matrices, made orthogonal before each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import bfloat16
from pullback.face.absent import getter
from pullback.optim.optimizer import Group, Optimizer, ParamsT, check, unrecorded, zeros_for

__all__ = ["Muon"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b and c of the polynomial a x + b x**3 + c x**5 that drives singular values towards one."""


class Muon(Optimizer):
    """Muon: a step along the orthogonal factor of the momentum, for parameters that are matrices.

    The factor is approached by `ns_steps` steps of Newton and Schulz, each a polynomial in the matrix, in
    bfloat16. `adjust_lr_fn` "original" (the default) multiplies `lr` by `sqrt(max(1, rows / columns))`,
    "match_rms_adamw" by `0.2 * sqrt(max(rows, columns))`. Weight decay shrinks the parameters themselves.
    """

    _state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check(not isinstance(lr, Tensor) or lr.numel() == 1, "Tensor lr must be 1-element")
        check(lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        check(momentum >= 0.0, f"momentum should be >= 0 but is: {momentum}")
        check(weight_decay >= 0.0, f"weight decay should be >= 0 but is: {weight_decay}")
        check(
            adjust_lr_fn in (None, "original", "match_rms_adamw"),
            f"Adjust learning rate function {adjust_lr_fn} is not supported",
        )
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                check(
                    p.ndim == 2,
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}",
                )

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        return {"momentum_buffer": zeros_for(p.grad)}

    @unrecorded
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        loss = self._loss(closure)
        for group in self.param_groups:
            params, grads, buffers = self._gather(group)
            muon(
                params,
                grads,
                buffers,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                nesterov=group["nesterov"],
                ns_coefficients=group["ns_coefficients"],
                eps=group["eps"],
                ns_steps=group["ns_steps"],
                adjust_lr_fn=group["adjust_lr_fn"],
                has_complex=any(p.is_complex() for p in params),
            )
        return loss


def _zeropower_via_newtonschulz(
    grad: Any, ns_coefficients: tuple[float, float, float], ns_steps: int, eps: float
) -> Any:
    """A matrix with singular values near one and the singular vectors of `grad`, in bfloat16."""
    check(ns_steps < 100, "Number of steps must be less than 100 for computational efficiency")
    check(len(grad.shape) == 2, "Input tensor gradient must be a 2D matrix")
    check(len(ns_coefficients) == 3, "Coefficients must be a tuple of exactly 3 values")
    a, b, c = ns_coefficients
    x = grad.to(dtype=bfloat16)
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(ns_steps):
        square = x @ x.T
        polynomial = ops.addmm(square, square, square, beta=b, alpha=c)
        x = ops.addmm(x, polynomial, x, beta=a)
    return x.T if tall else x


def _adjust_lr(lr: float, adjust_lr_fn: str | None, param_shape: Sequence[int]) -> float:
    """The rate for a matrix of this shape."""
    rows, columns = param_shape[:2]
    if adjust_lr_fn in (None, "original"):
        return lr * math.sqrt(max(1, rows / columns))
    return lr * (0.2 * math.sqrt(max(rows, columns)))


def muon(
    params: list[Tensor],
    grads: list[Tensor],
    muon_momentum_bufs: list[Tensor],
    *,
    foreach: bool | None = None,
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
    ns_coefficients: tuple[float, float, float],
    ns_steps: int,
    eps: float,
    adjust_lr_fn: str | None,
    has_complex: bool,
) -> None:
    """The step of `Muon` on lists."""
    if foreach:
        raise RuntimeError("Foreach is not supported for Muon yet")
    if has_complex:
        raise RuntimeError("Muon does not support complex parameters")
    rate = lr.item() if isinstance(lr, Tensor) else lr
    for param, grad, buffer in zip(params, grads, muon_momentum_bufs, strict=True):
        check(grad.ndim == 2, "Param gradient must be a 2D matrix")
        buffer.lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if nesterov else buffer
        update = _zeropower_via_newtonschulz(update, ns_coefficients, ns_steps, eps)
        param.mul_(1 - rate * weight_decay)
        param.add_(update.to(param.dtype), alpha=-_adjust_lr(rate, adjust_lr_fn, param.shape))


__getattr__ = getter(__name__)
