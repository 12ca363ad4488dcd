"""RAdam: Adam that waits until its mean of squares can be relied on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, mean_of, plus_product, plus_scaled
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

__all__ = ["RAdam", "radam"]


class RAdam(Optimizer):
    """RAdam: a step of Adam, times a factor for the variance of its denominator; without it while unknown.

    The length of the mean is `rho = 2 / (1 - beta2) - 1`, that of step t `rho_t = rho - 2 t beta2**t /
    (1 - beta2**t)`; up to 5 steps go along the mean of the gradient alone.
    """

    _state_names = ("exp_avg", "exp_avg_sq", "step")
    _later: ClassVar[dict[str, Any]] = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
        "decoupled_weight_decay": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        return {"step": scalar(), "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(radam, closure)


@formula
def _radam(
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    *,
    weight_decay: Any,
    shrink: Any,
    new1: Any,
    beta2: Any,
    new2: Any,
    correction: Any,
    eps: Any,
    root: Any,
    rectification: Any,
    descent: Any,
    maximize: bool,
    decays: bool,
    decoupled: bool,
    rectified: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays and decoupled:
        param = param * shrink
    elif decays:
        grad = plus_scaled(grad, param, weight_decay)
    exp_avg = mean_of(exp_avg, grad, new1)
    exp_avg_sq = plus_product(exp_avg_sq * beta2, grad, grad, new2)
    step = exp_avg / correction * descent
    if rectified:
        step = step * (root / (exp_avg_sq.sqrt() + eps)) * rectification
    return param + step, None, exp_avg, exp_avg_sq


def radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
    eps: float,
) -> None:
    """The step of `RAdam` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable)
    longest = 2 / (1 - beta2) - 1
    flags = {"maximize": maximize, "decays": weight_decay != 0, "decoupled": decoupled_weight_decay}
    for step, lists in steps_up([params, grads, exp_avgs, exp_avg_sqs], state_steps):
        correction2 = 1 - beta2**step
        length = longest - 2 * step * beta2**step / correction2
        rectified = length > 5.0
        factor = 1.0
        if rectified:
            ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            factor = ratio**0.5
        numbers = {
            "weight_decay": weight_decay,
            "shrink": 1 - lr * weight_decay,
            "new1": 1 - beta1,
            "beta2": beta2,
            "new2": 1 - beta2,
            "correction": 1 - beta1**step,
            "eps": eps,
            "root": correction2**0.5,
            "rectification": factor,
            "descent": -lr,
        }
        _radam(lists, numbers, **flags, rectified=rectified)


__getattr__ = getter(__name__)
