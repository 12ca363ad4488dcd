"""Adadelta: steps as large as the last ones, by running means of squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, plus_product, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _use_grad_for_differentiable,
    check,
    check_capturable,
    check_rate,
    check_steps,
    scalar,
    steps_up,
    zeros_for,
)

__all__ = ["Adadelta", "adadelta"]


class Adadelta(Optimizer):
    """Adadelta: the gradient times the root mean square of the last steps, over that of the gradient.

    Both running means have the weight `1 - rho` for what is new.
    """

    _state_names = ("square_avg", "acc_delta", "step")
    _later: ClassVar[dict[str, Any]] = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        check(0.0 <= rho <= 1.0, f"Invalid rho value: {rho}")
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        return {"step": scalar(), "square_avg": zeros_for(p), "acc_delta": zeros_for(p)}

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(adadelta, closure)


@formula
def _adadelta(
    param: Any,
    grad: Any,
    square_avg: Any,
    acc_delta: Any,
    *,
    weight_decay: Any,
    rho: Any,
    new: Any,
    eps: Any,
    descent: Any,
    maximize: bool,
    decays: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays:
        grad = plus_scaled(grad, param, weight_decay)
    square_avg = plus_product(square_avg * rho, grad, grad, new)
    delta = (acc_delta + eps).sqrt() / (square_avg + eps).sqrt() * grad
    acc_delta = plus_product(acc_delta * rho, delta, delta, new)
    return param + delta * descent, None, square_avg, acc_delta


def adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    state_steps: list[Tensor],
    capturable: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """The step of `Adadelta` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable, supports_xla=False)
    numbers = {"weight_decay": weight_decay, "rho": rho, "new": 1 - rho, "eps": eps, "descent": -lr}
    for _, lists in steps_up([params, grads, square_avgs, acc_deltas], state_steps):
        _adadelta(lists, numbers, maximize=maximize, decays=weight_decay != 0)


__getattr__ = getter(__name__)
