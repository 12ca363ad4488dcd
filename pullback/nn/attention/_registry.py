"""Implementations of flash attention by name: here they are kept, and what runs is the same."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

_REGISTERED: dict[str, Callable[..., Any]] = {}
_active: list[Any] = []  # the name and the handle of the active one, if there is one


def _of_package(package: str) -> Callable[..., Any]:
    return lambda: importlib.import_module(package)


_REGISTERED |= {"FA3": _of_package("flash_attn_interface"), "FA4": _of_package("flash_attn")}


def register_flash_attention_impl(impl: str, *, register_fn: Callable[..., Any]) -> None:
    """Makes an implementation known by a name; `register_fn()` is called when it is activated."""
    _REGISTERED[impl] = register_fn


def activate_flash_attention_impl(impl: str) -> None:
    """Activates an implementation. ValueError if its name is not known."""
    register = _REGISTERED.get(impl)
    if register is None:
        known = list_flash_attention_impls()
        raise ValueError(f"Unknown flash attention impl '{impl}'. Available implementations: {known}")
    if _active and _active[0] == impl:
        return
    handle = register()
    restore_flash_attention_impl()
    _active[:] = [impl, handle]


def list_flash_attention_impls() -> list[str]:
    """The names of the known implementations, sorted."""
    return sorted(_REGISTERED)


def current_flash_attention_impl() -> str | None:
    """The name of the active implementation; None if none was activated."""
    return _active[0] if _active else None


def restore_flash_attention_impl(_raise_warn: bool = True) -> None:
    """Takes the active implementation back."""
    if _active:
        remove = getattr(_active[1], "remove", None)
        _active.clear()
        if remove is not None:
            remove()
