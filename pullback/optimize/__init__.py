"""SciPy's solvers, handed exact derivatives: `minimize`, `root`, `least_squares`.

The algorithms are SciPy's; the function is made of ops, and its gradient, Hessian, Hessian-vector products
or Jacobian come from the graph. Public names and no logic.
"""

from __future__ import annotations

from pullback.optimize.equations import least_squares, root
from pullback.optimize.minima import minimize

__all__ = ["least_squares", "minimize", "root"]
