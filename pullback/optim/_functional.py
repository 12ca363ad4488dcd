"""The steps of optimizers on lists that have no other place."""

from __future__ import annotations

from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter


def sparse_adam(
    params: list[Tensor],
    grads: list[Any],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[int],
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float,
    maximize: bool,
) -> None:
    """The step of `SparseAdam`: that of Adam for the rows that sparse gradients have, and no others."""
    for param, grad, exp_avg, exp_avg_sq, step in zip(
        params, grads, exp_avgs, exp_avg_sqs, state_steps, strict=True
    ):
        rows = (-grad if maximize else grad).coalesce()
        values, places = rows._values(), tuple(rows._indices())
        if not values.numel():
            continue
        mean = exp_avg[places].lerp(values, 1 - beta1)
        square = exp_avg_sq[places] * beta2 + values * values * (1 - beta2)
        exp_avg[places], exp_avg_sq[places] = mean, square
        size = lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        param[places] = param[places] - mean / (square.sqrt() + eps) * size


__getattr__ = getter(__name__)
