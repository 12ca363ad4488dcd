"""The state of an optimizer of flat parts by the names of the parameters, and back."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributed.fsdp.api import StateDictSettings, StateDictType
from pullback.distributed.sharded import ShardedTensor
from pullback.nn.modules.module import Module

_WRAPPED = "_fsdp_wrapped_module."


def _names(model: Module) -> dict[int, Any]:
    """For each parameter of a model its name, or for a flat part its `FlatParameters` and the prefix of
    names.
    """
    found: dict[int, Any] = {}
    for name, p in model.named_parameters():
        found[id(p)] = name.replace(_WRAPPED, "")
    for prefix, module in model.named_modules():
        for flat in getattr(module, "_flats", ()):
            before = prefix.replace(_WRAPPED, "").removesuffix(_WRAPPED[:-1])
            found[id(flat.shard)] = flat, (before.rstrip(".") + "." if before.rstrip(".") else "")
    return found


def by_names(model: Module, optim: Any, state: Any, settings: StateDictSettings | None) -> dict[str, Any]:
    """An optimizer's state by the names of parameters; what was kept of flat parts is whole, or in pieces."""
    state = optim.state_dict() if state is None else state
    sharded = settings is not None and settings.state_dict_type is StateDictType.SHARDED_STATE_DICT
    config = getattr(settings, "optim_state_dict_config", None)
    names = _names(model)
    params = [p for group in optim.param_groups for p in group["params"]]
    made: dict[str, Any] = {"state": {}, "param_groups": []}
    labels: dict[int, list[str]] = {}
    for number, p in enumerate(params):
        kept = state["state"].get(number, {})
        known = names[id(p)]
        if isinstance(known, str):
            labels[number] = [known]
            if kept:
                made["state"][known] = dict(kept)
            continue
        flat, prefix = known
        labels[number] = [prefix + place.name for place in flat.places]
        wholes = {
            k: v if sharded else flat.spread(v) for k, v in kept.items() if isinstance(v, Tensor) and v.dim()
        }
        for place, label in zip(flat.places, labels[number], strict=True):
            if not kept:
                continue
            entry = made["state"].setdefault(label, {})
            for name, value in kept.items():
                if name not in wholes:
                    entry[name] = value.clone() if isinstance(value, Tensor) else value
                elif sharded:
                    entry[name] = ShardedTensor(place.shape, *flat.local(value, place))
                else:
                    entry[name] = wholes[name][place.start : place.end].view(place.shape).clone()
    count = 0
    for group in state["param_groups"]:
        numbers = range(count, count + len(group["params"]))
        count += len(group["params"])
        made["param_groups"].append({**group, "params": [label for n in numbers for label in labels[n]]})
    if getattr(config, "rank0_only", False):
        first = next((m for m in model.modules() if hasattr(m, "_flats")), None)
        if first is not None and first.process_group.rank() > 0:
            return {}
    return made


def to_load(model: Module, optim: Any, state: dict[str, Any]) -> dict[str, Any]:
    """A state by names as `optim.load_state_dict` takes it: this rank's parts, by numbers."""
    names = _names(model)
    made: dict[str, Any] = {"state": {}, "param_groups": []}
    number = 0
    for group, given in zip(optim.param_groups, state["param_groups"], strict=True):
        numbers = []
        for p in group["params"]:
            known = names[id(p)]
            if isinstance(known, str):
                entry = state["state"].get(known)
            else:
                entry = _part(known[0], known[1], state["state"])
            if entry:
                made["state"][number] = entry
            numbers.append(number)
            number += 1
        made["param_groups"].append({**given, "params": numbers})
    return made


def _part(flat: Any, prefix: str, states: dict[str, Any]) -> dict[str, Any]:
    """This rank's flat part of what is kept of several parameters."""
    made: dict[str, Any] = {}
    for place in flat.places:
        for name, value in states.get(prefix + place.name, {}).items():
            if isinstance(value, ShardedTensor) or (
                isinstance(value, Tensor) and tuple(value.shape) == place.shape and value.dim()
            ):
                target = made.setdefault(name, ops.zeros(flat.part, dtype=value.dtype))
                piece, start = flat.local(target, place)
                if isinstance(value, ShardedTensor):
                    piece.copy_(value.local)
                else:
                    piece.copy_(value.reshape(-1)[start : start + piece.numel()])
            else:
                made.setdefault(name, value)
    return made
