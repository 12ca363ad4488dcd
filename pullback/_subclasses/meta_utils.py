"""`torch._subclasses.meta_utils`: tensors without numbers made of others."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter

__all__ = ["MetaConverter"]


class MetaConverter:
    """Called with a tensor, makes one of its shape and dtype without numbers."""

    def __call__(self, t: Any, *args: Any, **options: Any) -> Any:
        return t.to("meta")


__getattr__ = getter(__name__)
