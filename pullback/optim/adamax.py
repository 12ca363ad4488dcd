"""Adamax: Adam by the largest gradient instead of the mean of squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, mean_of, plus_quotient, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _use_grad_for_differentiable,
    check,
    check_betas,
    check_capturable,
    check_rate,
    check_steps,
    scalar,
    steps_up,
    zeros_for,
)

__all__ = ["Adamax", "adamax"]


class Adamax(Optimizer):
    """Adamax: steps along the mean of the gradient, over its largest magnitude, which fades.

    `exp_inf` becomes `max(beta2 * exp_inf, |grad| + eps)`.
    """

    _state_names = ("exp_avg", "exp_inf", "step")
    _later: ClassVar[dict[str, Any]] = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_rate(lr)
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check_betas(betas)
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        return {"step": scalar(), "exp_avg": zeros_for(p), "exp_inf": zeros_for(p)}

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(adamax, closure)


@formula
def _adamax(
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_inf: Any,
    *,
    weight_decay: Any,
    new1: Any,
    beta2: Any,
    eps: Any,
    descent: Any,
    maximize: bool,
    decays: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays:
        grad = plus_scaled(grad, param, weight_decay)
    exp_avg = mean_of(exp_avg, grad, new1)
    exp_inf = (exp_inf * beta2).maximum(grad.abs() + eps)
    return plus_quotient(param, exp_avg, exp_inf, descent), None, exp_avg, exp_inf


def adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
) -> None:
    """The step of `Adamax` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable)
    for step, lists in steps_up([params, grads, exp_avgs, exp_infs], state_steps):
        numbers = {
            "weight_decay": weight_decay,
            "new1": 1 - beta1,
            "beta2": beta2,
            "eps": eps,
            "descent": -(lr / (1 - beta1**step)),
        }
        _adamax(lists, numbers, maximize=maximize, decays=weight_decay != 0)


__getattr__ = getter(__name__)
