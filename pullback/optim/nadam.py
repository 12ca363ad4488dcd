"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor, count_up
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, mean_of, plus_product, plus_quotient, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _get_scalar_dtype,
    _use_grad_for_differentiable,
    alike,
    check,
    check_betas,
    check_capturable,
    check_rate,
    check_steps,
    scalar,
    zeros_for,
)

__all__ = ["NAdam", "nadam"]


class NAdam(Optimizer):
    """NAdam: a step of Adam along both the gradient and its mean, with a momentum that grows.

    The momentum of step t is `mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)`.
    """

    _state_names = ("exp_avg", "exp_avg_sq", "mu_product", "step")
    _later: ClassVar[dict[str, Any]] = {
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check(momentum_decay >= 0.0, f"Invalid momentum_decay value: {momentum_decay}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for kept in self.state.values():
            if kept and not isinstance(kept["mu_product"], Tensor):
                kept["mu_product"] = ops.tensor(kept["mu_product"], dtype=_get_scalar_dtype())

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        start = {"step": scalar(), "mu_product": scalar(1.0)}
        return {**start, "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(nadam, closure)


@formula
def _nadam(
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
    along_grad: Any,
    along_mean: Any,
    maximize: bool,
    decays: bool,
    decoupled: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays and decoupled:
        param = param * shrink
    elif decays:
        grad = plus_scaled(grad, param, weight_decay)
    exp_avg = mean_of(exp_avg, grad, new1)
    exp_avg_sq = plus_product(exp_avg_sq * beta2, grad, grad, new2)
    denominator = (exp_avg_sq / correction).sqrt() + eps
    param = plus_quotient(param, grad, denominator, along_grad)
    return plus_quotient(param, exp_avg, denominator, along_mean), None, exp_avg, exp_avg_sq


@formula
def _times(number: Any, *, factor: Any) -> Any:
    return (number * factor,)


def nadam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    mu_products: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
    momentum_decay: float,
    eps: float,
) -> None:
    """The step of `NAdam` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable, "params, mu_products and state_steps")
    given: list[list[Any]] = [params, grads, exp_avgs, exp_avg_sqs, mu_products]
    flags = {"maximize": maximize, "decays": weight_decay != 0, "decoupled": decoupled_weight_decay}
    for step, _, (*lists, products) in alike(given, count_up(state_steps), count_up(mu_products, 0)):
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
        _times([products], {"factor": mu})
        product = products[0].item()
        numbers = {
            "weight_decay": weight_decay,
            "shrink": 1 - lr * weight_decay,
            "new1": 1 - beta1,
            "beta2": beta2,
            "new2": 1 - beta2,
            "correction": 1 - beta2**step,
            "eps": eps,
            "along_grad": -lr * (1 - mu) / (1 - product),
            "along_mean": -lr * following / (1 - product * following),
        }
        _nadam(lists, numbers, **flags)


__getattr__ = getter(__name__)
