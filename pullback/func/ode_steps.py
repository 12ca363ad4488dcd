"""The steps of an explicit Runge-Kutta solver once more, recorded: the "discrete" gradient of `solve_ivp`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.func.ode import OdeSolution, _detached, _flat_state, _Method, _solve, _System
from pullback.utils.checkpoint import checkpoint


def replayed(
    system: _System, way: _Method, start: Tensor, times: Tensor, y0: Tensor, args: Any
) -> OdeSolution:
    """The solution by the steps that the solver accepts between one time and the next.

    A step is a part of its leg, so that its length is differentiable with respect to the times, and a
    checkpoint: only states are kept.
    """
    from scipy.integrate import DOP853, RK23, RK45

    known = {"RK23": RK23, "RK45": RK45, "DOP853": DOP853}
    if way.method not in known:
        raise ValueError(f"solve_ivp: gradient='discrete' needs one of {sorted(known)}, not {way.method}")
    scheme = known[way.method]
    plain = _detached(args)
    flat, y, before = _flat_state(y0), y0, start
    states, count = [], 0
    for end in times.unbind():
        span = before.item(), end.item()
        leg = _solve(lambda t, z: system.rate(t, z, plain), None, way, span, flat)
        length = span[1] - span[0]
        mesh = (leg.t - span[0]) / length if length else np.array([0.0, 1.0])  # a leg of no length: one step
        for place, part in zip(mesh[:-1], np.diff(mesh), strict=True):
            y = checkpoint(
                _recorded_step,
                system,
                scheme,
                float(place),
                float(part),
                before,
                end,
                y,
                *args,
                use_reentrant=False,
            )
        flat, count = leg.y[:, -1], count + leg.nfev
        states.append(y)
        before = end
    return OdeSolution(times, ops.stack(states), count)


def _recorded_step(
    system: _System,
    scheme: Any,
    place: float,
    part: float,
    before: Tensor,
    end: Tensor,
    y: Tensor,
    *args: Any,
) -> Tensor:
    """One step of an explicit Runge-Kutta scheme, y + h (b_1 k_1 + ... + b_s k_s)."""
    h = (end - before) * part
    t = before + (end - before) * place
    slopes: list[Any] = []
    for s in range(scheme.n_stages):
        at = y
        for weight, slope in zip(scheme.A[s, :s], slopes, strict=True):
            at = at + (h * float(weight)) * slope if weight else at
        slopes.append(system.f(t + h * float(scheme.C[s]), at, *args))
    for weight, slope in zip(scheme.B, slopes, strict=True):
        y = y + (h * float(weight)) * slope if weight else y
    return y
