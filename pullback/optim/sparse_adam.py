"""SparseAdam: Adam for gradients with few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.optim import _functional
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    check,
    check_betas,
    check_rate,
    unrecorded,
    zeros_for,
)

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam for sparse gradients: only the rows that they have are changed, states included.

    RuntimeError for dense gradients.
    """

    _state_names = ("exp_avg", "exp_avg_sq")
    _takes_sparse = True

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_rate(lr)
        check(lr > 0.0, f"Invalid learning rate: {lr}")
        check(eps > 0.0, f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse = [
            [i, j]
            for i, group in enumerate(self.param_groups)
            for j, p in enumerate(group["params"])
            if getattr(p, "is_sparse", False)
        ]
        check(not sparse, f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        return {"step": 0, "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    @unrecorded
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        loss = self._loss(closure)
        for group in self.param_groups:
            if any(p.grad is not None and not getattr(p.grad, "is_sparse", False) for p in group["params"]):
                raise RuntimeError(
                    "SparseAdam does not support dense gradients, please consider Adam instead"
                )
            params, grads, means, squares = self._gather(group)
            for p in params:
                self.state[p]["step"] += 1
            beta1, beta2 = group["betas"]
            _functional.sparse_adam(
                params,
                grads,
                means,
                squares,
                [self.state[p]["step"] for p in params],
                eps=group["eps"],
                beta1=beta1,
                beta2=beta2,
                lr=group["lr"],
                maximize=group["maximize"],
            )
        return loss


__getattr__ = getter(__name__)
