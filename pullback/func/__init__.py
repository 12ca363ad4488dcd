"""`torch.func`: functions of functions. Public names and no logic.

`vmap` runs a function on a whole batch at once (vmap.py); `grad`, `vjp`, `jvp` and what is made of
them differentiate (reverse.py, forward.py, jacobians.py). They nest in any order.
"""

from __future__ import annotations

from pullback.func.vmap import vmap

__all__ = ["vmap"]
