"""Implicit differentiation: the derivative of a solution, whatever the solver did to find it.

If F(x*, a) = 0 defines x* as a function of a, then dx* = -(dF/dx)^-1 (dF/da) da: one linear solve with
products by dF/dx or its transpose, and no iteration is stored. `_Root` is the Function that knows this;
its backward pass solves the transposed system by another `_Root`, of the linear equation itself, so that
derivatives of any order follow. Read `implicit_root` first; `fixed_point` and `argmin` are special cases.

Sources: the implicit function theorem (Dini, 1877); Christianson, "Reverse accumulation and attractive
fixed points" (1994); Blondel et al., "Efficient and modular implicit differentiation" (2022).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pullback import ops
from pullback.autograd.function import Function
from pullback.autograd.passes import grad
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad, no_grad
from pullback.func.arguments import differentiable
from pullback.func.captures import captured, opened
from pullback.transforms.leaves import gradients, leaf
from pullback.transforms.stack import bottom

__all__ = ["argmin", "fixed_point", "implicit_root"]

DENSE = 64
"""Up to so many unknowns the linear system is written out and factored."""


class _Solver(NamedTuple):
    """How linear systems are solved: the method, and the relative size of what may be left over."""

    method: str
    tol: float | None


def implicit_root(
    residual: Callable[..., Tensor],
    solver: Any,
    *args: Any,
    method: str = "auto",
    tol: float | None = None,
) -> Tensor:
    """The x with `residual(x, *args) = 0`, differentiable with respect to the tensors in `args`.

    `solver` is the solution, a tensor, or a function that finds it: `solver(*args)`, called without
    recording, by any means. The residual has the shape of x, and is made of ops; tensors that it captures
    count as arguments. With A = dF/dx the derivatives are

        reverse: -(dF/da)' A^-T g        forward: -A^-1 (dF/da) da

    Reverse and forward mode, of any order. `method` says how systems with A are solved: "dense" (up to 64
    unknowns "auto" is that), "gmres", or "cg" for a symmetric positive definite A, both with products
    alone; `tol` is the relative residual they reach, by default 1e-10 (1e-5 in float32). ValueError for
    another method or a residual of another shape; a UserWarning where x is no root, whose derivative this
    is not, and where the linear solver does not converge; numpy's LinAlgError where A is singular.

    >>> import pullback as torch
    >>> a = torch.tensor(2.0, requires_grad=True)
    >>> root = torch.func.implicit_root(lambda x, a: x * x - a, lambda a: a**0.5, a)
    >>> root.backward(); root, a.grad
    (tensor(1.4142, grad_fn=<_RootBackward>), tensor(0.3536))
    """
    x = solver.detach() if isinstance(solver, Tensor) else _Solution.apply(solver, *_detached(args))
    held = captured(residual, x, *args)
    return _rooted(opened(residual, held), x, (*args, *held), method, tol)


def _rooted(
    residual: Callable[..., Tensor], x: Tensor, args: Any, method: str, tol: float | None = None
) -> Tensor:
    """A root as a function of the arguments of its residual."""
    if method not in ("auto", "dense", "gmres", "cg"):
        raise ValueError(f"implicit_root: method must be 'auto', 'dense', 'gmres' or 'cg', not {method!r}")
    _check_root(residual, x, args)
    return _Root.apply(residual, _Solver(method, tol), x, *args)


def _check_root(residual: Callable[..., Tensor], x: Tensor, args: Any) -> None:
    """A warning where the residual at x is larger than what a hundredth of x makes of it."""
    noise = np.random.default_rng(0).choice([-1.0, 1.0], tuple(x.shape))
    with no_grad():
        step = (1 + x.abs()) * _engine.from_array(np.asarray(0.01 * noise, bottom(x).numpy().dtype))
        left = residual(x, *args)
        if left.shape != x.shape:
            raise ValueError(
                f"implicit_root: a residual of shape {list(left.shape)} for x of shape {list(x.shape)}"
            )
        sizes = [bottom(v.detach()).numpy() for v in (left, residual(x + step, *args) - left)]
    miss, change = (np.abs(v).max(initial=0) for v in sizes)
    if miss > change or not np.isfinite(miss):
        warnings.warn(
            f"implicit differentiation: the solver's x is no root: the residual there is up to {miss:.3g}",
            stacklevel=4,
        )


def fixed_point(
    f: Callable[..., Tensor],
    x0: Tensor,
    *args: Any,
    tol: float | None = None,
    maxiter: int = 1000,
    memory: int = 5,
    method: str = "auto",
) -> Tensor:
    """The x with `f(x, *args) = x`, by iteration from `x0`; differentiable with respect to `args`.

    The iteration x -> f(x) is accelerated by Anderson's method over the last `memory` steps, 0 for none,
    and ends when |f(x) - x| <= tol (1 + |x|), by default 1e-6 in float32 and 1e-12 in float64. The
    derivative is that of the implicit function (`implicit_root`, which says what `method` is).
    RuntimeError if `maxiter` steps are not enough, or lead out of the finite numbers.

    >>> import pullback as torch
    >>> a = torch.tensor(1.0, requires_grad=True)
    >>> x = torch.func.fixed_point(lambda x, a: torch.cos(a * x), torch.tensor(0.5), a)
    >>> x.backward(); x.detach(), a.grad
    (tensor(0.7391), tensor(-0.2975))
    """
    if tol is None:
        tol = 1e-6 if x0.element_size() <= 4 else 1e-12
    held = captured(f, x0, *args)
    step, given = opened(f, held), (*args, *held)

    def iterate(start: Tensor, *fixed: Any) -> Tensor:
        with np.errstate(all="ignore"):
            return _anderson(lambda x: step(x, *fixed), start, tol, maxiter, memory)

    x = _Solution.apply(iterate, *_detached((x0, *given)))
    return _rooted(lambda x, *given: step(x, *given) - x, x, given, method)


def argmin(
    f: Callable[..., Tensor],
    x0: Tensor,
    *args: Any,
    solver: str = "BFGS",
    tol: float = 1e-10,
    method: str = "auto",
    **options: Any,
) -> Tensor:
    """The x that minimises the scalar `f(x, *args)`, from `x0` on; differentiable with respect to `args`.

    SciPy's `minimize` finds it, by its method `solver` with these `options`, in float64; the derivative is
    that of the root of the gradient, dx* = -(d2f/dx2)^-1 (d2f/dx da) da (`implicit_root`, which says what
    `method` is; "cg" fits, as the Hessian at a minimum is positive). RuntimeError if the solver fails.

    >>> import pullback as torch
    >>> a = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    >>> x = torch.func.argmin(lambda x, a: ((x - a**2) ** 2).sum(), torch.zeros(2, dtype=torch.float64), a)
    >>> x.sum().backward(); a.grad
    tensor([2., 4.], dtype=torch.float64)
    """

    held = captured(f, x0, *args)
    height, given = opened(f, held), (*args, *held)

    def descend(start: Tensor, *fixed: Any) -> Tensor:
        from scipy.optimize import minimize

        dtype, shape = start.numpy().dtype, start.shape

        def value_and_slope(flat: Any) -> tuple[float, Any]:
            x = _engine.from_array(flat.reshape(shape).astype(dtype), True)
            with enable_grad():
                y = height(x, *fixed)
                (slope,) = grad(y, x)
            return y.item(), slope.numpy().ravel().astype(np.float64)

        flat = start.numpy().ravel().astype(np.float64)
        found = minimize(value_and_slope, flat, jac=True, method=solver, tol=tol, options=options or None)
        slope = np.linalg.norm(value_and_slope(found.x)[1])
        if not found.success and not slope <= np.sqrt(tol) * (1 + abs(found.fun)):
            raise RuntimeError(f"argmin: {solver} failed: {found.message} (gradient norm {slope:.3g})")
        return _engine.from_array(found.x.reshape(shape).astype(dtype))

    x = _Solution.apply(descend, *_detached((x0, *given)))
    return _rooted(lambda x, *given: slope_of(height, x, given), x, given, method)


def slope_of(f: Callable[..., Tensor], x: Tensor, args: Any) -> Tensor:
    """The gradient of a scalar function, recorded if gradients are."""
    recording = _engine.grad_enabled()
    with enable_grad():
        x = leaf(x, True)
        y = f(x, *args)
        (slope,) = gradients([y], [x], [ops.ones_like(y)], True, recording)
    return ops.zeros_like(x) if slope is None else slope


# ------------------------------------------------------------------------------- the derivative


def _detached(args: Any) -> list[Any]:
    return [a.detach() if isinstance(a, Tensor) else a for a in args]


class _Solution(Function):
    """What a solver finds, without derivatives; for each sample by itself."""

    @staticmethod
    def forward(ctx: Any, solver: Any, *args: Any) -> Tensor:
        found: Tensor = solver(*args)
        return found.detach()

    @staticmethod
    def vmap(info: Any, in_dims: Any, solver: Any, *args: Any) -> Any:
        """A solver is no op."""
        samples = [[x if d is None else ops.select(x, d, i) for x, d in zip(args, in_dims[1:], strict=True)]
                   for i in range(info.batch_size)]  # fmt: skip
        return ops.stack([_Solution.apply(solver, *sample) for sample in samples]), 0


class _Root(Function):
    """x with F(x, args) = 0; forward mode and reverse mode by the implicit function theorem."""

    @staticmethod
    def forward(ctx: Any, residual: Any, way: _Solver, solver: Any, *args: Any) -> Tensor:
        x = (solver if isinstance(solver, Tensor) else solver(*_detached(args))).detach()
        if way.tol is None:
            way = way._replace(tol=1e-5 if x.element_size() <= 4 else 1e-10)
        ctx.residual, ctx.way = residual, way
        ctx.rest = [None if isinstance(a, Tensor) else a for a in args]
        ctx.tensors = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        root = ops.clone(x)
        ctx.save_for_backward(root, *(args[i] for i in ctx.tensors))
        ctx.save_for_forward(root, *(args[i] for i in ctx.tensors))
        return root

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """-(dF/da)' w, where w solves (dF/dx)' w = g."""
        x, args, wanted = _saved_root(ctx, ctx.needs_input_grad[3:])
        way, residual = ctx.way, ctx.residual
        w = _solved(residual, x, args, g, way, transposed=True)
        recording = _engine.grad_enabled()
        with enable_grad():
            sources = [differentiable(a) if chosen else a for a, chosen in zip(args, wanted, strict=True)]
            y = residual(x, *sources)
            chosen = [a for a, take in zip(sources, wanted, strict=True) if take]
            found = iter(
                grad(y, chosen, -w, create_graph=recording, allow_unused=True)
                if y.requires_grad
                else [None] * len(chosen)
            )
        return None, None, None, *(next(found) if take else None for take in wanted)

    @staticmethod
    def jvp(ctx: Any, residual: Any, way: Any, x_tangent: Any, *tangents: Any) -> Tensor:
        """-A^-1 (dF/da) da."""
        x, args, moved = _saved_root(ctx, [isinstance(t, Tensor) for t in tangents])
        recording = _recorded((x, *args, *tangents))
        with enable_grad():
            sources = [differentiable(a) if m else a for a, m in zip(args, moved, strict=True)]
            moved_by = pushed(lambda *given: ctx.residual(x, *given), sources, tangents, moved, recording)
        return -_solved(ctx.residual, x, args, moved_by, ctx.way, transposed=False)

    @staticmethod
    def vmap(info: Any, in_dims: Any, residual: Any, way: Any, solver: Any, *args: Any) -> Any:
        """Each sample by itself: a solver is no op, and the samples' systems have nothing in common."""

        def sample(i: int) -> Tensor:
            given = zip((solver, *args), in_dims[2:], strict=True)
            return _Root.apply(residual, way, *(a if d is None else ops.select(a, d, i) for a, d in given))

        return ops.stack([sample(i) for i in range(info.batch_size)]), 0


def _saved_root(ctx: Any, wanted: Any) -> tuple[Tensor, list[Any], list[bool]]:
    """The solution, the arguments, and which of them are to be differentiated."""
    x, *tensors = ctx.saved_tensors
    args = list(ctx.rest)
    for i, a in zip(ctx.tensors, tensors, strict=True):
        args[i] = a
    return x, args, [bool(w) and isinstance(a, Tensor) for w, a in zip(wanted, args, strict=True)]


def pushed(f: Any, sources: list[Any], tangents: Any, moved: list[bool], recording: bool) -> Tensor:
    """J v, from the backward pass alone: u -> J' u is linear, and its gradient along v is J v."""
    y = f(*sources)
    chosen = [a for a, m in zip(sources, moved, strict=True) if m]
    u = ops.zeros_like(y).requires_grad_()
    if not chosen or not y.requires_grad:
        return ops.zeros_like(y)
    pulled = grad(y, chosen, u, create_graph=True, materialize_grads=True)
    given = [t for t, m in zip(tangents, moved, strict=True) if m]
    pairs = [(p, t) for p, t in zip(pulled, given, strict=True) if p.requires_grad]
    if not pairs:
        return ops.zeros_like(y)
    heads, weights = zip(*pairs, strict=True)
    (found,) = grad(heads, u, weights, create_graph=recording, materialize_grads=True)
    return found


def _solved(residual: Any, x: Tensor, args: list[Any], b: Tensor, way: _Solver, transposed: bool) -> Tensor:
    """The w with A w = b, or A' w = b: itself the root of an equation that is linear in w."""

    def equation(w: Tensor, x: Tensor, b: Tensor, *args: Any) -> Tensor:
        recording = _recorded((w, x, b, *args))
        with enable_grad():
            start = differentiable(x)
            if transposed:
                y = residual(start, *args)
                (left,) = grad(y, start, w, create_graph=recording, materialize_grads=True)
            else:
                left = pushed(lambda x: residual(x, *args), [start], [w], [True], recording)
        return left - b

    def solve(x: Tensor, b: Tensor, *args: Any) -> Tensor:
        return _linear_solve(residual, x, args, b, way, transposed)

    return _Root.apply(equation, way, solve, x, b, *args)


def _recorded(values: Any) -> bool:
    """Whether a gradient of what follows from these may be wanted."""
    return _engine.grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in values)


def _linear_solve(residual: Any, x: Tensor, args: Any, b: Tensor, way: _Solver, transposed: bool) -> Tensor:
    """A w = b or A' w = b in numbers; the backward pass is recorded once and used for each product."""
    with enable_grad():
        start = x.detach().requires_grad_()
        y = residual(start, *args)
        if not y.requires_grad:
            raise np.linalg.LinAlgError("implicit_root: the residual does not depend on x")
        head, tail = y, start
        if not transposed:
            tail = ops.zeros_like(y).requires_grad_()
            (head,) = grad(y, start, tail, create_graph=True, materialize_grads=True)
    dtype = x.numpy().dtype

    def product(flat: Any) -> Any:
        v = _engine.from_array(np.ascontiguousarray(flat, dtype).reshape(x.shape))
        if not head.requires_grad:
            return np.zeros(x.numel(), dtype)
        (found,) = grad(head, tail, v, retain_graph=True, materialize_grads=True)
        return found.numpy().ravel()

    right = b.detach().numpy().ravel()
    size = x.numel()
    if way.method == "dense" or (way.method == "auto" and size <= DENSE):
        columns = [product(row) for row in np.eye(size, dtype=dtype)]
        solution = np.linalg.solve(np.stack(columns, 1), right) if size else right
    else:
        solution = _krylov(product, right, way)
    return _engine.from_array(np.ascontiguousarray(solution, dtype).reshape(x.shape))


def _krylov(product: Any, right: Any, way: _Solver) -> Any:
    """A linear system by products alone."""
    from scipy.sparse.linalg import LinearOperator, cg, gmres

    matrix = LinearOperator((len(right), len(right)), matvec=product, dtype=right.dtype)
    if way.method == "cg":
        solution, failed = cg(matrix, right, rtol=way.tol, maxiter=10 * len(right))
    else:
        solution, failed = gmres(matrix, right, rtol=way.tol, restart=min(len(right), 100), maxiter=100)
    if failed:
        left = float(np.linalg.norm(product(solution) - right) / np.linalg.norm(right))
        warnings.warn(
            f"implicit differentiation: the linear solve stopped at a relative residual of {left:.2g}",
            stacklevel=2,
        )
    return solution


# --------------------------------------------------------------------------------- fixed points


def _anderson(f: Callable[[Tensor], Tensor], x0: Tensor, tol: float, maxiter: int, memory: int) -> Tensor:
    """Fixed-point iteration, mixed with the last steps so as to cancel the residual (Anderson, 1965;
    Walker and Ni, 2011)."""
    x = x0.detach().numpy().ravel()
    dtype, shape = x.dtype, x0.shape
    states: list[Any] = []
    misses: list[Any] = []
    for _ in range(maxiter):
        y = f(_engine.from_array(x.reshape(shape).copy())).detach().numpy().ravel()
        miss = y - x
        if not np.isfinite(miss).all():
            raise RuntimeError("fixed_point: the iteration left the finite numbers")
        if _length(miss) <= tol * (1 + _length(x)):
            return _engine.from_array(y.reshape(shape).astype(dtype))
        states, misses = [*states, y][-memory - 1 :], [*misses, miss][-memory - 1 :]
        x = y
        if len(states) > 1:
            changes = np.stack(misses[1:], 1) - np.stack(misses[:-1], 1)
            steps = np.stack(states[1:], 1) - np.stack(states[:-1], 1)
            weights = np.linalg.lstsq(changes, miss, rcond=None)[0]
            x = (y - steps @ weights).astype(dtype)
    raise RuntimeError(f"fixed_point: {maxiter} steps were not enough: |f(x) - x| is {_length(miss):.3g}")


def _length(x: Any) -> float:
    """The norm, without overflow on the way."""
    scale = float(np.abs(x).max(initial=0))
    return scale * float(np.linalg.norm(x / scale)) if 0 < scale < np.inf else scale
