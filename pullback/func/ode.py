"""`solve_ivp`: initial value problems by SciPy's solvers, differentiable by adjoints.

The solver runs on numbers; its steps are not recorded. Three ways lead back:

    "adjoint"    l' = -(df/dy)' l backwards in time, y(t) from the solver's dense output; the gradient of
                 the parameters by Gauss quadrature over the steps of l. The default.
    "backsolve"  y, l and the parameters' gradient as one system backwards: needs no stored solution and is
                 differentiable itself, to any order; but y is integrated backwards, which damps turn into
                 growth: wrong, without a warning, for stiff or strongly dissipative systems.
    "discrete"   the accepted steps of an explicit Runge-Kutta method once more, recorded, each a checkpoint:
                 the exact derivative of the numbers that were returned, at any tolerance.

The adjoints solve for the derivative of the true solution, so that they agree with the difference
quotient of the numerical one up to the tolerances. `_Ivp` is the Function of the first two. Sources:
Pontryagin et al. (1962); Chen et al., "Neural ordinary differential equations" (2018); Kidger, "On neural
differential equations" (2021), chapter 5.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from pullback import ops
from pullback.autograd.function import Function
from pullback.autograd.passes import grad
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad, no_grad
from pullback.core.types import Array
from pullback.func.arguments import differentiable
from pullback.func.captures import captured, opened
from pullback.func.rows import products
from pullback.transforms.stack import Wrapper

__all__ = ["OdeSolution", "solve_ivp"]


IMPLICIT = frozenset({"Radau", "BDF", "LSODA"})
"""The methods that are given the Jacobian."""


class OdeSolution(NamedTuple):
    """Times, of shape (n,), and states, of shape (n, *y0.shape); `nfev`: evaluations going forward."""

    t: Tensor
    y: Tensor
    nfev: int


class _Method(NamedTuple):
    """How to integrate: SciPy's method, tolerances and options, and which gradient."""

    method: str
    rtol: float
    atol: Any
    gradient: str
    options: dict[str, Any]


def solve_ivp(
    f: Callable[..., Tensor],
    t_span: Sequence[Any],
    y0: Tensor,
    method: str = "RK45",
    t_eval: Any = None,
    args: tuple[Any, ...] = (),
    *,
    rtol: float = 1e-6,
    atol: Any = 1e-9,
    gradient: str = "adjoint",
    params: Sequence[Tensor] | None = None,
    **options: Any,
) -> OdeSolution:
    """Solves y' = f(t, y, *args), y(t_span[0]) = y0, by `scipy.integrate.solve_ivp`, differentiably.

    `f` takes a 0-dim tensor, a tensor like `y0` and the `args`, and returns y' in the shape of y0; it is
    made of ops. `method` is one of SciPy's (RK45, RK23, DOP853, Radau, BDF, LSODA; the last three get the
    Jacobian from the graph). The states are given at the times `t_eval`, a sorted tensor within the span,
    and without one at the solver's own steps; under `vmap`, where those differ, at the ends of the span.
    Time may run backwards, or stand. `options` are SciPy's (max_step, first_step, ...).

    Gradients reach y0, the ends of the span, `t_eval`, the tensors in `args`, and those that `f` captures,
    as a module does its parameters: they are found by a call of `f`. `params` names those that count
    instead. With l(t) the gradient with respect to y(t),

        dL/dy0 = l(t0)    dL/da = integral of (df/da)' l dt    dL/dt_i = <g_i, f(t_i)>

    `gradient` is "adjoint" (second derivatives by "backsolve"), "backsolve" or "discrete" (RK methods
    alone); the file says which is good for what. Their errors are of the size of `rtol` and `atol`. TypeError
    unless y0 is real and f returns a tensor; ValueError for an unknown `gradient`; RuntimeError if the solver
    fails.

    >>> import pullback as torch
    >>> a = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    >>> y0 = torch.ones(1, dtype=torch.float64)
    >>> end = torch.func.solve_ivp(lambda t, y, a: -a * y, (0.0, 2.0), y0, args=(a,)).y[-1]
    >>> end.backward(); end.detach(), a.grad
    (tensor([0.3679], dtype=torch.float64), tensor(-0.7358, dtype=torch.float64))
    """
    if not isinstance(y0, Tensor) or not y0.dtype.is_floating_point:
        raise TypeError("solve_ivp: y0 must be a tensor of real floating-point numbers")
    if gradient not in ("adjoint", "backsolve", "discrete"):
        raise ValueError(
            f"solve_ivp: gradient must be 'adjoint', 'backsolve' or 'discrete', not {gradient!r}"
        )
    way = _Method(method, rtol, atol, gradient, options)
    start, end = (_time(t, y0) for t in t_span)
    held = captured(f, start, y0, *args) if params is None else list(params)
    system = _System(f, y0, len(args), held)
    if t_eval is None:
        times = ops.cat([start.reshape(1), *_halts(system, way, start, end, y0, args), end.reshape(1)])
    else:
        times = t_eval.to(y0.dtype) if isinstance(t_eval, Tensor) else ops.tensor(t_eval, dtype=y0.dtype)
    if not times.numel():
        return OdeSolution(times, ops.zeros((0, *y0.shape), dtype=y0.dtype), 0)
    if gradient == "discrete":
        from pullback.func.ode_steps import replayed

        if _many((start, times, y0, *args, *held)):
            raise RuntimeError(
                "solve_ivp: gradient='discrete' chooses its steps for one sample; under vmap use 'adjoint'"
            )
        return replayed(system, way, start, times, y0, args)
    note: dict[str, Any] = {}
    if not all(x.is_leaf for x in held):  # one may depend on another: only arguments are independent
        system, args, held = system.opened(), (*args, *held), []
    states = _Ivp.apply(system, way, note, start, times, y0, *args, *held)
    return OdeSolution(times, states, note["nfev"])


def _time(t: Any, y0: Tensor) -> Any:
    """An end of the span as a 0-dim tensor of y's dtype."""
    return t.to(y0.dtype) if isinstance(t, Tensor) else ops.tensor(float(t), dtype=y0.dtype)


# --------------------------------------------------------------------------- the system in numbers


class _System:
    """f with the shape and dtype of y; `held` are the tensors that it captures."""

    def __init__(self, f: Callable[..., Any], y0: Tensor, arguments: int, held: list[Tensor]) -> None:
        self.given, self.held, self.arguments = f, held, arguments
        self.shape, self.dtype = y0.shape, y0.dtype.numpy

    def f(self, t: Tensor, y: Tensor, *args: Any) -> Tensor:
        """The rate, checked."""
        found = self.given(t, y, *args)
        if not isinstance(found, Tensor):
            raise TypeError(f"solve_ivp: f must return a tensor, but returned {type(found).__name__}")
        if found.shape != self.shape:
            raise ValueError(f"solve_ivp: f returned the shape {list(found.shape)}, y has {list(self.shape)}")
        return found

    def opened(self) -> _System:
        """The system with what it captures as further arguments."""
        system = copy.copy(self)
        system.given, system.held = opened(self.given, self.held), []
        system.arguments += len(self.held)
        return system

    def holding(self, values: Sequence[Tensor]) -> _System:
        """The system with other tensors in the place of those that it captures."""
        system, f, count = copy.copy(self), opened(self.given, self.held), len(values)
        system.held = list(values)
        system.given = f if not count else lambda t, y, *args: f(t, y, *args, *values)
        return system

    def tensor(self, flat: Any) -> Tensor:
        """Numbers in the shape and dtype of y."""
        return _engine.from_array(np.array(flat, self.dtype).reshape(self.shape))

    def time(self, t: float) -> Tensor:
        """A time as f gets it."""
        return _engine.from_array(np.array(t, self.dtype))

    def rate(self, t: float, flat: Array, args: Any) -> Array:
        """f, on numbers."""
        with no_grad():
            found = self.f(self.time(t), self.tensor(flat), *args)
        return found.numpy().ravel().astype(np.float64)

    def jacobian(self, t: float, flat: Array, args: Any) -> Array:
        """df/dy, a matrix."""
        with enable_grad():
            y = self.tensor(flat).requires_grad_()
            found = self.f(self.time(t), y, *args)
        return products(found, y, np.eye(y.numel())).astype(np.float64)

    def pulled(self, t: float, flat: Array, weights: Array, args: Any, sources: list[Tensor]) -> list[Array]:
        """(df/dy)' w and (df/da)' w for each source, on numbers."""
        with enable_grad():
            y = self.tensor(flat).requires_grad_()
            found = self.f(self.time(t), y, *args)
        wanted = [y, *sources]
        if not found.requires_grad:
            return [np.zeros(x.numel()) for x in wanted]
        grads = grad(found, wanted, self.tensor(weights), materialize_grads=True)
        return [g.detach().numpy().ravel().astype(np.float64) for g in grads]


def _solve(
    rate: Any, jacobian: Any, way: _Method, span: tuple[float, float], flat: Array, **more: Any
) -> Any:
    """SciPy's solution; RuntimeError if there is none. In no time, nothing moves."""
    if span[0] == span[1]:
        times = np.asarray(more.get("t_eval", span))
        return SimpleNamespace(t=times, y=np.repeat(flat[:, None], len(times), 1), sol=lambda t: flat, nfev=0)
    from scipy.integrate import solve_ivp as scipy_solve_ivp

    given = {"jac": jacobian} if way.method in IMPLICIT else {}
    found = scipy_solve_ivp(
        rate, span, flat, method=way.method, rtol=way.rtol, atol=way.atol, **given, **way.options, **more
    )
    if not found.success:
        raise RuntimeError(f"solve_ivp: {found.message}")
    return found


def _flat_state(y: Tensor) -> Array:
    return y.detach().numpy().ravel().astype(np.float64)


def _halts(system: _System, way: _Method, start: Tensor, end: Tensor, y0: Tensor, args: Any) -> list[Tensor]:
    """The times at which the solver halts by itself, none where there are many samples."""
    if _many((start, end, y0, *args, *system.held)):
        return []
    plain = _detached(args)
    mesh = _solve(
        lambda t, y: system.rate(t, y, plain),
        lambda t, y: system.jacobian(t, y, plain),
        way,
        (start.item(), end.item()),
        _flat_state(y0),
    ).t
    return [_engine.from_array(mesh[1:-1].astype(system.dtype))]


def _many(given: Any) -> bool:
    """Whether one of these has a value for each of many samples."""
    return any(isinstance(x, Wrapper) for x in given)


def _detached(args: Any) -> list[Any]:
    return [a.detach() if isinstance(a, Tensor) else a for a in args]


# ------------------------------------------------------------------------------------ the Function


class _Ivp(Function):
    """The states at the times, from the state at the start."""

    @staticmethod
    def forward(ctx: Any, system: Any, way: _Method, note: Any, start: Tensor, times: Tensor, y0: Tensor,
                *given: Any) -> Tensor:  # fmt: skip
        args = _detached(given[: system.arguments])
        at = times.detach().numpy().astype(np.float64)
        dense = way.gradient == "adjoint" and any(ctx.needs_input_grad)
        found = _solve(
            lambda t, y: system.rate(t, y, args),
            lambda t, y: system.jacobian(t, y, args),
            way,
            (start.item(), float(at[-1])),
            _flat_state(y0),
            t_eval=at,
            dense_output=dense,
        )
        note["nfev"] = found.nfev
        states = _engine.from_array(np.ascontiguousarray(found.y.T, system.dtype).reshape(-1, *system.shape))
        ctx.system, ctx.way, ctx.dense = system, way, found.sol
        ctx.rest = [None if isinstance(a, Tensor) else a for a in given]
        ctx.tensors = [i for i, a in enumerate(given) if isinstance(a, Tensor)]
        kept = (start, times, states, *(given[i] for i in ctx.tensors))
        ctx.save_for_backward(*kept)
        ctx.save_for_forward(*kept)
        return states

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        start, times, states, given = _saved_solution(ctx)
        system = ctx.system
        wanted = ctx.needs_input_grad
        numbers = ctx.dense is not None and not _engine.grad_enabled() and not _engine.levels()
        sweep = _interpolated_sweep if numbers else _backsolved
        chosen = [bool(w) and isinstance(a, Tensor) for w, a in zip(wanted[6:], given, strict=True)]
        weight, slopes = sweep(ctx, start, times, states, given, chosen, g)
        args = given[: system.arguments]
        at_times = at_start = None
        if wanted[4]:
            terms = [(g[i] * system.f(t, states[i], *args)).sum() for i, t in enumerate(times.unbind())]
            at_times = ops.stack(terms)
        if wanted[3]:
            first = _start_state(ctx, start, times, states, args)
            at_start = -(weight * system.f(start, first, *args)).sum()
        found = iter(slopes)
        return None, None, None, at_start, at_times, weight, *(next(found) if c else None for c in chosen)

    @staticmethod
    def vmap(info: Any, in_dims: Any, system: Any, way: Any, note: Any, *tensors: Any) -> Any:
        """Each sample by itself: the solver chooses its steps for each."""

        def sample(i: int) -> Tensor:
            dims = zip(tensors, in_dims[3:], strict=True)
            start, times, y0, *given = (x if d is None else ops.select(x, d, i) for x, d in dims)
            own = system.holding(given[system.arguments :])
            return _Ivp.apply(own, way, note, start, times, y0, *given)

        return ops.stack([sample(i) for i in range(info.batch_size)]), 0

    @staticmethod
    def jvp(ctx: Any, system: Any, way: Any, note: Any, start_v: Any, times_v: Any, y0_v: Any,
            *given_v: Any) -> Tensor:  # fmt: skip
        """d' = (df/dy) d + (df/da) da beside y, from d(t0) = dy0 - f(t0) dt0."""
        start, times, states, given = _saved_solution(ctx)
        first = _start_state(ctx, start, times, states, given[: ctx.system.arguments])
        system = ctx.system.opened()
        moved = [isinstance(v, Tensor) for v in given_v]
        tangents = [v for v in given_v if isinstance(v, Tensor)]
        d0 = y0_v - system.f(start, first, *given) * start_v
        both = ops.cat([first.reshape(-1), d0.reshape(-1)])
        whole = _System(_TangentSystem(system, moved), both, len(given) + len(tangents), [])
        way = ctx.way._replace(gradient="backsolve")
        solved = _Ivp.apply(whole, way, {}, start, times, both, *given, *tangents)
        size = first.numel()
        pushed = [
            (solved[i, size:].reshape(first.shape) + system.f(t, states[i], *given) * times_v[i])
            for i, t in enumerate(times.unbind())
        ]
        return ops.stack(pushed)


def _saved_solution(ctx: Any) -> tuple[Tensor, Tensor, Tensor, list[Any]]:
    start, times, states, *tensors = ctx.saved_tensors
    given = list(ctx.rest)
    for i, x in zip(ctx.tensors, tensors, strict=True):
        given[i] = x
    return start, times, states, given


def _start_state(ctx: Any, start: Tensor, times: Tensor, states: Tensor, args: Any) -> Any:
    """y0 again: the first state, or integrated back from it."""
    if times[0].item() == start.item():
        return states[0]
    system = ctx.system
    way = ctx.way._replace(gradient="backsolve")
    return _Ivp.apply(system, way, {}, times[0], start.reshape(1), states[0], *args, *system.held)[0]


def _interpolated_sweep(
    ctx: Any, start: Tensor, times: Tensor, states: Tensor, given: Any, chosen: Any, g: Tensor
) -> Any:
    """The adjoint along the dense output, on numbers."""
    system, way = ctx.system, ctx.way
    args = _sources(given[: system.arguments], chosen)
    everything = [*args, *system.held]
    sources = [x for x, c in zip(everything, chosen, strict=True) if c]
    totals = [np.zeros(x.numel()) for x in sources]
    weight = np.zeros(states[0].numel())
    places = [start.item(), *times.tolist()]
    for i in range(len(places) - 1, 0, -1):
        weight = weight + _flat_state(g[i - 1])
        if places[i] == places[i - 1]:
            continue
        leg = _solve(
            lambda t, l: -system.pulled(t, ctx.dense(t), l, args, [])[0],
            lambda t, l: -system.jacobian(t, ctx.dense(t), args).T,
            way,
            (places[i], places[i - 1]),
            weight,
            dense_output=bool(sources),
        )
        for node, share in _gauss(leg.t) if sources else ():
            parts = system.pulled(node, ctx.dense(node), leg.sol(node), args, sources)[1:]
            totals = [total - share * part for total, part in zip(totals, parts, strict=True)]
        weight = leg.y[:, -1]
    slopes = [
        _engine.from_array(total.reshape(x.shape).astype(x.detach().numpy().dtype))
        for total, x in zip(totals, sources, strict=True)
    ]
    return system.tensor(weight), slopes


def _gauss(mesh: Array) -> Any:
    """Nodes and weights of a quadrature with four points in each step, exact to degree seven."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    for a, b in itertools.pairwise(mesh):
        half = (b - a) / 2
        yield from zip(a + half * (nodes + 1), half * weights, strict=True)


def _sources(args: Any, chosen: Any) -> list[Any]:
    """The arguments, fresh leaves where a gradient is wanted."""
    return [
        a if not isinstance(a, Tensor) else a.detach().requires_grad_() if c else a.detach()
        for a, c in zip(args, chosen, strict=False)
    ]


def _backsolved(
    ctx: Any, start: Tensor, times: Tensor, states: Tensor, given: Any, chosen: Any, g: Tensor
) -> Any:
    """State, adjoint and gradients backwards as one system, each leg from a known state."""
    system = ctx.system
    adjoint = _AdjointSystem(system, chosen)
    size = states[0].numel()
    weight = ops.zeros_like(states[0])
    likes = [x for x, c in zip(given, chosen, strict=True) if c]
    sums = [ops.zeros_like(x) for x in likes]
    places = [start, *times.unbind()]
    for i in range(len(places) - 1, 0, -1):
        weight = weight + g[i - 1]
        if places[i].item() == places[i - 1].item():
            continue
        parts = [states[i - 1], weight, *sums]
        whole = ops.cat([p.reshape(-1).to(states.dtype) for p in parts])
        found = _Ivp.apply(
            _System(adjoint, whole, system.arguments, system.held),
            ctx.way._replace(gradient="backsolve"),
            {},
            places[i],
            places[i - 1].reshape(1),
            whole,
            *given,
        )[0]
        pieces = ops.split(found, [size, size, *(x.numel() for x in likes)])
        weight = pieces[1].reshape(states[0].shape)
        sums = [p.reshape(x.shape).to(x.dtype) for p, x in zip(pieces[2:], likes, strict=True)]
    return weight, sums


class _AdjointSystem:
    """(y, l, m)' = (f, -(df/dy)' l, -(df/da)' l), in one vector."""

    def __init__(self, system: _System, chosen: list[bool]) -> None:
        self.system, self.chosen = system, chosen

    def __call__(self, t: Tensor, whole: Tensor, *args: Any) -> Tensor:
        system, recording = self.system, _engine.grad_enabled()
        size = int(np.prod(system.shape))
        with enable_grad():
            y = differentiable(whole[:size].reshape(system.shape))
            weight = whole[size : 2 * size].reshape(system.shape)
            everything = [*args, *system.held]
            fresh = [
                differentiable(x) if c and i < system.arguments else x
                for i, (x, c) in enumerate(zip(everything, self.chosen, strict=True))
            ]
            sources = [y, *(x for x, c in zip(fresh, self.chosen, strict=True) if c)]
            rate = system.f(t, y, *fresh[: system.arguments])
            if rate.requires_grad:
                grads = grad(rate, sources, weight, create_graph=recording, materialize_grads=True)
            else:
                grads = tuple(ops.zeros_like(x) for x in sources)
        return ops.cat([rate.reshape(-1), *((-x).reshape(-1).to(rate.dtype) for x in grads)])


class _TangentSystem:
    """(y, d)' = (f, (df/dy) d + (df/da) da), in one vector."""

    def __init__(self, system: _System, moved: list[bool]) -> None:
        self.system, self.moved = system, moved

    def __call__(self, t: Tensor, whole: Tensor, *args: Any) -> Tensor:
        from pullback.func.implicit import pushed

        system = self.system
        size = int(np.prod(system.shape))
        y, d = (part.reshape(system.shape) for part in (whole[:size], whole[size:]))
        count, recording = system.arguments, _engine.grad_enabled()
        given, moving = args[:count], iter(args[len(self.moved) :])
        tangents = [d, *(next(moving) if m else None for m in self.moved[:count])]
        with enable_grad():
            moved = [True, *self.moved[:count]]
            sources = [
                differentiable(y),
                *(differentiable(x) if m else x for x, m in zip(given, moved[1:], strict=True)),
            ]
            slope = pushed(lambda y, *args: system.f(t, y, *args), sources, tangents, moved, recording)
        return ops.cat([system.f(t, y, *given).reshape(-1), slope.reshape(-1)])
