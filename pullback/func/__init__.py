"""`torch.func`: functions of functions. Public names and no logic.

`vmap` runs a function on a whole batch at once (vmap.py); `grad`, `vjp`, `jvp` and what is made of
them differentiate (reverse.py, forward.py, jacobians.py). They nest in any order.
"""

from __future__ import annotations

from pullback.face.absent import getter
from pullback.func.forward import jvp, linearize
from pullback.func.jacobians import hessian, jacfwd, jacrev
from pullback.func.modules import (
    debug_unwrap,
    functional_call,
    functionalize,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from pullback.func.products import ggnvp, hessian_diag, laplacian, linear_transpose
from pullback.func.reverse import grad, grad_and_value, vjp
from pullback.func.vmap import vmap

__all__ = [
    "OdeSolution",
    "argmin",
    "debug_unwrap",
    "fixed_point",
    "functional_call",
    "functionalize",
    "ggnvp",
    "grad",
    "grad_and_value",
    "hessian",
    "hessian_diag",
    "hessian_sparsity",
    "implicit_root",
    "jacfwd",
    "jacobian_sparsity",
    "jacrev",
    "jet",
    "jvp",
    "laplacian",
    "linear_transpose",
    "linearize",
    "replace_all_batch_norm_modules_",
    "scan",
    "solve_ivp",
    "sparse_hessian",
    "sparse_jacobian",
    "stack_module_state",
    "vjp",
    "vmap",
]

_LATER = {
    "OdeSolution": "pullback.func.ode",
    "argmin": "pullback.func.implicit",
    "fixed_point": "pullback.func.implicit",
    "hessian_sparsity": "pullback.func.sparse",
    "implicit_root": "pullback.func.implicit",
    "jacobian_sparsity": "pullback.func.sparse",
    "jet": "pullback.transforms.taylor",
    "scan": "pullback.func.loops",
    "solve_ivp": "pullback.func.ode",
    "sparse_hessian": "pullback.func.sparse",
    "sparse_jacobian": "pullback.func.sparse",
}
"""Names whose modules are imported when they are first used."""

__getattr__ = getter(__name__, _LATER)
