"""Saving and loading what a module holds: the work of `Module.state_dict` and `load_state_dict`."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pullback import __future__
from pullback.autograd import no_grad
from pullback.core._engine import Tensor
from pullback.nn.parameter import Parameter, is_lazy
from pullback.utils import swap_tensors

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: the names that were not in the state, and those only there."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys({', '.join(f'{k}={v!r}' for k, v in self._asdict().items())})"


def persistent_state(module: Any) -> Iterator[tuple[str, Any]]:
    """A module's own parameters and persistent buffers, those that are not None."""
    for name, x in module._parameters.items():
        if x is not None:
            yield name, x
    for name, x in module._buffers.items():
        if x is not None and name not in module._non_persistent_buffers_set:
            yield name, x


def load(module: Any, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> _IncompatibleKeys:
    """Loads a state into a module and all below it."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    incompatible = _IncompatibleKeys([], [])
    errors: list[str] = []
    metadata = getattr(state_dict, "_metadata", None)
    state: Any = OrderedDict(state_dict)
    if metadata is not None:
        state._metadata = metadata

    def fill(part: Any, state: Any, prefix: str) -> None:
        notes = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            notes["assign_to_params_buffers"] = assign
        part._load_from_state_dict(state, prefix, notes, True, *incompatible, errors)
        below: dict[str, dict[str, Any]] = {}
        if part._modules:
            for key, value in state.items():
                name, dot, _ = key[len(prefix) :].partition(".")
                if dot:
                    below.setdefault(name, {})[key] = value
        for name, child in part._modules.items():
            if child is not None:
                fill(child, below.get(name, {}), f"{prefix}{name}.")
        for hook in part._load_state_dict_post_hooks.values():
            made = hook(part, incompatible)
            assert made is None, (
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return "
                "new values, if incompatible_keys need to be modified, it should be done inplace."
            )

    fill(module, state, "")
    if strict:
        if incompatible.unexpected_keys:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(incompatible.unexpected_keys)}. ")
        if incompatible.missing_keys:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(incompatible.missing_keys)}. ")
    if errors:
        told = "\n\t".join(errors)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{told}")
    return incompatible


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def load_own(
    module: Any,
    state: Mapping[str, Any],
    prefix: str,
    notes: dict[str, Any],
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
    has_extra: bool,
) -> None:
    """Loads what a module itself holds, not what those below it do; `has_extra`: it has an extra state."""
    for hook in module._load_state_dict_pre_hooks.values():
        hook(state, prefix, notes, strict, missing, unexpected, errors)
    own = dict(persistent_state(module))
    for name, x in own.items():
        if prefix + name in state:
            problem = _load_one(module, name, x, prefix + name, state[prefix + name], notes)
            errors += [problem] if problem else []
        elif strict:
            missing.append(prefix + name)
    extra = prefix + _EXTRA_STATE_KEY_SUFFIX
    if has_extra:
        if extra in state:
            module.set_extra_state(state[extra])
        elif strict:
            missing.append(extra)
    elif strict and extra in state:
        unexpected.append(extra)
    if strict:
        for key in state:
            if key.startswith(prefix) and key != extra:
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (module._modules if dot else own):
                    unexpected.append(key)


def _load_one(module: Any, name: str, x: Any, key: str, given: Any, notes: dict[str, Any]) -> str | None:
    """Loads one tensor; what went wrong, None if nothing did."""
    if not isinstance(given, Tensor) and not hasattr(type(given), "__torch_function__"):
        return (
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
            f"checkpoint but received {type(given)}"
        )
    lazy, assign = is_lazy(x), notes.get("assign_to_params_buffers", False)
    if not lazy and x.ndim == 0 and given.ndim == 1:
        given = given[0]
    if not lazy and given.shape != x.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, the shape "
            f"in current model is {x.shape}."
        )
    if x.is_meta and not given.is_meta and not assign:
        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the "
            "current model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the "
            "state dictionary to their corresponding key in the module instead of copying them in place?)",
            stacklevel=2,
        )
    try:
        with no_grad():
            if __future__.get_swap_module_params_on_conversion():
                _swap(x, x.module_load(given, assign=assign), given)
                return None
            if not assign:
                x.copy_(given)
                return None
            if isinstance(x, Parameter):
                if isinstance(given, Parameter):
                    given.requires_grad_(x.requires_grad)
                else:
                    given = Parameter(given, x.requires_grad)
            setattr(module, name, given)
    except Exception as error:
        return (
            f'While copying the parameter named "{key}", whose dimensions in the model are {x.size()} and '
            f"whose dimensions in the checkpoint are {given.size()}, an exception occurred : {error.args}."
        )
    return None


def _swap(x: Any, made: Any, given: Any) -> None:
    """Gives a parameter or buffer what was made of the one given, as it is."""
    if made is given or made is x:
        raise RuntimeError(
            "module_load returned one of self or other, please .detach() the result if returning one of the "
            "inputs in module_load"
        )
    if isinstance(x, Parameter):
        if not isinstance(made, Parameter):
            made = Parameter(made, x.requires_grad)
        made.requires_grad_(x.requires_grad)
    swap_tensors(x, made)
