"""Adafactor: the squares of a matrix's gradient kept as a mean of rows and one of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor, count_up
from pullback.core.dtypes import finfo
from pullback.face.absent import getter
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    check,
    check_steps,
    scalar,
    unrecorded,
    unscaled,
)

__all__ = ["Adafactor", "adafactor"]


class Adafactor(Optimizer):
    """Adafactor: the gradient over the root of an estimate of its square, clipped, and scaled like `param`.

    The estimate of a matrix is `row_var @ col_var` over the mean of `row_var`, so that it takes the memory of
    two vectors; that of a vector is a running mean, `variance`. What is new in step t has the weight
    `t**beta2_decay`. The step has at most the root mean square `d`, and is scaled by the parameter's, at
    least `eps[1]`, and by `min(lr, 1 / sqrt(t))`.
    """

    _later: ClassVar[dict[str, Any]] = {"foreach": None}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check(not isinstance(lr, Tensor) or lr.numel() == 1, "Tensor lr must be 1-element")
        check(lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        check(beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        check(eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        check(eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        check(d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}")
        check(weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _names(self, group: Group) -> tuple[str, ...]:
        return ("row_var", "col_var", "variance", "step")

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        state: dict[str, Any] = {"step": scalar()}
        grad = p.grad
        if grad.dim() > 1:
            rows, columns = list(grad.shape), list(grad.shape)
            rows[-1], columns[-2] = 1, 1
            return {**state, "row_var": grad.new_zeros(rows), "col_var": grad.new_zeros(columns)}
        return {**state, "variance": ops.zeros_like(grad)}

    @unrecorded
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        return self._step_by(adafactor, closure)


def _size(x: Any) -> float:
    """The root mean square of a tensor."""
    norm: float = ops.vector_norm(x).item()
    return norm / x.numel() ** 0.5


def _estimate(grad: Any, row_var: Any, col_var: Any, variance: Any, weight: float, eps1: float) -> Any:
    """Takes a gradient into the running means, and estimates its square by them."""
    if row_var is None:
        variance.lerp_(grad * grad, weight)
        return variance
    for mean, dim in ((row_var, -1), (col_var, -2)):
        norm = ops.vector_norm(grad, dim=dim, keepdim=True)
        mean.lerp_(norm * norm / grad.size(dim), weight)
    return row_var @ col_var / row_var.mean(-2, keepdim=True).clamp(min=eps1)


def adafactor(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Tensor | None],
    col_vars: list[Tensor | None],
    variances: list[Tensor | None],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    *,
    d: float,
    lr: float | Tensor,
    beta2_decay: float,
    weight_decay: float,
    eps1: float | None,
    eps2: float,
    maximize: bool,
) -> None:
    """The step of `Adafactor` on lists."""
    check_steps(state_steps)
    given = unscaled(grads, grad_scale, found_inf)
    if given is None:
        return
    if any(p.is_complex() for p in params):
        raise RuntimeError("Adafactor does not support complex parameters")
    rate = lr.item() if isinstance(lr, Tensor) else lr
    rows = zip(params, given, row_vars, col_vars, variances, state_steps, strict=True)
    for param, grad, row_var, col_var, variance, counter in rows:
        grad = -grad if maximize else grad
        step = count_up([counter])
        eps = finfo(param.dtype).eps if eps1 is None else eps1
        scale = max(eps2, _size(param)) * min(rate, 1 / step**0.5)
        if weight_decay != 0:
            param.mul_(1 - rate * weight_decay)
        estimate = _estimate(grad, row_var, col_var, variance, step**beta2_decay, eps)
        update = estimate.clamp(min=eps * eps).rsqrt() * grad
        param.add_(update, alpha=-scale / max(1.0, _size(update) / d))


__getattr__ = getter(__name__)
