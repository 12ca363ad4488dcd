"""`torch.utils.hooks`: what registering a hook returns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from pullback.core.hooks import RemovableHandle
from pullback.face.absent import getter

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks"]


def unserializable_hook(f: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a hook that pickles leave out; `warn_if_has_hooks` says nothing of it."""
    f.__torch_unserializable__ = True  # type: ignore[attr-defined]
    return f


def warn_if_has_hooks(tensor: Any) -> None:
    """Warns for each backward hook of a tensor, which a pickle would leave out."""
    for hook in (getattr(tensor, "_backward_hooks", None) or {}).values():
        if not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can "
                "decorate the function with @torch.utils.hooks.unserializable_hook to suppress this warning",
                stacklevel=2,
            )


__getattr__ = getter(__name__)
