"""Averages of a model's parameters over its training, as `torch.optim.swa_utils`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from typing import Any, Literal

from pullback import ops
from pullback.autograd import no_grad
from pullback.core._engine import Tensor
from pullback.core.dtypes import int64
from pullback.face.absent import getter
from pullback.nn.modules.module import Module
from pullback.ops.shared.programs import formula
from pullback.optim.lr_scheduler.base import (
    LRScheduler,
    _format_param,
    _warn_get_lr_called_within_step,
)
from pullback.optim.optimizer import Optimizer, unrecorded

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """The function `decay * average + (1 - decay) * parameter`, for `AveragedModel`."""
    _check_decay(decay)

    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return ema_param * decay + current_param * (1 - decay)

    return no_grad()(ema_update)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """The running mean with the weight `1 - decay` for what is new, on lists of tensors in place."""
    _check_decay(decay)

    def ema_update(ema_param_list: list[Any], current_param_list: list[Any], _: Any) -> None:
        _lerp_all(ema_param_list, current_param_list, 1 - decay, get_ema_avg_fn(decay))

    return no_grad()(ema_update)


def get_swa_avg_fn() -> Callable[..., Any]:
    """The function that takes one more parameter into an equal average of `num_averaged`."""

    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return no_grad()(swa_update)


def get_swa_multi_avg_fn() -> Callable[..., Any]:
    """The equal average of all parameters so far, on lists of tensors in place."""

    def swa_update(averaged_param_list: list[Any], current_param_list: list[Any], num_averaged: Any) -> None:
        count = num_averaged.item() if isinstance(num_averaged, Tensor) else num_averaged
        mean = get_swa_avg_fn()
        _lerp_all(averaged_param_list, current_param_list, 1 / (count + 1), lambda a, b, _: mean(a, b, count))

    return no_grad()(swa_update)


@formula
def _move(average: Any, param: Any, *, weight: Any) -> Any:
    return average.lerp(param, weight), None


def _lerp_all(averages: list[Any], params: list[Any], weight: float, by_one: Callable[..., Any]) -> None:
    """Moves averages towards parameters; those of whole numbers one by one."""
    real = [x.is_floating_point() or x.is_complex() for x in averages]
    some = [[x for x, chosen in zip(lists, real, strict=True) if chosen] for lists in (averages, params)]
    if some[0]:
        _move(some, {"weight": weight})
    for average, param, chosen in zip(averages, params, real, strict=True):
        if not chosen:
            average.copy_(by_one(average, param, 0))


class AveragedModel(Module):
    """A copy of a model whose parameters are averages: equal ones, or those of `avg_fn` or `multi_avg_fn`.

    `avg_fn(average, parameter, count)` gives the new average of one tensor, `multi_avg_fn` writes those of
    lists. Buffers are copied, or averaged too with `use_buffers`. AssertionError if both functions are given.

    >>> import pullback as torch
    >>> model = torch.nn.Linear(1, 1)
    >>> average = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = torch.nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.tolist()
    [[2.0]]
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., Any] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ops.tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model gives."""
        return self.module(*args, **kwargs)

    def _averaged(self, model: Module) -> Iterator[Any]:
        return chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()

    @unrecorded
    def update_parameters(self, model: Module) -> None:
        """Takes the parameters that a model has now into the averages."""
        averages = [p.detach() for p in self._averaged(self.module)]
        params = [p.detach().to(a.device) for p, a in zip(self._averaged(model), averages, strict=True)]
        if self.n_averaged == 0:
            for average, param in zip(averages, params, strict=True):
                average.copy_(param)
        elif self.avg_fn is not None:
            for average, param in zip(averages, params, strict=True):
                average.copy_(self.avg_fn(average, param, self.n_averaged))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            update(averages, params, self.n_averaged)
        if not self.use_buffers:
            for kept, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                kept.detach().copy_(buffer.detach().to(kept.device))
        self.n_averaged += 1


@unrecorded
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of a model's batch norms anew, over all batches of a loader.

    A batch is the model's input, or a list or tuple of which that is the first.
    """
    norms: dict[Any, Any] = {}
    for module in model.modules():
        if hasattr(module, "running_mean") and hasattr(module, "reset_running_stats"):
            module.reset_running_stats()
            norms[module] = module.momentum
    if not norms:
        return
    training = model.training
    model.train()
    for module in norms:
        module.momentum = None
    for batch in loader:
        given = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(given if device is None else given.to(device))
    for module, momentum in norms.items():
        module.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """From each group's rate to `swa_lr` within `anneal_epochs`, by a cosine or a line; then it stays."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        for lr, group in zip(_format_param("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        self._set_anneal_func(anneal_strategy)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    @staticmethod
    def _linear_anneal(t: float) -> float:
        return t

    @staticmethod
    def _cosine_anneal(t: float) -> float:
        return (1 - math.cos(math.pi * t)) / 2

    @staticmethod
    def _get_initial_lr(lr: Any, swa_lr: Any, alpha: float) -> Any:
        """The rate from which a part `alpha` of the way to `swa_lr` leads to `lr`."""
        return swa_lr if alpha == 1 else (lr - alpha * swa_lr) / (1 - alpha)

    def _set_anneal_func(self, anneal_strategy: str) -> None:
        """Takes the kind of the way."""
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        self.anneal_func = self._cosine_anneal if anneal_strategy == "cos" else self._linear_anneal

    def get_lr(self) -> list[Any]:
        """The rates after so many steps."""
        _warn_get_lr_called_within_step(self)
        step = max(1, self._step_count - 1) if self.anneal_epochs == 0 else self._step_count - 1
        before, now = (
            self.anneal_func(max(0, min(1, count / max(1, self.anneal_epochs)))) for count in (step - 1, step)
        )
        rates = []
        for group in self.optimizer.param_groups:
            start = self._get_initial_lr(group["lr"], group["swa_lr"], before)
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {k: v for k, v in super().state_dict().items() if k != "anneal_func"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._set_anneal_func(self._anneal_strategy)


__getattr__ = getter(__name__)
