"""`torch.fx.experimental.proxy_tensor`: no trace of ops is made."""

from __future__ import annotations

from typing import Any, NoReturn

from pullback.face.absent import getter

__all__ = ["get_proxy_mode", "make_fx"]


def get_proxy_mode() -> None:
    """The trace of ops that is being made: none."""


def make_fx(f: Any, *args: Any, **options: Any) -> NoReturn:
    """RuntimeError: no trace of ops is made."""
    raise RuntimeError(
        "torch.fx.experimental.proxy_tensor.make_fx: Pullback traces by torch.fx.symbolic_trace"
    )


__getattr__ = getter(__name__)
