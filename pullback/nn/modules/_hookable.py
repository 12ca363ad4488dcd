"""The part of Module that registers hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core.hooks import RemovableHandle
from pullback.nn.modules import _hooks


class Hookable:
    """What a Module can be told to call, and when. `_hooks.py` does the calling."""

    _is_full_backward_hook: bool | None
    _forward_hooks: _hooks.Hooks
    _forward_hooks_with_kwargs: _hooks.Marks
    _forward_hooks_always_called: _hooks.Marks
    _forward_pre_hooks: _hooks.Hooks
    _forward_pre_hooks_with_kwargs: _hooks.Marks
    _backward_hooks: _hooks.Hooks
    _backward_pre_hooks: _hooks.Hooks
    _state_dict_hooks: _hooks.Hooks
    _state_dict_pre_hooks: _hooks.Hooks
    _load_state_dict_pre_hooks: _hooks.Hooks
    _load_state_dict_post_hooks: _hooks.Hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before each `forward`; what it returns replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, which returns None or both.
        """
        notes = (self._forward_pre_hooks_with_kwargs,) if with_kwargs else ()
        return _hooks.register(self._forward_pre_hooks, hook, notes, prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls `hook(module, args, output)` after each `forward`; what it returns replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it is called where
        an exception was raised, too.
        """
        notes = [self._forward_hooks_with_kwargs] * with_kwargs
        notes += [self._forward_hooks_always_called] * always_call
        return _hooks.register(self._forward_hooks, hook, tuple(notes), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_output)` before the module's backward pass; a result replaces it."""
        return _hooks.register(self._backward_pre_hooks, hook, (), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` when the gradients of the inputs are computed.

        Both are tuples, with None for what is no tensor; a result replaces `grad_input`.
        """
        self._set_kind_of_backward_hooks(True)
        return _hooks.register(self._backward_hooks, hook, (), prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` for the node of the result.

        Not recommended: `grad_input` is that of the module's last op. See `register_full_backward_hook`.
        """
        self._set_kind_of_backward_hooks(False)
        return _hooks.register(self._backward_hooks, hook)

    def _set_kind_of_backward_hooks(self, full: bool) -> None:
        if self._is_full_backward_hook is not None and self._is_full_backward_hook is not full:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please "
                "use only one of them."
            )
        self._is_full_backward_hook = full

    def _get_backward_hooks(self) -> tuple[list[Any], list[Any]]:
        return _hooks.backward_hooks_of(self)

    def _get_backward_pre_hooks(self) -> list[Any]:
        return _hooks.backward_pre_hooks_of(self)

    def _maybe_warn_non_full_backward_hook(self, inputs: Any, result: Any, grad_fn: Any) -> None:
        _hooks.warn_of_regular_hook(inputs, result, grad_fn)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` at last; a result replaces the state."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously "
                "registered via register_state_dict_post_hook"
            )
        return _hooks.register(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` after `state_dict`; it returns None."""
        hook._from_public_api = True
        return _hooks.register(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before `state_dict`."""
        return _hooks.register(self._state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        called = _hooks._WrappedHook(hook, self) if with_module else hook
        return _hooks.register(self._load_state_dict_pre_hooks, called)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)` before the module takes its part of a state dict.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after the module has taken its part of a state dict."""
        return _hooks.register(self._load_state_dict_post_hooks, hook)
