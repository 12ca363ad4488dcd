"""The call of a module that has hooks, and the hooks that all modules have.

`Module.__call__` comes here only where a hook is registered. The order is:
forward pre-hooks, backward hooks hang on the inputs, `forward`, forward hooks, backward hooks hang on the
outputs. The global hooks of a kind come before the module's own.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pullback.autograd.function import Function
from pullback.core._engine import Tensor
from pullback.core.hooks import RemovableHandle

Hooks = OrderedDict[int, Callable[..., Any]]
Marks = OrderedDict[int, bool]


# The hooks of every module, by kind.
_global_backward_pre_hooks: Hooks = OrderedDict()
_global_backward_hooks: Hooks = OrderedDict()
_global_forward_pre_hooks: Hooks = OrderedDict()
_global_forward_hooks: Hooks = OrderedDict()
_global_forward_hooks_with_kwargs: Marks = OrderedDict()
_global_forward_hooks_always_called: Marks = OrderedDict()
_global_module_registration_hooks: Hooks = OrderedDict()
_global_parameter_registration_hooks: Hooks = OrderedDict()
_global_buffer_registration_hooks: Hooks = OrderedDict()
_global_is_full_backward_hook: bool | None = None


def register(
    hooks: Any, hook: Callable[..., Any], notes: tuple[Any, ...] = (), prepend: bool = False
) -> RemovableHandle:
    """Enters a hook, with a mark in each of `notes`."""
    handle = RemovableHandle(hooks, extra_dict=list(notes))
    hooks[handle.id] = hook
    for note in notes:
        note[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, buffer)` when a module gets a buffer; what it returns replaces it."""
    return register(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, submodule)` when a module gets a submodule; what it returns replaces it."""
    return register(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, parameter)` when a module gets a parameter; what it returns replaces it."""
    return register(_global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, args)` before each `forward` of any module; a result replaces the arguments."""
    return register(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, args, output)` after each `forward` of any module; a result replaces the output.

    With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it is called where an
    exception was raised, too.
    """
    notes = [_global_forward_hooks_with_kwargs] * with_kwargs + [
        _global_forward_hooks_always_called
    ] * always_call
    return register(_global_forward_hooks, hook, tuple(notes))


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` for the last node of each module.

    Not recommended: `register_module_full_backward_hook` says what it promises.
    """
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is True:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please "
            "use only one of them."
        )
    _global_is_full_backward_hook = False
    return register(_global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_output)` of any module before its backward pass; a result replaces it."""
    return register(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` of any module; a result replaces `grad_input`."""
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is False:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please "
            "use only one of them."
        )
    _global_is_full_backward_hook = True
    return register(_global_backward_hooks, hook)


# ------------------------------------------------------------------------------------------- the call


def call_with_hooks(module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a call of a module does where there are hooks."""
    called: set[int] = set()
    result = None
    try:
        args, kwargs = _before(module, args, kwargs)
        full, regular = backward_hooks_of(module)
        pre = backward_pre_hooks_of(module)
        watch = BackwardHook(module, full, pre) if full or pre else None
        if watch is not None:
            args = watch.setup_input_hook(args)
        result = module.forward(*args, **kwargs)
        for place, with_kwargs, hook in _forward_hooks(module):
            called.add(place)
            made = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if made is not None:
                result = made
        if watch is not None:
            if not isinstance(result, Tensor | tuple):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                    f"but received {type(result)}",
                    stacklevel=3,
                )
            result = watch.setup_output_hook(result)
        if regular:
            _hang_regular(module, args, result, regular)
        return result
    except Exception:
        _call_the_rest(module, args, kwargs, result, called)
        raise


def _before(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments after the forward pre-hooks."""
    for hook in _global_forward_pre_hooks.values():
        args = _replaced(args, hook(module, args))
    with_kwargs = module._forward_pre_hooks_with_kwargs
    for place, hook in list(module._forward_pre_hooks.items()):
        if place not in with_kwargs:
            args = _replaced(args, hook(module, args))
            continue
        made = hook(module, args, kwargs)
        if made is not None:
            if not (isinstance(made, tuple) and len(made) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {made}."
                )
            args, kwargs = made
    return args, kwargs


def _replaced(args: Any, made: Any) -> Any:
    return args if made is None else made if isinstance(made, tuple) else (made,)


def _forward_hooks(module: Any) -> list[tuple[int, bool, Any]]:
    """Id, whether it is told the keywords, and function of each forward hook."""
    every = [
        (place, place in _global_forward_hooks_with_kwargs, hook)
        for place, hook in _global_forward_hooks.items()
    ]
    own = module._forward_hooks_with_kwargs
    return every + [(place, place in own, hook) for place, hook in module._forward_hooks.items()]


def _call_the_rest(module: Any, args: Any, kwargs: Any, result: Any, called: set[int]) -> None:
    """The hooks that are called always, where an exception has kept them from it."""
    own = module._forward_hooks_always_called
    for place, with_kwargs, hook in _forward_hooks(module):
        if place in called or (place not in _global_forward_hooks_always_called and place not in own):
            continue
        kind = "global module forward" if place in _global_forward_hooks else "module forward"
        try:
            made = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            result = made if made is not None else result
        except Exception as error:
            warnings.warn(
                f"{kind} hook with ``always_call=True`` raised an exception that was silenced as another "
                f"error was raised in forward: {error}",
                stacklevel=4,
            )


# ----------------------------------------------------------------------------------- backward hooks


def backward_hooks_of(module: Any) -> tuple[list[Any], list[Any]]:
    """The full and the regular backward hooks of a module, the global ones first."""
    full = list(_global_backward_hooks.values()) if _global_is_full_backward_hook is True else []
    regular = list(_global_backward_hooks.values()) if _global_is_full_backward_hook is False else []
    own = module._backward_hooks.values()
    if module._is_full_backward_hook is True:
        full += own
    else:
        regular += own
    return full, regular


def backward_pre_hooks_of(module: Any) -> list[Any]:
    """The backward pre-hooks of a module, the global ones first."""
    return [*_global_backward_pre_hooks.values(), *module._backward_pre_hooks.values()]


class BackwardHookFunction(Function):
    """The identity of several tensors: one node through which all gradients of a module's inputs go."""

    @staticmethod
    def forward(ctx: Any, *args: Tensor) -> tuple[Tensor, ...]:
        ctx.mark_non_differentiable(*[x for x in args if not x.requires_grad])
        return args

    @staticmethod
    def backward(ctx: Any, *args: Any) -> Any:
        return args


class BackwardHook:
    """Hangs the full backward hooks of one call of a module on its inputs and outputs."""

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_outputs: Any = None
        self.input_places: list[int] | None = None
        self.count_inputs = self.count_outputs = -1
        self.output_places: list[int] = []

    def setup_input_hook(self, args: Any) -> Any:
        """The arguments with a node between them and the module."""

        def hang(node: Any) -> None:
            def hook(grad_inputs: Any, _: Any) -> Any:
                if self.grad_outputs is None:
                    return None  # the outputs took no part in this pass
                grad_input = self._spread(self.input_places or [], grad_inputs, self.count_inputs)
                grad_outputs, self.grad_outputs = self.grad_outputs, None
                made = self._asked(self.hooks, grad_input, grad_outputs)
                return tuple(made[i] for i in self.input_places or [])

            node.register_hook(hook)

        made, self.input_places = self._through(hang, args)
        self.count_inputs = len(args)
        return made

    def setup_output_hook(self, result: Any) -> Any:
        """The outputs with a node between the module and what follows."""

        def hang(node: Any) -> None:
            def hook(grads: Any) -> Any:
                grad_outputs = self._spread(self.output_places, grads, self.count_outputs)
                for pre_hook in self.pre_hooks:
                    made = pre_hook(self.module, grad_outputs)
                    if made is None:
                        continue
                    made = made if isinstance(made, tuple) else (made,)
                    if len(made) != len(grad_outputs):
                        raise RuntimeError(
                            "Backward pre hook returned an invalid number of grad_output, got "
                            f"{len(made)}, but expected {len(grad_outputs)}"
                        )
                    grad_outputs = made
                self.grad_outputs = grad_outputs
                if self.input_places is None and self.hooks:  # no input requires a gradient
                    self._asked(self.hooks, (None,) * self.count_inputs, grad_outputs, fixed=True)
                    self.grad_outputs = None
                return tuple(grad_outputs[i] for i in self.output_places)

            node.register_prehook(hook)

        single = not isinstance(result, tuple)
        made, places = self._through(hang, (result,) if single else result)
        self.output_places, self.count_outputs = places or [], len(made)
        return made[0] if single else made

    def _through(self, hang: Callable[[Any], None], args: Any) -> tuple[Any, list[int] | None]:
        """Tensors among `args` after the identity, and where they stand; None if none requires a gradient."""
        places = [i for i, x in enumerate(args) if isinstance(x, Tensor)]
        if not any(args[i].requires_grad for i in places):
            return args, None
        behind = BackwardHookFunction.apply(*[args[i] for i in places])
        nodes = [x.grad_fn for x in behind if x.grad_fn is not None]
        if not nodes:  # grad mode is off
            return args, None
        hang(nodes[0])
        given: list[Any] = list(args)
        for i, x in zip(places, behind, strict=True):
            given[i] = x
        named = isinstance(args, tuple) and hasattr(args, "_fields")
        return (type(args)(*given) if named else tuple(given)), places

    def _asked(self, hooks: list[Any], grad_input: Any, grad_outputs: Any, fixed: bool = False) -> Any:
        """The gradients of the inputs as the hooks leave them, unchanged where they are `fixed`."""
        if fixed:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs "
                "since "
                "no inputs require gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module."
                "html#torch.nn.Module.register_full_backward_hook for more details.",
                stacklevel=5,
            )
        for hook in hooks:
            made = hook(self.module, grad_input, grad_outputs)
            if made is None:
                continue
            if fixed:
                if any(x is not None for x in (made if isinstance(made, tuple) else (made,))):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return "
                        "None "
                        "or None for all gradients."
                    )
                continue
            made = made if isinstance(made, tuple) else (made,)
            if len(made) != len(grad_input):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(made)}, but expected "
                    f"{len(grad_input)}"
                )
            grad_input = made
        return grad_input

    @staticmethod
    def _spread(places: list[int], values: Any, count: int) -> tuple[Any, ...]:
        """`values` at their places, None at the others."""
        spread: list[Any] = [None] * count
        for i, value in zip(places, values, strict=True):
            spread[i] = value
        return tuple(spread)


def _hang_regular(module: Any, args: Any, result: Any, hooks: list[Any]) -> None:
    """Hangs regular backward hooks on the node of a module's (first) result."""
    first = result
    while not isinstance(first, Tensor):
        values = first.values() if isinstance(first, dict) else None
        first = first[0] if values is None else next(v for v in values if isinstance(v, Tensor))
    node: Any = first.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(lambda *grads, hook=hook: hook(module, *grads))
    module._maybe_warn_non_full_backward_hook(args, result, node)


def warn_of_regular_hook(inputs: Any, result: Any, node: Any) -> None:
    """Warns where a regular backward hook does not see the gradients of a module's inputs or outputs."""

    def warn(words: str) -> None:
        warnings.warn(words, FutureWarning, stacklevel=5)

    results = (result,) if isinstance(result, Tensor) else result
    if not (isinstance(results, tuple) and all(isinstance(r, Tensor) for r in results)):
        return warn(
            "Using non-full backward hooks on a Module that does not return a single Tensor or a tuple of "
            "Tensors is deprecated and will be removed in future versions. This hook will be missing some of "
            "the grad_output. Please use register_full_backward_hook to get the documented behavior."
        )
    given = (inputs,) if isinstance(inputs, Tensor) else inputs
    if not (isinstance(given, tuple) and all(isinstance(x, Tensor) for x in given)):
        return warn(
            "Using non-full backward hooks on a Module that does not take as input a single Tensor or a "
            "tuple "
            "of Tensors is deprecated and will be removed in future versions. This hook will be missing some "
            "of the grad_input. Please use register_full_backward_hook to get the documented behavior."
        )
    nodes: set[Any] = {r.grad_fn for r in results if r.grad_fn is not None}
    if nodes - {node} or not nodes:
        return warn(
            "Using a non-full backward hook when outputs are generated by different autograd Nodes is "
            "deprecated and will be removed in future versions. This hook will be missing some grad_output. "
            "Please use register_full_backward_hook to get the documented behavior."
        )
    ours = {x.grad_fn for x in given if x.grad_fn is not None}
    ours |= {x for x in given if x.requires_grad and x.grad_fn is None}
    theirs: set[Any] = {edge for edge, _ in node.next_functions if edge is not None}
    seen = {getattr(edge, "variable", edge) if "AccumulateGrad" in edge.name() else edge for edge in theirs}
    if not ours <= seen or any("AccumulateGrad" not in e.name() and e not in ours for e in theirs):
        return warn(
            "Using a non-full backward hook when the forward contains multiple autograd Nodes is deprecated "
            "and will be removed in future versions. This hook will be missing some grad_input. Please use "
            "register_full_backward_hook to get the documented behavior."
        )
    return None


class _WrappedHook:
    """A hook that may be told its module, to which it refers weakly."""

    def __init__(self, hook: Callable[..., Any], module: Any = None) -> None:
        self.hook, self.module = hook, None if module is None else weakref.ref(module)

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args) if self.module is None else self.hook(self.module(), *args)

    def __getstate__(self) -> dict[str, Any]:
        told = {} if self.module is None else {"module": self.module()}
        return {"hook": self.hook, "with_module": self.module is not None, **told}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["hook"], state.get("module"))  # type: ignore[misc]


_WrappedHook.__module__ = "pullback.nn.modules.module"  # by which name files know it
