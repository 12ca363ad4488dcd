"""`Module`, the base of all layers and networks, as `torch.nn.modules.module`."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pullback.autograd import no_grad
from pullback.compiler import compile as compiled
from pullback.core._engine import (
    Compiled,
    Tensor,
    call_module,
    clear_grads,
    clear_module,
    held_tensors,
    install_modules,
    named_tensors,
    part_of_module,
    save_module,
    use_slots,
    zero_all,
)
from pullback.face.absent import getter, shown
from pullback.nn.modules import _hooks, _states
from pullback.nn.modules._hookable import Hookable
from pullback.nn.modules._hooks import (
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_buffer_registration_hooks,
    _global_forward_hooks,
    _global_forward_pre_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from pullback.nn.modules._hooks import (
    _WrappedHook as _WrappedHook,
)
from pullback.nn.modules._movable import Movable
from pullback.nn.modules._states import _EXTRA_STATE_KEY_SUFFIX, _IncompatibleKeys
from pullback.nn.parameter import Buffer, Parameter

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

T = TypeVar("T", bound="Module")

_STORES = {"_parameters": "parameter", "_buffers": "buffer", "_modules": "module"}


def _type_name(x: Any) -> str:
    """The type of an object as messages about assignments call it."""
    return x.type() if type(x) is Tensor else _qualified(type(x))


def _qualified(cls: type) -> str:
    module = cls.__module__
    if module in ("builtins", "__builtin__", None):
        return cls.__qualname__
    return f"{shown(module)}.{cls.__qualname__}"


class Module(Hookable, Movable):
    """The base of all layers and networks: it holds parameters, buffers and other modules.

    A subclass calls `super().__init__()` first, assigns its parts to attributes, and has a method `forward`,
    which a call of the module runs. `Parameter`s and `Module`s that are assigned are found again by
    `parameters()`, `modules()`, `state_dict()` and moved by `to()`.

    >>> import pullback as torch
    >>> from pullback import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden, self.out = nn.Linear(2, 8), nn.Linear(8, 1)
    ...     def forward(self, x):
    ...         return self.out(torch.tanh(self.hidden(x)))
    >>> Net()(torch.ones(4, 2)).shape
    torch.Size([4, 1])
    """

    dump_patches = False
    call_super_init = False
    _version = 1
    _compiled_call_impl: Any = None

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _is_full_backward_hook: bool | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            name = type(self).__name__
            if kwargs:
                raise TypeError(
                    f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            count = len(args) + 1
            raise TypeError(f"{name}.__init__() takes 1 positional argument but {count} were given")
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _backward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
            _is_full_backward_hook=None,
            _forward_hooks=OrderedDict(),
            _forward_hooks_with_kwargs=OrderedDict(),
            _forward_hooks_always_called=OrderedDict(),
            _forward_pre_hooks=OrderedDict(),
            _forward_pre_hooks_with_kwargs=OrderedDict(),
            _state_dict_hooks=OrderedDict(),
            _state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_post_hooks=OrderedDict(),
            _modules={},
        )
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        use_slots(cls)

    def _forward_unimplemented(self, *input: Any) -> Any:
        """What a call of the module does; a subclass must define it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    forward: Callable[..., Any] = _forward_unimplemented

    # -------------------------------------------------------------------------------------- the call

    __call__: Callable[..., Any] = call_module
    _call_impl = _wrapped_call_impl = __call__

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Has `forward` recorded and replayed, as by `torch.compile`, whose arguments it takes."""
        self.__dict__["forward"] = compiled(self.forward, *args, **kwargs)

    # ------------------------------------------------------------------------------------ attributes

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    else:
        __getattr__ = part_of_module

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in own:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as parameter '{name}' (torch.nn.Parameter or None "
                    "expected)"
                )
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if "_modules" not in own:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_modules")
            own["_modules"][name] = _hooked(_global_module_registration_hooks, self, name, value)
        elif name in own.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as child module '{name}' (torch.nn.Module or None "
                    "expected)"
                )
            own["_modules"][name] = _hooked(_global_module_registration_hooks, self, name, value)
        elif isinstance(value, Buffer):
            if "_buffers" not in own:
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            self._forget(name, "_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor "
                    "or None expected)"
                )
            own["_buffers"][name] = _hooked(_global_buffer_registration_hooks, self, name, value)
        else:
            super().__setattr__(name, value)

    def _forget(self, name: str, store: str) -> None:
        """Takes a name out of wherever it stands but in `store`."""
        own = self.__dict__
        own.pop(name, None)
        for other in _STORES:
            if other != store:
                own[other].pop(name, None)
        if store != "_buffers":
            own["_non_persistent_buffers_set"].discard(name)

    def __delattr__(self, name: str) -> None:
        for store in _STORES:
            if name in self.__dict__.get(store, ()):
                del self.__dict__[store][name]
                if store == "_buffers":
                    self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__}
        for store in _STORES:
            names.update(self.__dict__.get(store, ()))
        return sorted(name for name in names if not name[:1].isdigit())

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        if isinstance(state.get("forward"), Compiled):
            del state["forward"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fresh = Module.__new__(Module)
        Module.__init__(fresh)
        for name, value in fresh.__dict__.items():
            if name.endswith(("hooks", "_kwargs", "_called", "_set", "_hook")):  # older pickles lack some
                state.setdefault(name, value)
        self.__dict__.update(state)

    # ---------------------------------------------------------------------------------- registration

    def _check_name(self, name: Any, store: str) -> None:
        """Raises unless a parameter, buffer or module may be registered under this name."""
        kind = _STORES[store]
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_qualified(type(name))}")
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self.__dict__[store]:
            raise KeyError(f"attribute '{name}' already exists")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that belongs to the module's state and is no parameter, as running statistics are.

        It is moved by `to()` and stands in `state_dict()`, unless it is not `persistent`.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name(name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' (torch Tensor or None "
                "required)"
            )
        self._buffers[name] = _hooked(_global_buffer_registration_hooks, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter, as assigning it to an attribute does; with None a place for one."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name(name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_name(param)}' object to parameter '{name}' (torch.nn.Parameter or "
                "None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                f"explicitly. To express '{name}' as a function of another Tensor, compute the value in the "
                "forward() method."
            )
        if param is not None:
            param = _hooked(_global_parameter_registration_hooks, self, name, param)
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule, as assigning it to an attribute does."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_qualified(type(module))} is not a Module subclass")
        self._check_name(name, "_modules")
        self._modules[name] = _hooked(_global_module_registration_hooks, self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def get_submodule(self, target: str) -> Module:
        """The module that a dotted name leads to, "" to this one. AttributeError if there is none."""
        found: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(found, name):
                raise AttributeError(f"{found._get_name()} has no attribute `{name}`")
            found = getattr(found, name)
            if not isinstance(found, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return found

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Replaces the module that a dotted name leads to; unless `strict` the last name may be new."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        above, _, name = target.rpartition(".")
        parent = self.get_submodule(above)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter that a dotted name leads to. AttributeError if there is none."""
        found = self._member(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target.rpartition('.')[2]}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer that a dotted name leads to. AttributeError if there is none."""
        above, _, name = target.rpartition(".")
        found = self._member(target)
        if name not in self.get_submodule(above)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _member(self, target: str) -> Any:
        above, _, name = target.rpartition(".")
        parent = self.get_submodule(above)
        if not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        return getattr(parent, name)

    # ----------------------------------------------------------------------------- all that it holds

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names; each once unless told otherwise."""
        seen = set() if memo is None else memo
        waiting: list[tuple[str, Module]] = [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            if module in seen:
                continue
            if remove_duplicate:
                seen.add(module)
            yield name, module
            if module._modules:
                above = name + "." if name else ""
                below = [(above + n, m) for n, m in module._modules.items() if m is not None]
                waiting += reversed(below)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it; each once unless told otherwise."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that this one holds, with their names; each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules that this one holds; each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, get_members_fn: Any, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """What `get_members_fn` gives of each module, with dotted names."""
        seen = set()
        modules: Any = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for above, module in modules:
            for name, member in get_members_fn(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{above}.{name}" if above else name, member

    def _named_tensors(self, store: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Any:
        """The names and tensors in a store of this module and (with `recurse`) of those below it."""
        if recurse and remove_duplicate and _is_as_module(type(self), "named_modules", "_named_members"):
            return zip(*named_tensors(self, store, prefix), strict=True)
        return self._named_members(lambda m: getattr(m, store).items(), prefix, recurse, remove_duplicate)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and (with `recurse`) those below it, with dotted names."""
        yield from self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and (with `recurse`) of those below it; what optimizers take."""
        if recurse and _is_as_module(type(self), "named_parameters"):
            yield from held_tensors(self, "_parameters")
        else:
            for _, param in self.named_parameters(recurse=recurse):
                yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers of this module and (with `recurse`) those below it, with dotted names."""
        yield from self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and (with `recurse`) of those below it."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn` with each module below this one and with it, the lowest first; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Puts this module and all below it into training mode, which dropout and batch norm heed."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Puts this module and all below it into evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Says of each parameter whether it requires a gradient; returns the module."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Takes the gradients of all parameters away, or with `set_to_none=False` writes zeros into them."""
        if getattr(self, "_is_replica", False):
            warnings.warn(
                "Calling .zero_grad() from a module created with nn.DataParallel() has no effect. The "
                "parameters are copied (in a differentiable manner) from the original module. This means "
                "they are not leaf nodes in autograd and so don't accumulate gradients. If you need "
                "gradients in your forward method, consider using autograd.grad instead.",
                stacklevel=2,
            )
        if set_to_none:
            if _is_as_module(type(self), "parameters", "named_parameters"):
                clear_module(self)
            else:
                clear_grads(self.parameters())
            return
        with no_grad():
            grads = [p.grad for p in self.parameters() if p.grad is not None]
            for grad in grads:
                if grad.requires_grad:
                    grad.detach_()
            for grad in zero_all(grads):
                grad.zero_()

    # ------------------------------------------------------------------------------------------ state

    def get_extra_state(self) -> Any:
        """What `state_dict` shall hold besides tensors; a subclass defines it and `set_extra_state`."""
        raise RuntimeError(_NEVER.format("get_extra_state"))

    def set_extra_state(self, state: Any) -> None:
        """Called by `load_state_dict` with what `get_extra_state` gave."""
        raise RuntimeError(_NEVER.format("set_extra_state"))

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Puts what the module itself holds into a state dict."""
        for name, x in _states.persistent_state(self):
            destination[prefix + name] = x if keep_vars else x.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """All parameters and persistent buffers by dotted name, detached; they share the module's memory.

        With `keep_vars` they are the parameters themselves. `prefix` goes before each name.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for "
                "details.",
                FutureWarning,
                stacklevel=2,
            )
            given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
            destination = given.get("destination") if destination is None else destination
            prefix, keep_vars = given.get("prefix", prefix), given.get("keep_vars", keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        cls, metadata = type(self), getattr(destination, "_metadata", None)
        if cls not in _versions and _is_as_module(
            cls, "state_dict", "_save_to_state_dict", "get_extra_state"
        ):
            _versions[cls] = cls._version
        own: Any = self
        if metadata is not None and cls in _versions and not own._state_dict_hooks:
            for hook in own._state_dict_pre_hooks.values():
                hook(self, prefix, keep_vars)
            save_module(self, destination, prefix, keep_vars, metadata, _versions)
            return destination
        notes = {"version": self._version}
        if metadata is not None:
            metadata[prefix[:-1]] = notes
        for hook in own._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in own._state_dict_hooks.values():
            made = hook(self, destination, prefix, notes)
            if made is not None:
                if getattr(hook, "_from_public_api", False):
                    raise RuntimeError("state_dict post-hook must return None")
                destination = made
        return destination

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Takes what the module itself holds from a state dict, noting what is missing or wrong."""
        found = missing_keys, unexpected_keys, error_msgs
        has_extra = type(self).set_extra_state is not Module.set_extra_state
        _states.load_own(self, state_dict, prefix, local_metadata, strict, *found, has_extra)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies the tensors of a state dict into the module's; with `assign` takes them as they are.

        Returns the names that were missing and those that were unexpected. RuntimeError if there are any and
        `strict` is True, or if a shape differs.
        """
        return _states.load(self, state_dict, strict, assign)

    # --------------------------------------------------------------------------------------- printing

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed; a subclass may define it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        below = [f"({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        if len(lines) == 1 and not below:
            return f"{self._get_name()}({lines[0]})"
        inside = "".join(f"\n  {line}" for line in lines + below)
        return f"{self._get_name()}({inside}\n)" if inside else f"{self._get_name()}()"

    def _replicate_for_data_parallel(self) -> Self:
        made = self.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.update(_parameters={}, _is_replica=True)
        made.__dict__.update(_buffers=self._buffers.copy(), _modules=self._modules.copy())
        return made


install_modules(
    (
        _global_forward_hooks,
        _global_forward_pre_hooks,
        _global_backward_hooks,
        _global_backward_pre_hooks,
    ),
    _hooks.call_with_hooks,
)
use_slots(Module)
for _part in (Hookable, Movable):
    for _member in vars(_part).values():
        if isinstance(_member, FunctionType):  # messages name the class that programs know
            _member.__qualname__ = f"Module.{_member.__name__}"

_versions: dict[type, int] = {}
"""The versions of the classes whose modules are saved as Module saves them."""


def _is_as_module(cls: type, *names: str) -> bool:
    """Whether a class has Module's own methods of these names."""
    return all(getattr(cls, name) is getattr(Module, name) for name in names)


_NEVER = (
    "Reached a code path in Module.{}() that should never be called. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug."
)


def _hooked(hooks: Any, module: Module, name: str, value: Any) -> Any:
    """A part as the global hooks that see it registered leave it."""
    for hook in hooks.values():
        made = hook(module, name, value)
        value = value if made is None else made
    return value


__getattr__ = getter(__name__)
