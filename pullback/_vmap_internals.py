"""`torch._vmap_internals`: the first name of `torch.vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.face.absent import getter
from pullback.func.vmap import vmap

__all__ = ["vmap"]


def _vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, allow_none_pass_through: bool = False
) -> Callable[..., Any]:
    """`vmap`; results may be None where `allow_none_pass_through`."""
    if not allow_none_pass_through:
        return vmap(func, in_dims, out_dims)

    def batched(*args: Any) -> Any:
        places: list[bool] = []
        several: list[bool] = []

        def inner(*sample: Any) -> Any:
            out = func(*sample)
            several[:] = [isinstance(out, tuple)]
            found = out if several[0] else (out,)
            places[:] = [item is not None for item in found]
            return tuple(item for item in found if item is not None)

        left = iter(vmap(inner, in_dims, out_dims)(*args))
        results = tuple(next(left) if there else None for there in places)
        return results if several[0] else results[0]

    return batched


__getattr__ = getter(__name__)
