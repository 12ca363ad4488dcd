"""`Optimizer`, what every optimizer derives from: parameters in groups, their states, hooks, saving.

An optimizer says in `_state_names` what it keeps for a parameter, in `_new_state` how that begins, and in
`step` what becomes of the lists that `_gather` makes of a group: those go to the function of the optimizer's
name (`adam`, ...), whose rule is a formula of ops/shared/programs.py.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from itertools import chain, repeat
from typing import Any, ClassVar, TypeAlias

from pullback import ops
from pullback.autograd import enable_grad
from pullback.core._engine import (
    Range,
    Tensor,
    clear_grads,
    count_up,
    gather_states,
    is_profiling,
    listening,
    set_grad_enabled,
    zero_all,
)
from pullback.core.dtypes import float32, float64, get_default_dtype
from pullback.core.hooks import RemovableHandle
from pullback.face.absent import getter

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
StateDict: TypeAlias = dict[str, Any]
Group: TypeAlias = dict[str, Any]

_global_optimizer_pre_hooks: dict[int, Callable[..., Any]] = OrderedDict()
_global_optimizer_post_hooks: dict[int, Callable[..., Any]] = OrderedDict()

_HOOKED = ("step", "state_dict", "load_state_dict")
_HOOKS = [f"_optimizer_{what}_{when}_hooks" for what in _HOOKED for when in ("pre", "post")]


class _RequiredParameter:
    """The default of an option that each parameter group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()


def _register(hooks: Any, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    """Adds a hook, at the front if asked; the handle removes it."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` before each step of any optimizer."""
    return _register(_global_optimizer_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` after each step of any optimizer."""
    return _register(_global_optimizer_post_hooks, hook)


def _recorded_if(wanted: Callable[[Any], bool], step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = set_grad_enabled(wanted(self))
        try:
            return step(self, *args, **kwargs)
        finally:
            set_grad_enabled(before)

    return wrapped


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is recorded where the optimizer is differentiable, and else is not."""
    return _recorded_if(lambda self: bool(self.defaults["differentiable"]), step)


def unrecorded(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is never recorded."""
    return _recorded_if(lambda self: False, step)


_PAIRS = {
    "betas": ("beta1", "beta2"),
    "eps": ("eps1", "eps2"),
    "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_size_min", "step_size_max"),
}
"""Options that are two arguments of a function on lists."""

_SCALING = ("grad_scale", "found_inf")
"""What a gradient scaler gives an optimizer, as attributes."""


@functools.cache
def _options_of(function: Callable[..., Any], lists: int, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """What a function on lists takes behind so many lists: the keys of a group that are its arguments, those
    that are two with their names, and the names of what a scaler gives."""
    code = function.__code__
    names = code.co_varnames[lists : code.co_argcount + code.co_kwonlyargcount]
    pairs = [(key, _PAIRS[key]) for key in keys if key in _PAIRS and _PAIRS[key][0] in names]
    return [key for key in keys if key in names], pairs, [name for name in _SCALING if name in names]


_UNNOTED = nullcontext()


def _noted(name: str) -> AbstractContextManager[Any]:
    """A part of a program as profilers see it."""
    return Range(name) if is_profiling() else _UNNOTED


class Optimizer:
    """The base of all optimizers, for those that users write too.

    `params` is an iterable of tensors, of pairs (name, tensor), or of dicts, each a group of parameters under
    "params" with options of its own; `defaults` are the options of groups that do not say otherwise.
    ValueError for no parameters, non-leaf tensors, or one in two groups, TypeError for what is no tensor.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.tolist()
    [0.800000011920929, 1.600000023841858]
    """

    OptimizerPreHook: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
    OptimizerPostHook: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any]], None]

    _state_names: tuple[str, ...] = ()
    _later: ClassVar[dict[str, Any]] = {}  # options that older states lack
    _optimizer_step_pre_hooks: dict[int, Callable[..., Any]]
    _optimizer_step_post_hooks: dict[int, Callable[..., Any]]
    _optimizer_state_dict_pre_hooks: dict[int, Callable[..., Any]]
    _optimizer_state_dict_post_hooks: dict[int, Callable[..., Any]]
    _optimizer_load_state_dict_pre_hooks: dict[int, Callable[..., Any]]
    _optimizer_load_state_dict_post_hooks: dict[int, Callable[..., Any]]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hooks()
        self._patch_step_function()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + params.type()
            )
        self.state: dict[Any, Any] = defaultdict(dict)
        self.param_groups: list[Group] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self) -> None:
        """Gives the object its tables of hooks, those that it lacks."""
        for name in _HOOKS:
            vars(self).setdefault(name, OrderedDict())

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._make_hooks()
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)
        if self._later:
            upgrade(self, self._later)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # ------------------------------------------------------------------------------------- the step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Changes the parameters by their gradients; derived classes say how.

        `closure` computes the loss anew and makes the gradients; what it returns is returned.
        """
        raise NotImplementedError

    def _step_by(self, update: Callable[..., None], closure: Callable[[], Any] | None) -> Any:
        """A step by a function on lists: it gets those of each group, and of the options what it names."""
        loss, own = self._loss(closure), vars(self)
        for group in self.param_groups:
            lists = self._lists(group)
            names, pairs, scaling = _options_of(update, len(lists), tuple(group))
            options = {name: group[name] for name in names}
            for pair, parts in pairs:
                options.update(zip(parts, group[pair], strict=True))
            options.update([(name, own[name]) for name in scaling if name in own])
            update(*lists, **options)
        return loss

    def _lists(self, group: Group) -> list[list[Any]]:
        """The lists of a group, as the function on lists takes them."""
        return self._gather(group)

    @staticmethod
    def _loss(closure: Callable[[], Any] | None) -> Any:
        """What a closure computes, recorded; None without one."""
        if closure is None:
            return None
        with enable_grad():
            return closure()

    @staticmethod
    def profile_hook_step(func: Callable[..., Any]) -> Callable[..., Any]:
        """A step with the hooks around it."""

        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            told = listening()
            if told is not None:  # a step is done anew whenever what is recorded is replayed
                return told.again(wrapper, args, kwargs)
            self = args[0]
            before, after = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
            for hook in (*_global_optimizer_pre_hooks.values(), *before.values()):
                result = hook(self, args, kwargs)
                if result is not None:
                    if not isinstance(result, tuple) or len(result) != 2:
                        raise RuntimeError(
                            f"{func} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
            with _noted(self._step_profile_name):
                out = func(*args, **kwargs)
                self._optimizer_step_code()
            for hook in (*after.values(), *_global_optimizer_post_hooks.values()):
                hook(self, args, kwargs)
            return out

        return wrapper

    def _patch_step_function(self) -> None:
        """Puts the hooks around the step of this class, once."""
        self._step_profile_name = f"Optimizer.step#{type(self).__name__}.step"
        self._zero_grad_profile_name = f"Optimizer.zero_grad#{type(self).__name__}.zero_grad"
        cls: Any = type(self)
        if not getattr(cls.step, "hooked", None):
            cls.step = self.profile_hook_step(cls.step)
            cls.step.hooked = True

    def _optimizer_step_code(self) -> None:
        """Runs between the step and its hooks: a place for profilers."""

    def _cuda_graph_capture_health_check(self) -> None:
        """Nothing is captured on CPUs."""

    _accelerator_graph_capture_health_check = _cuda_graph_capture_health_check

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before a step; it may return new ones, as a pair."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after a step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or with `set_to_none=False` fills them with zeros."""
        told = listening()
        if told is not None:
            told.again(type(self).zero_grad, (self,), {"set_to_none": set_to_none})
            return
        with _noted(self._zero_grad_profile_name):
            self._forget_grads(set_to_none)

    def _forget_grads(self, set_to_none: bool) -> None:
        for group in self.param_groups:
            if set_to_none:
                clear_grads(group["params"])
                continue
            grads = [p.grad for p in group["params"] if p.grad is not None]
            for grad in grads:
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
            before = set_grad_enabled(False)
            try:
                for grad in zero_all(grads):
                    grad.zero_()
            finally:
                set_grad_enabled(before)

    # ----------------------------------------------------------------------------- groups and states

    def add_param_group(self, param_group: Group) -> None:
        """Adds parameters, such as those of a layer that is trained from now on, with their own options."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params: Any = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of "
                "tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        pairs = [p for p in params if isinstance(p, tuple)]
        if pairs:
            if len(pairs) < len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are missing"
                )
            param_group["params"] = params = [pair[1] for pair in pairs]
            param_group["param_names"] = [pair[0] for pair in pairs]
        param_group["params"] = params
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {_type_name(param)}"
                )
            if not self.defaults.get("differentiable") and not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            param_group.setdefault(name, default)
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause "
                "an error; see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        if not set(params).isdisjoint(chain.from_iterable(g["params"] for g in self.param_groups)):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in param_group) != ("param_names" in self.param_groups[0]):
            kind = "with" if "param_names" in param_group else "without"
            raise ValueError(
                f"all optimizer param groups should be with/without names. cannot add param group {kind} "
                "names to the optimizer"
            )
        self.param_groups.append(param_group)

    _takes_sparse = False
    """Whether gradients may be sparse tensors."""

    _refusal = ""
    """What is said where they may not, if it is more than that."""

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        """What is kept for a parameter, before its first step."""
        raise NotImplementedError

    def _names(self, group: Group) -> tuple[str, ...]:
        """The names of what is kept for a group's parameters, in the order of the functions' arguments."""
        return self._state_names

    def _gather(self, group: Group) -> list[list[Any]]:
        """A group's parameters with gradients, the gradients, and each kind of state, as lists."""
        names = self._names(group)
        fresh, *lists = gather_states(group["params"], self.state, names)
        if not self._takes_sparse and any(map(is_sparse, lists[1])):
            raise RuntimeError(self._refusal or f"{type(self).__name__} does not support sparse gradients")
        if fresh and names:
            for p in fresh:
                self.state[p].update(self._new_state(p, group))
            _, *lists = gather_states(group["params"], self.state, names)
        return lists

    def _init_group(self, group: Group, *lists: list[Any]) -> bool:
        """Adds what `_gather` finds to the lists given; whether a parameter is complex."""
        found = self._gather(group)
        for given, more in zip(lists, found, strict=False):
            given += more
        return any(p.is_complex() for p in found[0])

    # ---------------------------------------------------------------------------- saving and loading

    def register_state_dict_pre_hook(
        self, hook: Callable[..., None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` before `state_dict`."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` after `state_dict`; what it returns is returned instead."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before `load_state_dict`; what it returns is loaded instead."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` after `load_state_dict`."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def state_dict(self) -> StateDict:
        """The states and groups with numbers for the parameters, in PyTorch's form.

        `{"state": {0: ...}, "param_groups": [{"lr": ..., "params": [0, ...]}]}`.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number.setdefault(id(p), len(number))
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [number[id(p)] for p in group["params"]]})
        state = {number[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        result: StateDict = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Takes the states and options that `state_dict` gave, of this or of another optimizer.

        Floating-point states get the dtype of their parameter. ValueError if the groups differ in number or
        in size.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved = deepcopy(state_dict["param_groups"])
        if len(self.param_groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(g["params"]) != len(s["params"]) for g, s in zip(self.param_groups, saved, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                "group"
            )
        numbers = chain.from_iterable(group["params"] for group in saved)
        params = dict(zip(numbers, chain.from_iterable(g["params"] for g in self.param_groups), strict=True))
        state: dict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key]] = self._cast(params[key], value, key, state_dict["param_groups"])
            else:
                state[key] = value
        for group, new in zip(self.param_groups, saved, strict=True):
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    @classmethod
    def _cast(cls, param: Tensor, value: Any, number: Any, groups: list[Group], key: Any = None) -> Any:
        """A loaded state as it suits its parameter; what lies in dicts and lists, too."""
        if isinstance(value, Tensor):
            return cls._process_value_according_to_param_policy(param, value, number, groups, key)
        if isinstance(value, dict):
            return {k: cls._cast(param, v, number, groups, k) for k, v in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, str | bytes):
            make: Any = type(value)
            return make(cls._cast(param, v, number, groups) for v in value)
        return value

    @staticmethod
    def _process_value_according_to_param_policy(
        param: Tensor, value: Tensor, param_id: Any, param_groups: list[Group], key: Any = None
    ) -> Tensor:
        """A loaded tensor in its parameter's dtype; a count of steps stays as it is."""
        group = next((g for g in param_groups if param_id in g["params"]), {})
        if key == "step":
            counts = group.get("capturable") or group.get("fused")
            return value.to(dtype=float32, device=param.device) if counts else value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)

    @staticmethod
    def _group_tensors_by_device_and_dtype(
        tensorlistlist: list[list[Any]], with_indices: bool = False
    ) -> dict[Any, tuple[list[list[Any]], list[int]]]:
        """Lists of tensors parted by the device and dtype of those in the first list, with their places."""
        found: dict[Any, tuple[list[list[Any]], list[int]]] = {}
        for i, first in enumerate(tensorlistlist[0]):
            lists, places = found.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
            for some, given in zip(lists, tensorlistlist, strict=True):
                if given:
                    some.append(given[i])
            if with_indices:
                places.append(i)
        return found


# -------------------------------------------------------------------------------- what optimizers share


def _type_name(x: Any) -> str:
    """The name of a type as messages have it: without its module where Python's own."""
    kind = type(x)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def check(condition: Any, message: str) -> None:
    """ValueError with this message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def check_rate(lr: Any) -> None:
    """Refuses a negative learning rate, and a tensor of several."""
    check(not isinstance(lr, Tensor) or lr.numel() == 1, "Tensor lr must be 1-element")
    check(lr >= 0.0, f"Invalid learning rate: {lr}")


def check_betas(betas: Sequence[Any]) -> None:
    """Refuses weights of means that are not in [0, 1)."""
    for i, beta in enumerate(betas):
        check(0.0 <= beta < 1.0, f"Invalid beta parameter at index {i}: {beta}")


def check_fused(optimizer: Any, fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """Refuses what does not go with `fused`."""
    if not fused:
        return
    if differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    optimizer._step_supports_amp_scaling = True
    if foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_capturable(
    capturable: bool, what: str = "params and state_steps", supports_xla: bool = True
) -> None:
    """Refuses `capturable`, which is for devices that this library has not."""
    if capturable:
        devices = _get_capturable_supported_devices(supports_xla=supports_xla)
        raise AssertionError(f"If capturable=True, {what} must be on supported devices: {devices}.")


def check_steps(steps: Sequence[Any]) -> None:
    """Refuses counts that are Python numbers."""
    if not all(map(isinstance, steps, repeat(Tensor))):
        raise RuntimeError("API has changed, `state_steps` argument must contain a list of singleton tensors")


def upgrade(optimizer: Any, options: dict[str, Any]) -> None:
    """Gives groups of an older state the options that they lack; counts of steps become tensors."""
    for group in optimizer.param_groups:
        for key, value in options.items():
            group.setdefault(key, value)
        for p in group["params"]:
            state = optimizer.state.get(p, {})
            if "step" in state and not isinstance(state["step"], Tensor):
                state["step"] = ops.tensor(
                    float(state["step"]), dtype=_get_scalar_dtype(is_fused=group.get("fused"))
                )


def scalar(value: float = 0.0, fused: bool | None = None) -> Tensor:
    """A number that a state counts in: a 0-dim tensor."""
    return ops.tensor(value, dtype=_get_scalar_dtype(is_fused=fused))


def zeros_for(p: Tensor, value: Any = 0.0) -> Tensor:
    """A state like its parameter, filled with a number."""
    return ops.full_like(p, value) if value else ops.zeros_like(p)


def steps_up(lists: Sequence[list[Any]], steps: list[Any]) -> Iterable[tuple[Any, ...]]:
    """Counts up the steps, and gives each count with those of the lists' tensors whose count it is."""
    counts = count_up(steps)
    return alike(lists, counts) if isinstance(counts, list) else [(counts, lists)]


def alike(lists: Sequence[list[Any]], *values: Any) -> Iterator[tuple[Any, ...]]:
    """Values, each a number for all tensors or a list with one for each, and the tensors they are for."""
    if not any(isinstance(value, list) for value in values):
        yield (*values, lists)
        return
    count = len(lists[0])
    rows = [value if isinstance(value, list) else [value] * count for value in values]
    places: dict[tuple[Any, ...], list[int]] = {}
    for i, row in enumerate(zip(*rows, strict=True)):
        places.setdefault(row, []).append(i)
    for row, some in places.items():
        yield (*row, [[tensors[i] for i in some] for tensors in lists])


def is_sparse(grad: Any) -> bool:
    """Whether a gradient is a sparse tensor."""
    return type(grad) is not Tensor and getattr(grad, "is_sparse", False)


def unscaled(grads: list[Any], grad_scale: Tensor | None, found_inf: Tensor | None) -> list[Any] | None:
    """Gradients without the factor of a gradient scaler; None if an infinity forbids the step."""
    if found_inf is not None and found_inf.item():
        return None
    if grad_scale is None:
        return grads
    for grad in grads:
        grad.div_(grad_scale)
    return grads


# ---------------------------------------------------------- names that other packages take from here


def _get_scalar_dtype(is_fused: bool | None = None) -> Any:
    """The dtype of a count of steps."""
    return float64 if not is_fused and get_default_dtype() == float64 else float32


def _get_value(x: Any) -> Any:
    """The number in a tensor of one element; a number itself."""
    return x.item() if isinstance(x, Tensor) else x


def _to_scalar(x: Any) -> Any:
    """A tensor of one element as one without dims."""
    return x.squeeze() if isinstance(x, Tensor) and x.dim() else x


def _stack_if_compiling(x: Any) -> Any:
    """Nothing is compiled here: the argument itself."""
    return x


def _view_as_real(params: list[Any], *state_and_grads: list[Any]) -> None:
    """Puts views as pairs of real numbers in the place of complex parameters, their gradients and states."""
    for i, p in enumerate(params):
        if p.is_complex():
            params[i] = ops.view_as_real(p)
            for some in state_and_grads:
                some[i] = ops.view_as_real(some[i])


def _default_to_fused_or_foreach(
    params: list[Any], differentiable: bool, use_fused: bool = False
) -> tuple[bool, bool]:
    """Whether PyTorch would choose its fused or its foreach form; neither on CPUs."""
    return False, False


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    """The devices for which PyTorch has `capturable`."""
    return ["cuda", "xpu", "hpu", "privateuseone", *["xla"] * supports_xla]


def _get_fused_kernels_supported_devices() -> list[str]:
    """The devices for which PyTorch has fused optimizers."""
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]


def _get_foreach_kernels_supported_devices() -> list[str]:
    """The devices for which PyTorch has lists of tensors in one kernel."""
    return ["cuda", "xpu", "mtia", "privateuseone"]


def _device_dtype_check_for_fused(p: Any, cuda_unsupported: bool = False) -> None:
    """Refuses a parameter for which PyTorch has no fused form."""
    devices = [d for d in _get_fused_kernels_supported_devices() if not (cuda_unsupported and d == "cuda")]
    if p.device.type not in devices or not p.is_floating_point():
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of supported devices: "
            f"{devices} but {p.dtype} and {p.device}"
        )


def _disable_dynamo_if_unsupported(
    single_tensor_fn: Callable[..., object] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that changes nothing: there is no compiler."""
    return lambda function: function


_params_doc = "params: tensors, pairs of a name and a tensor, or dicts that define parameter groups"
_foreach_doc = "foreach: whether PyTorch takes whole lists of tensors; here all are taken at once"
_fused_doc = "fused: whether PyTorch takes one kernel; here one pass makes each step"
_capturable_doc = "capturable: refused, as PyTorch does on CPUs"
_differentiable_doc = "differentiable: record the step, so that it can be differentiated"
_maximize_doc = "maximize: go uphill instead of downhill"

__getattr__ = getter(__name__)
