"""Which modules of a module are to have shards of their own: policies, and the walk that wraps them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.nn.modules.activation import MultiheadAttention
from pullback.nn.modules.container import ModuleDict, ModuleList
from pullback.nn.modules.module import Module

__all__ = [
    "CustomPolicy",
    "ModuleWrapPolicy",
    "always_wrap_policy",
    "enable_wrap",
    "lambda_auto_wrap_policy",
    "size_based_auto_wrap_policy",
    "transformer_auto_wrap_policy",
    "wrap",
]

_MANUAL: list[tuple[Any, dict[str, Any]]] = []


def always_wrap_policy(*args: Any, **kwargs: Any) -> bool:
    """All modules."""
    return True


def lambda_auto_wrap_policy(
    module: Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[..., Any]
) -> bool:
    """The modules of which a function says so."""
    return True if recurse else bool(lambda_fn(module))


def transformer_auto_wrap_policy(
    module: Module, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: Iterable[type[Module]]
) -> bool:
    """The modules of some classes."""
    return True if recurse else isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module: Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = int(1e8),
    force_leaf_modules: Iterable[type[Module]] | None = None,
    exclude_wrap_modules: Iterable[type[Module]] | None = None,
) -> bool:
    """The modules of enough numbers that no module within them has taken."""
    leaves = tuple(force_leaf_modules or (MultiheadAttention,))
    excluded = tuple(exclude_wrap_modules or (ModuleList, ModuleDict))
    large = nonwrapped_numel >= min_num_params
    if recurse:
        return large and not isinstance(module, leaves)
    return large and not isinstance(module, excluded)


class ModuleWrapPolicy:
    """The modules of some classes."""

    def __init__(self, module_classes: Iterable[type[Module]]) -> None:
        self._module_classes = set(module_classes)

    def __call__(self, module: Module, recurse: bool, *args: Any, **kwargs: Any) -> bool:
        return True if recurse else isinstance(module, tuple(self._module_classes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._module_classes})"


class CustomPolicy:
    """The modules for which a function returns True, or keywords of their own."""

    def __init__(self, lambda_fn: Callable[[Module], bool | dict[str, Any]]) -> None:
        self._lambda_fn = lambda_fn

    def __call__(self, module: Module, recurse: bool, *args: Any, **kwargs: Any) -> Any:
        return True if recurse else self._lambda_fn(module)


def wrap_children(
    module: Module,
    policy: Callable[..., Any],
    ignored: set[int],
    make: Callable[..., Module],
    root: bool = True,
) -> int:
    """Wraps modules below one by a policy, the innermost first; how many numbers they took."""
    total = _numbers(module, ignored)
    if not policy(module=module, recurse=True, nonwrapped_numel=total) or id(module) in ignored:
        return 0
    taken = 0
    for name, child in list(module.named_children()):
        if id(child) in ignored:
            continue
        within = wrap_children(child, policy, ignored, make, root=False)
        rest = _numbers(child, ignored) - within
        chosen = policy(module=child, recurse=False, nonwrapped_numel=rest)
        if chosen and not hasattr(child, "_fsdp_wrapped_module") and any(True for _ in child.parameters()):
            setattr(module, name, make(child, **(chosen if isinstance(chosen, dict) else {})))
            taken += within + rest
        else:
            taken += within
    return taken


def _numbers(module: Module, ignored: set[int]) -> int:
    return sum(p.numel() for p in module.parameters() if id(p) not in ignored)


@contextlib.contextmanager
def enable_wrap(*, wrapper_cls: Any, **wrapper_kwargs: Any) -> Iterator[None]:
    """Within, `wrap(module)` wraps by a class with these keywords; outside it returns the module."""
    _MANUAL.append((wrapper_cls, wrapper_kwargs))
    try:
        yield
    finally:
        _MANUAL.pop()


def wrap(module: Module, **wrap_overrides: Any) -> Module:
    """The module, wrapped if that is enabled."""
    if not _MANUAL:
        return module
    made, keywords = _MANUAL[-1]
    wrapped: Module = functools.partial(made, **{**keywords, **wrap_overrides})(module)
    return wrapped


__getattr__ = getter(__name__)
