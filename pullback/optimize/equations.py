"""`root` and `least_squares`: SciPy's solvers of equations with Jacobians from the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.autograd.passes import grad
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad, no_grad
from pullback.func.implicit import implicit_root, slope_of
from pullback.func.sparse import jacobian_sparsity, sparse_jacobian
from pullback.optimize.derivatives import Problem, progressing
from pullback.optimize.minima import _bounds

__all__ = ["least_squares", "root"]

WITH_JACOBIAN = frozenset({"hybr", "lm"})
"""The methods of `root` that take a Jacobian."""


def root(
    f: Callable[..., Tensor],
    x0: Tensor,
    args: tuple[Any, ...] = (),
    method: str = "hybr",
    *,
    tol: float | None = None,
    callback: Callable[[Tensor, Tensor], Any] | None = None,
    options: dict[str, Any] | None = None,
    progress: bool = False,
) -> Any:
    """Solves f(x, *args) = 0 from `x0` on, by `scipy.optimize.root`.

    `f` returns a tensor with as many elements as x. "hybr" and "lm" get the Jacobian, a batch of products
    with the graph at a point; the other methods of SciPy use values only. `callback(x, residual)` gets
    tensors, after each evaluation where SciPy has no iterations to tell of; `progress` shows a bar. Returns
    SciPy's OptimizeResult with tensors `x` and `fun` in the shape of x0; `x` is differentiable with respect
    to the tensors in `args` that require grad (`func.implicit_root`). ValueError for an empty x0.

    >>> import pullback as torch
    >>> a = torch.tensor([1.0, 4.0], dtype=torch.float64, requires_grad=True)
    >>> found = torch.optimize.root(lambda x, a: x**2 - a, torch.ones(2, dtype=torch.float64), (a,))
    >>> found.x.sum().backward(); found.x.detach(), a.grad
    (tensor([1.0000, 2.0000], dtype=torch.float64), tensor([0.5000, 0.2500], dtype=torch.float64))
    """
    from scipy import optimize

    problem = Problem(f, x0, args)
    problem.check_unknowns("root")
    size = {"norm": float("nan")}

    def told(flat: Any, values: Any) -> None:
        size["norm"] = float(np.linalg.norm(values))
        step()
        if callback is not None:
            callback(problem.tensor(flat), problem.tensor(values))

    def values(flat: Any) -> Any:
        found = problem.values(flat)
        if len(found) != len(flat):
            raise ValueError(f"root: {len(found)} equations for {len(flat)} unknowns")
        if watched and method in WITH_JACOBIAN:
            told(flat, found)
        return found

    watched = callback is not None or progress
    with progressing(progress, method, lambda: {"|f|": f"{size['norm']:.3g}"}) as step:
        found = optimize.root(
            values,
            problem.start,
            method=method,
            jac=problem.jacobian if method in WITH_JACOBIAN else None,
            tol=tol,
            callback=told if watched and method not in WITH_JACOBIAN else None,
            options=options,
        )
    found.x, found.fun = problem.tensor(found.x), problem.tensor(found.fun)
    if problem.wanted(args):
        found.x = implicit_root(f, found.x, *args)
    return found


def least_squares(
    f: Callable[..., Tensor],
    x0: Tensor,
    args: tuple[Any, ...] = (),
    method: str = "trf",
    *,
    bounds: Any = None,
    jac: str = "auto",
    callback: Callable[[Tensor, Tensor], Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> Any:
    """Minimises half the sum of squares of the residuals f(x, *args), by `scipy.optimize.least_squares`.

    `jac` says how the Jacobian reaches SciPy: "dense", "sparse" (`sparse_jacobian`, its pattern found once at
    x0), or "products", J v and J' u by single passes, for large problems; "auto" is dense up to 1000
    unknowns and products beyond ("lm" is always dense). `bounds` is a pair (low, high) of numbers or tensors
    that broadcast to x, or None. Complex residuals count by the squares of their sizes.
    `options` go to SciPy (ftol, xtol, gtol, loss, max_nfev, ...);
    `callback(x, residuals)` sees each evaluation, `progress` shows a bar. Returns SciPy's OptimizeResult
    with tensors `x`, `fun` and `grad`, and `jac` as SciPy has it; `x` is differentiable with respect to the
    tensors in `args` that require grad, if there are neither bounds nor another `loss`.

    >>> import pullback as torch
    >>> t = torch.linspace(0, 1, 20, dtype=torch.float64)
    >>> model = lambda p, t: p[0] * torch.exp(-p[1] * t)
    >>> data = model(torch.tensor([2.0, 3.0], dtype=torch.float64), t)
    >>> start = torch.ones(2, dtype=torch.float64)
    >>> torch.optimize.least_squares(lambda p: model(p, t) - data, start).x
    tensor([2.0000, 3.0000], dtype=torch.float64)
    """
    from scipy import optimize

    residual = _in_pairs(f, x0, args)
    problem = Problem(residual, x0, args)
    size = {"cost": float("nan")}

    def values(flat: Any) -> Any:
        found = problem.values(flat)
        if watched:
            size["cost"] = 0.5 * float(found @ found)
            step()
            if callback is not None:
                callback(problem.tensor(flat), problem.y.detach())
        return found

    watched = callback is not None or progress
    if bounds is not None:
        spread = _bounds(bounds, x0)
        options["bounds"] = (spread.lb, spread.ub) if hasattr(spread, "lb") else spread
    with progressing(progress, f"least squares, {method}", lambda: {"cost": f"{size['cost']:.6g}"}) as step:
        found = optimize.least_squares(
            values, problem.start, jac=_jacobian(problem, jac, method), method=method, **options
        )
    found.x, found.grad = problem.tensor(found.x), problem.tensor(found.grad)
    found.fun = _engine.from_array(
        np.asarray(found.fun, problem.dtype).reshape(problem.at(_flat(found.x)).shape)
    )
    if residual is not f:
        found.fun = ops.view_as_complex(found.fun)
    if bounds is None and options.get("loss", "linear") == "linear" and problem.wanted(args):

        def halved(x: Tensor, *given: Any) -> Tensor:
            y = residual(x, *given)
            return (y * y).sum() / 2

        found.x = implicit_root(lambda x, *given: slope_of(halved, x, given), found.x, *args)
    return found


def _in_pairs(f: Callable[..., Tensor], x0: Tensor, args: tuple[Any, ...]) -> Callable[..., Tensor]:
    """f, or one that gives real and imaginary parts if its numbers are complex."""
    with no_grad():
        probe = f(x0.detach(), *args)
    if not isinstance(probe, Tensor) or not probe.dtype.is_complex:
        return f
    return lambda x, *given: ops.view_as_real(ops.resolve_conj(f(x, *given)))


def _flat(x: Tensor) -> Any:
    return x.numpy().ravel().astype(np.float64)


def _jacobian(problem: Problem, kind: str, method: str) -> Callable[[Any], Any]:
    """What gives SciPy the Jacobian at a point."""
    if kind not in ("auto", "dense", "sparse", "products"):
        raise ValueError(f"least_squares: jac must be 'auto', 'dense', 'sparse' or 'products', not {kind!r}")
    if kind == "auto":
        kind = "dense" if method == "lm" or problem.x0.numel() <= 1000 else "products"
    if kind == "dense":
        return problem.jacobian
    if kind == "products":
        return lambda flat: _operator(problem, flat)
    f = problem.f
    pattern = jacobian_sparsity(lambda x: f(x, *problem.args), problem.x0)

    def sparse(flat: Any) -> Any:
        found = sparse_jacobian(lambda x: f(x, *problem.args), problem.tensor(flat), sparsity=pattern)
        return found.astype(np.float64)

    return sparse


def _operator(problem: Problem, flat: Any) -> Any:
    """The Jacobian at a point as SciPy's LinearOperator: J v and J' u, a pass each."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator, aslinearoperator

    y, x = problem.at(flat), problem.x
    if not y.requires_grad:
        return aslinearoperator(csr_array((y.numel(), x.numel())))
    with enable_grad():
        u = ops.zeros_like(y).requires_grad_()
        (pulled,) = grad(y, x, u, create_graph=True, retain_graph=True, materialize_grads=True)

    def forward(v: Any) -> Any:
        (found,) = grad(pulled, u, problem.tensor(v.ravel()), retain_graph=True, materialize_grads=True)
        return found.detach().numpy().ravel().astype(np.float64)

    def back(w: Any) -> Any:
        given = _engine.from_array(np.array(w.ravel(), problem.dtype).reshape(y.shape))
        (found,) = grad(y, x, given, retain_graph=True, materialize_grads=True)
        return found.numpy().ravel().astype(np.float64)

    return LinearOperator((y.numel(), x.numel()), matvec=forward, rmatvec=back, dtype=np.float64)
