"""Adam: steps by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, mean_of, plus_product, plus_quotient, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _device_dtype_check_for_fused,
    _use_grad_for_differentiable,
    check,
    check_betas,
    check_capturable,
    check_fused,
    check_rate,
    check_steps,
    scalar,
    steps_up,
    unscaled,
    zeros_for,
)

__all__ = ["Adam", "adam"]


class Adam(Optimizer):
    """Adam: steps along the mean of the gradient, over the root of the mean of its square.

    `exp_avg` and `exp_avg_sq` are running means with the weights `1 - betas`, corrected for their start at
    zero. `weight_decay` adds to the gradient or, with `decoupled_weight_decay`, shrinks the parameter
    itself; `amsgrad` divides by the largest mean of squares so far.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = torch.optim.Adam([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    _later: ClassVar[dict[str, Any]] = {
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "fused": None,
    }

    _refusal = "Adam does not support sparse gradients, please consider SparseAdam instead"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        refused = foreach and not capturable
        named: dict[str, Any] = {"lr": lr, "betas[0]": betas[0], "betas[1]": betas[1]}
        if isinstance(lr, Tensor):
            check(not refused, _refusal("lr"))
        check_rate(lr)
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check_betas(betas)
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        kinds = [isinstance(beta, Tensor) for beta in betas]
        check(kinds[0] == kinds[1], "betas must be either both floats or both Tensors")
        for name in ("betas[0]", "betas[1]"):
            if isinstance(named[name], Tensor):
                check(not refused, _refusal(name))
                check(named[name].numel() == 1, f"Tensor {name} must be 1-element")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        check_fused(self, fused, foreach, differentiable)

    def _names(self, group: Group) -> tuple[str, ...]:
        largest = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        return ("exp_avg", "exp_avg_sq", *largest, "step")

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        if group["fused"]:
            _device_dtype_check_for_fused(p)
        state = {"step": scalar(fused=group["fused"]), "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}
        return {**state, "max_exp_avg_sq": zeros_for(p)} if group["amsgrad"] else state

    def _lists(self, group: Group) -> list[list[Any]]:
        params, grads, means, squares, *largest, steps = self._gather(group)
        return [params, grads, means, squares, largest[0] if largest else [], steps]

    def _init_group(self, group: Group, *lists: list[Any]) -> bool:
        params, grads, means, squares, largest, steps = lists
        between = (largest,) if group["amsgrad"] else ()
        return super()._init_group(group, params, grads, means, squares, *between, steps)

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(adam, closure)


def _refusal(name: str) -> str:
    return f"{name} as a Tensor is not supported for capturable=False and foreach=True"


@formula
def _adam(
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    *max_exp_avg_sq: Any,
    weight_decay: Any,
    shrink: Any,
    new1: Any,
    beta2: Any,
    new2: Any,
    root: Any,
    eps: Any,
    descent: Any,
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
    largest = [last.maximum(exp_avg_sq) for last in max_exp_avg_sq]
    denominator = (largest[0] if largest else exp_avg_sq).sqrt() / root + eps
    return plus_quotient(param, exp_avg, denominator, descent), None, exp_avg, exp_avg_sq, *largest


def adam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    decoupled_weight_decay: bool = False,
    *,
    amsgrad: bool,
    beta1: float | Tensor,
    beta2: float | Tensor,
    lr: float | Tensor,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """The step of `Adam` on lists."""
    check_steps(state_steps)
    given = unscaled(grads, grad_scale, found_inf)
    if given is None or not params:
        return
    check_capturable(capturable)
    lists: list[list[Any]] = [params, given, exp_avgs, exp_avg_sqs]
    if amsgrad:
        lists.append(max_exp_avg_sqs)
    for step, some in steps_up(lists, state_steps):
        numbers = {
            "weight_decay": weight_decay,
            "shrink": 1 - lr * weight_decay,
            "new1": 1 - beta1,
            "beta2": beta2,
            "new2": 1 - beta2,
            "root": (1 - beta2**step) ** 0.5,
            "eps": eps,
            "descent": -(lr / (1 - beta1**step)),
        }
        _adam(some, numbers, maximize=maximize, decays=weight_decay != 0, decoupled=decoupled_weight_decay)


__getattr__ = getter(__name__)
