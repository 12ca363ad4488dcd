"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor, count_up
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _get_scalar_dtype,
    _use_grad_for_differentiable,
    alike,
    check,
    check_capturable,
    check_rate,
    check_steps,
    scalar,
    zeros_for,
)

__all__ = ["ASGD", "asgd"]


class ASGD(Optimizer):
    """Gradient descent with a rate that falls, and beside it the mean of the parameters, `ax`, from `t0` on.

    The rate of step t is `lr / (1 + lambd * lr * t)**alpha`; `lambd` also shrinks the parameters.
    """

    _state_names = ("mu", "ax", "eta", "step")
    _later: ClassVar[dict[str, Any]] = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_rate(lr)
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for kept in self.state.values():
            for name in ("eta", "mu"):
                if kept and not isinstance(kept[name], Tensor):
                    kept[name] = ops.tensor(kept[name], dtype=_get_scalar_dtype())

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        lr = group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]
        return {"step": scalar(), "eta": scalar(lr), "mu": scalar(1.0), "ax": zeros_for(p)}

    def _lists(self, group: Group) -> list[list[Any]]:
        params, grads, mus, means, etas, steps = self._gather(group)
        return [params, grads, means, mus, etas, steps]

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(asgd, closure)


@formula
def _asgd(
    param: Any,
    grad: Any,
    ax: Any,
    *,
    weight_decay: Any,
    shrink: Any,
    descent: Any,
    mu: Any,
    maximize: bool,
    decays: bool,
    averages: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays:
        grad = plus_scaled(grad, param, weight_decay)
    param = plus_scaled(param * shrink, grad, descent)
    return param, None, ax + (param - ax) * mu if averages else param


def asgd(
    params: list[Tensor],
    grads: list[Tensor],
    axs: list[Tensor],
    mus: list[Tensor],
    etas: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lambd: float,
    lr: float,
    t0: float,
    alpha: float,
    weight_decay: float,
) -> None:
    """The step of `ASGD` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable, "params, mus, etas, and state_steps")
    given: list[list[Any]] = [params, grads, axs, mus, etas]
    found = alike(given, count_up(state_steps), count_up(mus, 0), count_up(etas, 0))
    for step, mu, eta, (*lists, some_mus, some_etas) in found:
        numbers = {
            "weight_decay": weight_decay,
            "shrink": 1 - lambd * eta,
            "descent": -eta,
            "mu": mu,
        }
        _asgd(lists, numbers, maximize=maximize, decays=weight_decay != 0, averages=mu != 1)
        rate = lr / (1 + lambd * lr * step) ** alpha
        for some, value in ((some_mus, 1 / max(1, step - t0)), (some_etas, rate)):
            rounded = ops.as_tensor(value)
            for number in some:
                number.copy_(rounded)


__getattr__ = getter(__name__)
