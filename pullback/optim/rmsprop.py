"""RMSprop: steps over the root of the mean of squares."""

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
    _use_grad_for_differentiable,
    check,
    check_capturable,
    check_rate,
    check_steps,
    scalar,
    steps_up,
    zeros_for,
)

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(Optimizer):
    """RMSprop: the gradient over the root of the running mean of its square.

    With `centered` the square of the gradient's mean is subtracted first; with `momentum` the steps are
    summed in a buffer that fades.
    """

    _later: ClassVar[dict[str, Any]] = {
        "momentum": 0,
        "centered": False,
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check(momentum >= 0.0, f"Invalid momentum value: {momentum}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        check(alpha >= 0.0, f"Invalid alpha value: {alpha}")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _names(self, group: Group) -> tuple[str, ...]:
        buffer = ("momentum_buffer",) if group["momentum"] > 0 else ()
        return ("square_avg", *buffer, *("grad_avg",) * bool(group["centered"]), "step")

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        state = {"step": scalar(), "square_avg": zeros_for(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_for(p)
        if group["centered"]:
            state["grad_avg"] = zeros_for(p)
        return state

    def _lists(self, group: Group) -> list[list[Any]]:
        params, grads, squares, *rest, steps = self._gather(group)
        buffers = rest.pop(0) if group["momentum"] > 0 else []
        return [params, grads, squares, rest[0] if rest else [], buffers, steps]

    def _init_group(self, group: Group, *lists: list[Any]) -> bool:
        params, grads, squares, means, buffers, steps = self._lists(group)
        found = [params, grads, squares, buffers, means, steps]
        for given, more in zip(lists, found, strict=True):
            given += more
        return any(p.is_complex() for p in found[0])

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(rmsprop, closure)


@formula
def _rmsprop(
    param: Any,
    grad: Any,
    square_avg: Any,
    *rest: Any,
    weight_decay: Any,
    alpha: Any,
    new: Any,
    eps: Any,
    momentum: Any,
    one: Any,
    descent: Any,
    maximize: bool,
    decays: bool,
    centered: bool,
    buffered: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays:
        grad = plus_scaled(grad, param, weight_decay)
    square_avg = plus_product(square_avg * alpha, grad, grad, new)
    mean = [mean_of(rest[0], grad, new)] if centered else []
    variance = plus_product(square_avg, mean[0], mean[0], -1) if centered else square_avg
    root = variance.sqrt() + eps
    if not buffered:
        return plus_quotient(param, grad, root, descent), None, square_avg, *mean
    buffer = plus_quotient(rest[-1] * momentum, grad, root, one)
    return plus_scaled(param, buffer, descent), None, square_avg, *mean, buffer


def rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    grad_avgs: list[Tensor],
    momentum_buffer_list: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> None:
    """The step of `RMSprop` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable)
    given: list[list[Any]] = [params, grads, square_avgs]
    given += [grad_avgs] * bool(centered) + [momentum_buffer_list] * (momentum > 0)
    numbers = {
        "weight_decay": weight_decay,
        "alpha": alpha,
        "new": 1 - alpha,
        "eps": eps,
        "momentum": momentum,
        "one": 1,
        "descent": -lr,
    }
    flags = {"maximize": maximize, "decays": weight_decay != 0, "centered": centered}
    for _, lists in steps_up(given, state_steps):
        _rmsprop(lists, numbers, **flags, buffered=momentum > 0)


__getattr__ = getter(__name__)
