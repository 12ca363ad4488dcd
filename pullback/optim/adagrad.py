"""Adagrad: steps over the root of the sum of all squares so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, plus_product, plus_quotient, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _device_dtype_check_for_fused,
    _use_grad_for_differentiable,
    check,
    check_fused,
    check_rate,
    check_steps,
    is_sparse,
    scalar,
    steps_up,
    unscaled,
    zeros_for,
)

__all__ = ["Adagrad", "adagrad"]


class Adagrad(Optimizer):
    """Adagrad: the gradient over the root of the sum of its squares.

    That sum begins at `initial_accumulator_value`; the rate of step t is `lr / (1 + (t - 1) * lr_decay)`.
    """

    _state_names = ("sum", "step")
    _takes_sparse = True
    _later: ClassVar[dict[str, Any]] = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "fused": None,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_rate(lr)
        check(lr_decay >= 0.0, f"Invalid lr_decay value: {lr_decay}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        check(
            initial_accumulator_value >= 0.0,
            f"Invalid initial_accumulator_value value: {initial_accumulator_value}",
        )
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(self, fused, foreach, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p].update(self._new_state(p, group))

    def share_memory(self) -> None:
        """Moves the sums to shared memory."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        if group["fused"]:
            _device_dtype_check_for_fused(p)
        begin = group["initial_accumulator_value"]
        start = complex(begin, begin) if p.is_complex() else begin
        return {"step": scalar(fused=group["fused"]), "sum": zeros_for(p, start)}

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(adagrad, closure)


@formula
def _adagrad(
    param: Any,
    grad: Any,
    total: Any,
    *,
    weight_decay: Any,
    one: Any,
    eps: Any,
    descent: Any,
    maximize: bool,
    decays: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays:
        grad = plus_scaled(grad, param, weight_decay)
    total = plus_product(total, grad, grad, one)
    return plus_quotient(param, grad, total.sqrt() + eps, descent), None, total


def adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    state_sums: list[Tensor],
    state_steps: list[Tensor],
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    weight_decay: float,
    lr_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """The step of `Adagrad` on lists."""
    check_steps(state_steps)
    given = unscaled(grads, grad_scale, found_inf)
    if given is None or not params:
        return
    for step, lists in steps_up([params, given, state_sums], state_steps):
        numbers = {
            "weight_decay": weight_decay,
            "one": 1,
            "eps": eps,
            "descent": -(lr / (1 + (step - 1) * lr_decay)),
        }
        sparse = [is_sparse(grad) for grad in lists[1]]
        if any(sparse):
            if weight_decay:
                raise RuntimeError("weight_decay option is not compatible with sparse gradients")
            for param, grad, total, rare in zip(*lists, sparse, strict=True):
                if rare:
                    _sparse_adagrad(param, -grad if maximize else grad, total, numbers["descent"], eps)
            lists = [[x for x, rare in zip(one, sparse, strict=True) if not rare] for one in lists]
        _adagrad(lists, numbers, maximize=maximize, decays=weight_decay != 0)


def _sparse_adagrad(param: Any, grad: Any, total: Any, descent: Any, eps: float) -> None:
    """The step for the elements that a sparse gradient has."""
    grad = grad.coalesce()
    total.add_(grad * grad)
    root = total.sparse_mask(grad)._values().sqrt() + eps
    values = grad._values() / root
    param.add_(ops.sparse_coo_tensor(grad._indices(), values, grad.shape), alpha=descent)


__getattr__ = getter(__name__)
