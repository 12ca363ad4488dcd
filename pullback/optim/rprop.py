"""Rprop: steps by the sign of the gradient, longer while it stays, shorter where it turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula
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

__all__ = ["Rprop", "rprop"]


class Rprop(Optimizer):
    """Rprop, for full batches: each element moves by a step of its own against the gradient's sign.

    The step, `lr` at first, is multiplied by `etas[1]` where the sign is that of the last gradient, and by
    `etas[0]` where it has turned, in which case the element stays for once. `step_sizes` bound it.
    """

    _state_names = ("prev", "step_size", "step")
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
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_rate(lr)
        check(0.0 < etas[0] < 1.0 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        lr = group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]
        size = ops.full_like(p, complex(lr, lr) if p.is_complex() else lr)
        return {"step": scalar(), "prev": zeros_for(p), "step_size": size}

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(rprop, closure)


@formula
def _rprop(
    param: Any,
    grad: Any,
    prev: Any,
    step_size: Any,
    *,
    etaminus: Any,
    etaplus: Any,
    smallest: Any,
    largest: Any,
    minus: Any,
    maximize: bool,
) -> Any:
    if maximize:
        grad = -grad
    kept = grad * prev
    stays, turns = kept > 0, kept < 0
    changed = step_size * kept.sign().masked_fill(stays, etaplus).masked_fill(turns, etaminus)
    step_size = changed.where(stays, changed.where(turns, step_size))
    step_size = step_size.clamp(smallest, largest)
    grad = grad.masked_fill(turns, 0)
    return param.addcmul(grad.sign(), step_size, value=minus), None, grad, step_size


def rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    step_size_min: float,
    step_size_max: float,
    etaminus: float,
    etaplus: float,
) -> None:
    """The step of `Rprop` on lists."""
    check_steps(state_steps)
    if not params:
        return
    check_capturable(capturable)
    numbers = {
        "etaminus": etaminus,
        "etaplus": etaplus,
        "smallest": step_size_min,
        "largest": step_size_max,
        "minus": -1,
    }
    for _, lists in steps_up([params, grads, prevs, step_sizes], state_steps):
        _rprop(lists, numbers, maximize=maximize)


__getattr__ = getter(__name__)
