"""`minimize`: SciPy's minimisers with derivatives from the graph. Read `minimize` first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.func.implicit import implicit_root, slope_of
from pullback.optimize.derivatives import Problem, progressing

__all__ = ["minimize"]

PRODUCTS = frozenset(("newton-cg", "trust-ncg", "trust-krylov", "trust-constr"))
"""The methods that take Hessian-vector products; in lower case, as SciPy compares them."""

MATRIX = frozenset(("dogleg", "trust-exact"))
"""The methods that take the Hessian itself."""

GRADIENT = PRODUCTS | MATRIX | {"cg", "bfgs", "l-bfgs-b", "tnc", "slsqp"}
"""The methods that take a gradient."""


def minimize(
    f: Callable[..., Tensor],
    x0: Tensor,
    args: tuple[Any, ...] = (),
    method: str | None = None,
    *,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    progress: bool = False,
) -> Any:
    """Minimises the scalar `f(x, *args)` from `x0` on, by `scipy.optimize.minimize`.

    `f` takes a tensor like `x0` and is made of ops. By `method` SciPy gets the gradient (BFGS, L-BFGS-B,
    CG, TNC, SLSQP), Hessian-vector products as well (Newton-CG, trust-ncg, trust-krylov, trust-constr), the
    Hessian itself (dogleg, trust-exact), or values only (Nelder-Mead, Powell, COBYLA, COBYQA); without a
    name it is BFGS, L-BFGS-B with `bounds`, SLSQP with `constraints`. `bounds` is a pair (low, high) of
    numbers or tensors that broadcast to x, None for none, or what SciPy takes. A constraint is a dict
    `{"type": "eq" or "ineq", "fun": c}` with c(x, *args) == 0 or >= 0, a tensor of any shape, differentiated
    like f, or an object of SciPy's. `callback` gets an OptimizeResult with `x`, a tensor, and `fun`, after
    each iteration and may raise StopIteration; `progress` shows a bar. The arithmetic of SciPy is in
    float64, that of f in the dtype of x0.

    Returns SciPy's OptimizeResult with tensors `x` and `jac` in the shape of x0. If a tensor in `args`
    requires grad, and there are no bounds or constraints, `x` is differentiable with respect to it, by the
    implicit function theorem (`func.implicit_root`). TypeError for an `x0` that is no real tensor,
    and where f is not real; ValueError for an empty x0, and where SciPy raises it.

    >>> import pullback as torch
    >>> rosen = lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    >>> found = torch.optimize.minimize(rosen, torch.zeros(5, dtype=torch.float64), method="trust-krylov")
    >>> found.success, found.x
    (True, tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000], dtype=torch.float64))
    """
    from scipy import optimize

    problem = Problem(f, x0, args)
    problem.check_unknowns("minimize")
    bounds = _bounds(bounds, x0)
    listed = list(constraints) if isinstance(constraints, (tuple, list)) else [constraints]
    method = method or ("SLSQP" if listed else "L-BFGS-B" if bounds is not None else "BFGS")
    kind = method.lower()
    rules = [_constraint(c, x0, args, kind) for c in listed]
    given: dict[str, Any] = {}
    if kind in GRADIENT:
        given["jac"] = problem.gradient
    if kind in PRODUCTS:
        given["hessp"] = problem.hessian_product
    if kind in MATRIX:
        given["hess"] = problem.hessian
    if rules:
        given["constraints"] = rules
    last: dict[str, Any] = {}
    with progressing(progress, method, lambda: {"f": f"{last['fun']:.6g}"}) as step:

        def note(intermediate_result: Any) -> None:
            last["fun"] = intermediate_result.fun
            step()
            if callback is not None:
                flat = intermediate_result.x
                callback(optimize.OptimizeResult({**intermediate_result, "x": problem.tensor(flat)}))

        found = optimize.minimize(
            problem.value,
            problem.start,
            method=method,
            bounds=bounds,
            tol=tol,
            options=options,
            callback=_callback(note, problem, kind) if callback is not None or progress else None,
            **given,
        )
    return _dressed(found, problem, args, free=bounds is None and not rules)


def _callback(note: Callable[..., None], problem: Problem, kind: str) -> Callable[..., Any]:
    """A callback in the form that the method knows: three of them give the point alone."""
    from scipy.optimize import OptimizeResult

    if kind == "trust-constr":

        def after(x: Any, state: Any) -> bool:
            try:
                note(OptimizeResult(x=x, fun=state.fun))
            except StopIteration:
                return True
            return False

        return after
    if kind in ("tnc", "cobyla"):
        return lambda x: note(OptimizeResult(x=x, fun=problem.value(x)))
    return lambda intermediate_result: note(intermediate_result)


def _bounds(bounds: Any, x0: Tensor) -> Any:
    """Bounds as SciPy takes them; a pair of numbers, tensors or None is spread over x."""
    from scipy.optimize import Bounds

    if not (isinstance(bounds, (tuple, list)) and len(bounds) == 2) or _are_pairs(bounds, x0):
        return bounds
    ends = [
        np.broadcast_to(
            fill if end is None else end.detach().numpy() if isinstance(end, Tensor) else end, x0.shape
        ).ravel()
        for end, fill in zip(bounds, (-np.inf, np.inf), strict=True)
    ]
    return Bounds(*(np.array(end, np.float64) for end in ends))


def _are_pairs(bounds: Sequence[Any], x0: Tensor) -> bool:
    """Whether these are SciPy's pairs (low, high), one for each of two unknowns."""
    return x0.numel() == 2 and all(isinstance(b, (tuple, list)) and len(b) == 2 for b in bounds)


def _constraint(given: Any, x0: Tensor, args: tuple[Any, ...], method: str) -> Any:
    """A constraint with derivatives from the graph, unless it is one of SciPy's or brings its own."""
    from scipy.optimize import NonlinearConstraint

    if not isinstance(given, dict) or "jac" in given:
        return given
    rule = Problem(given["fun"], x0, tuple(given.get("args", args)))
    kind = given["type"].lower()
    if kind not in ("eq", "ineq"):
        raise ValueError(f"Unknown constraint type '{given['type']}'.")
    if method != "trust-constr":
        return {"type": kind, "fun": rule.values, "jac": rule.jacobian}
    high = 0.0 if kind == "eq" else np.inf
    return NonlinearConstraint(rule.values, 0.0, high, jac=rule.jacobian, hess=rule.weighted_hessian)


def _dressed(found: Any, problem: Problem, args: tuple[Any, ...], free: bool) -> Any:
    """SciPy's result with tensors, and with derivatives where an argument asks for them."""
    found.x = problem.tensor(found.x)
    if isinstance(found.get("jac"), np.ndarray):
        found.jac = problem.tensor(found.jac)
    if free and problem.wanted(args):
        found.x = implicit_root(lambda x, *given: slope_of(problem.f, x, given), found.x, *args)
    return found
