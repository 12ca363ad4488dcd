"""States of modules and optimizers by the names that one process would give them, whatever wraps the
modules.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pullback.distributed.fsdp import optim_state
from pullback.distributed.fsdp.api import StateDictType
from pullback.distributed.fsdp.fully_sharded_data_parallel import FullyShardedDataParallel
from pullback.face.placeholders import placeholders
from pullback.nn.modules.module import Module

__all__ = [
    "StateDictOptions",
    "get_model_state_dict",
    "get_optimizer_state_dict",
    "get_state_dict",
    "set_model_state_dict",
    "set_optimizer_state_dict",
    "set_state_dict",
]


@dataclass
class StateDictOptions:
    """How states are made: with `full_state_dict` whole, else in the ranks' own pieces."""

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False


@contextlib.contextmanager
def _kind(model: Module, options: StateDictOptions | None) -> Iterator[StateDictOptions]:
    chosen = options or StateDictOptions()
    kind = StateDictType.FULL_STATE_DICT if chosen.full_state_dict else StateDictType.SHARDED_STATE_DICT
    with FullyShardedDataParallel.state_dict_type(model, kind):
        yield chosen


def _unwrapped(model: Module) -> Module:
    from pullback.nn.parallel.data_parallel import DataParallel

    wrapper = type(model).__name__ == "DistributedDataParallel" or isinstance(model, DataParallel)
    return model.module if wrapper else model


def get_model_state_dict(
    model: Module, *, submodules: Any = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """A module's state, without the names of what wraps it."""
    with _kind(model, options):
        return dict(_unwrapped(model).state_dict())


def set_model_state_dict(
    model: Module, model_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> Any:
    """Loads such a state."""
    with _kind(model, options) as chosen:
        return _unwrapped(model).load_state_dict(dict(model_state_dict), strict=chosen.strict)


def _optimizers(optimizers: Any) -> list[Any]:
    return list(optimizers) if isinstance(optimizers, Iterable) else [optimizers]


def get_optimizer_state_dict(
    model: Module, optimizers: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """The states of optimizers by the names of parameters."""
    made: dict[str, Any] = {"state": {}, "param_groups": []}
    inner = _unwrapped(model)
    with _kind(model, options):
        for optim in _optimizers(optimizers):
            if not optim.state_dict()["state"]:
                _start(optim)
            found = optim_state.by_names(
                inner, optim, None, FullyShardedDataParallel.get_state_dict_type(model)
            )
            made["state"].update(found["state"])
            made["param_groups"] += found["param_groups"]
    return made


def _start(optim: Any) -> None:
    """Makes the states of an optimizer that has not stepped, for a checkpoint to be loaded into."""
    kept = [(p, p.grad) for group in optim.param_groups for p in group["params"]]
    rates = [group["lr"] for group in optim.param_groups]
    for group in optim.param_groups:
        group["lr"] = 0.0
        for p in group["params"]:
            p.grad = p.detach().new_zeros(p.shape) if p.requires_grad else None
    optim.step()
    for group, rate in zip(optim.param_groups, rates, strict=True):
        group["lr"] = rate
    for p, grad in kept:
        p.grad = grad


def set_optimizer_state_dict(
    model: Module,
    optimizers: Any,
    optim_state_dict: dict[str, Any],
    *,
    options: StateDictOptions | None = None,
) -> None:
    """Loads such states."""
    inner, first = _unwrapped(model), 0
    for optim in _optimizers(optimizers):
        groups = optim_state_dict["param_groups"][first : first + len(optim.param_groups)]
        first += len(groups)
        given = {"state": optim_state_dict["state"], "param_groups": groups}
        optim.load_state_dict(optim_state.to_load(inner, optim, given))


def get_state_dict(
    model: Module, optimizers: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The states of a module and of its optimizers."""
    return (
        get_model_state_dict(model, options=options),
        get_optimizer_state_dict(model, optimizers, options=options),
    )


def set_state_dict(
    model: Module,
    optimizers: Any,
    *,
    model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> Any:
    """Loads both."""
    if optim_state_dict:
        set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return set_model_state_dict(model, model_state_dict, options=options) if model_state_dict else None


__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
