"""`LRScheduler`, what every schedule derives from: it sets the learning rates of an optimizer's groups.

A schedule says in `get_lr` what the rates become at `last_epoch`, most often from those before, so that
several schedules multiply; `_get_closed_form_lr`, where there is one, says it from the epoch alone.
"""

from __future__ import annotations

import functools
import types
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pullback.core._engine import Tensor
from pullback.optim.optimizer import Optimizer

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. "
    "Please use `scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from "
    "None, the closed form is used instead of the new chainable form, where available. Please open an issue "
    "if you are unable to replicate your use case: https://github.com/pytorch/pytorch/issues/new/choose."
)
_ORDER = "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you "
    "should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do "
    "this will result in PyTorch skipping the first value of the learning rate schedule. See more details at "
    + _ORDER
)
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, "
    "make sure to call `optimizer.step()` before `lr_scheduler.step()`. See more details at " + _ORDER
)


def _format_param(name: str, optimizer: Optimizer, param: Any) -> list[Any]:
    """A value for each group: a list as it is, one for all repeated. ValueError for another length."""
    count = len(optimizer.param_groups)
    if not isinstance(param, (list, tuple)):
        return [param] * count
    if len(param) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(param)} values, "
            f"param_groups has {count}."
        )
    return list(param)


def _copied(value: Any) -> Any:
    """A number, or a tensor of its own."""
    return value.clone() if isinstance(value, Tensor) else value


def _param_groups_val_list(optimizer: Optimizer, key: str) -> list[Any]:
    """An option of each group."""
    return [_copied(group[key]) for group in optimizer.param_groups]


def _update_param_group_val(param_group: dict[str, Any], key: str, val: Any) -> None:
    """Sets an option of a group; a tensor stays the one that it is."""
    if isinstance(param_group[key], Tensor):
        param_group[key].fill_(val.item() if isinstance(val, Tensor) else val)
    else:
        param_group[key] = val


def attributes_of(function: Any) -> dict[str, Any] | None:
    """What is saved of a function: the attributes of an object, None of a plain function."""
    plain = isinstance(function, types.FunctionType) or not hasattr(function, "__dict__")
    return None if plain else vars(function).copy()


def _check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


@contextmanager
def _initial_mode(scheduler: Any) -> Iterator[None]:
    """Within, the rates are those of the beginning."""
    scheduler._is_initial = True
    try:
        yield
    finally:
        scheduler._is_initial = False


@contextmanager
def _enable_get_lr_call(scheduler: Any) -> Iterator[None]:
    """Within, `get_lr` may be called."""
    scheduler._get_lr_called_within_step = True
    try:
        yield
    finally:
        scheduler._get_lr_called_within_step = False


def _warn_get_lr_called_within_step(lr_scheduler: Any, stacklevel: int = 3) -> None:
    """Warns if `get_lr` is called by somebody else than `step`."""
    if not lr_scheduler._get_lr_called_within_step:
        warnings.warn(
            "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
            UserWarning,
            stacklevel=stacklevel,
        )


class LRScheduler:
    """The base of all schedules of learning rates, for those that users write too.

    `last_epoch` -1 begins at the rates that the optimizer has, which its groups keep as `initial_lr`; a
    later one goes on from there, KeyError if a group lacks `initial_lr`. `step()` goes on by one epoch.

    >>> import pullback as torch
    >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    >>> scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     optimizer.step()
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False
    _last_lr: list[Any]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        _check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training "
                    "from a checkpoint but haven't properly loaded the optimizer state\n2. You're using "
                    "last_epoch >= 0 for a fresh training run (not recommended)"
                )
        self.base_lrs = _param_groups_val_list(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _note_steps(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        """Sets the rates of the beginning."""
        self._step_count = 0
        with _initial_mode(self):
            self.step()

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on, but for the optimizer."""
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave; to be called before the optimizer's step."""
        vars(self).update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The present rate of each group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The rates at `last_epoch`, computed from those before; `step` calls it."""
        raise NotImplementedError

    def _rates(self) -> list[Any]:
        """The groups' rates now, with a warning if this is no step."""
        _warn_get_lr_called_within_step(self, stacklevel=4)
        return _param_groups_val_list(self.optimizer, "lr")

    def _scaled(self, factor: float) -> list[Any]:
        """The groups' rates times a factor."""
        return [lr * factor for lr in _param_groups_val_list(self.optimizer, "lr")]

    def step(self, epoch: int | None = None) -> None:
        """Goes on by one epoch and sets the rates; warns if the optimizer has made no step before."""
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(_OVERRIDDEN, UserWarning, stacklevel=2)
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(_EARLY, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        """Sets the rates of the next epoch, or of a given one, by the closed form if there is one."""
        with _enable_get_lr_call(self):
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                closed: Any = getattr(self, "_get_closed_form_lr", self.get_lr)
                values = closed()
        self._set_rates(values)

    def _set_rates(self, values: list[Any]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            _update_param_group_val(group, "lr", value)
        self._last_lr = _param_groups_val_list(self.optimizer, "lr")


def _note_steps(optimizer: Any) -> None:
    """Has an optimizer note that its step was called."""
    step = optimizer.step
    if hasattr(step, "_wrapped_by_lr_sched"):
        return
    owner = weakref.ref(optimizer)  # a bound method would make a cycle
    method: Any = getattr(step, "__func__", None)
    plain: Any = step if method is None else None

    @functools.wraps(step)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        it: Any = owner()
        it._opt_called = True
        return plain(*args, **kwargs) if method is None else method(it, *args, **kwargs)

    wrapped._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = wrapped


class _LRScheduler(LRScheduler):
    """The old name of LRScheduler."""
