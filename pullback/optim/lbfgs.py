"""L-BFGS: Newton steps by a Hessian that is estimated from the last steps, with a line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pullback import ops
from pullback.autograd import enable_grad
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.optim.optimizer import Optimizer, ParamsT, check_rate, unrecorded

__all__ = ["LBFGS"]

CURVATURE = 1e-10
"""What y . s must exceed, for a pair of steps and changes of the gradient to be kept."""

KEPT = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


class LBFGS(Optimizer):
    """L-BFGS: minimises a loss that its closure computes anew for each trial; one step makes many.

    The inverse Hessian is estimated from the last `history_size` steps and changes of the gradient. A step
    makes up to `max_iter` iterations and `max_eval` evaluations (`max_iter * 5 // 4` if None), and ends early
    where no gradient is larger than `tolerance_grad`, or neither parameters nor loss change by more than
    `tolerance_change`. `line_search_fn` is None, for steps of `lr`, or "strong_wolfe".

    All parameters are one group.

    >>> import pullback as torch
    >>> x = torch.tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = torch.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 4).sum() + (x[0] - x[1]) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> bool(loss < 1e-6)
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_rate(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params: list[Any] = self.param_groups[0]["params"]
        self._numel_cache: int | None = None

    # ------------------------------------------------------------- the parameters as one long vector

    def _numel(self) -> int:
        """The length of the vector; a complex number counts twice."""
        if self._numel_cache is None:
            self._numel_cache = sum(p.numel() * (2 if p.is_complex() else 1) for p in self._params)
        return self._numel_cache

    def _gather_flat_grad(self) -> Any:
        """The gradients as one vector, zeros for those that are missing."""
        parts = []
        for p in self._params:
            grad = ops.zeros_like(p) if p.grad is None else p.grad
            grad = grad.to_dense() if getattr(grad, "is_sparse", False) else grad
            parts.append((ops.view_as_real(grad) if grad.is_complex() else grad).reshape(-1))
        return ops.cat(parts, 0)

    def _add_grad(self, step_size: Any, update: Any) -> None:
        """Moves the parameters by `step_size` times a vector."""
        start = 0
        for p in self._params:
            real = ops.view_as_real(p) if p.is_complex() else p
            part = update[start : start + real.numel()]
            real.add_(part.view(real.shape), alpha=float(step_size))
            start += real.numel()

    def _clone_param(self) -> list[Any]:
        """Copies of the parameters."""
        return [p.clone() for p in self._params]

    def _set_param(self, params_data: list[Any]) -> None:
        """Writes copies back."""
        for p, kept in zip(self._params, params_data, strict=True):
            p.copy_(kept)

    def _directional_evaluate(
        self, closure: Callable[[], Any], x: list[Any], t: Any, d: Any
    ) -> tuple[float, Any]:
        """Loss and gradient `t` along `d` from `x`, where the parameters are again afterwards."""
        self._add_grad(t, d)
        loss = _number(closure())
        grad = self._gather_flat_grad()
        self._set_param(x)
        return loss, grad

    # ------------------------------------------------------------------------------------- the step

    @unrecorded
    def step(self, closure: Callable[[], Any]) -> Any:
        """Minimises; `closure` computes loss and gradients anew. Returns the loss at the beginning."""

        def evaluate() -> Any:
            with enable_grad():
                return closure()

        group = self.param_groups[0]
        lr = group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = evaluate()
        loss, evaluations = _number(first_loss), 1
        state["func_evals"] += 1
        grad = self._gather_flat_grad()
        if _flat(grad, group["tolerance_grad"]):
            return first_loss
        d, t, dirs, steps, ro, scale, before, last_loss = (state.get(name) for name in KEPT)
        iterations = 0
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, dirs, steps, ro, scale = -grad, [], [], [], 1
            else:
                scale = self._remember(grad - before, d * t, dirs, steps, ro, scale)
                d = self._direction(grad, dirs, steps, ro, scale, state)
            if before is None:
                before = grad.clone()
            else:
                before.copy_(grad)
            last_loss = loss
            t = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
            slope = grad.dot(d)
            if slope > -group["tolerance_change"]:
                break
            trials = 0
            done = False
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                x = self._clone_param()

                def along(x: Any, t: Any, d: Any) -> tuple[float, Any]:
                    return self._directional_evaluate(evaluate, x, t, d)

                loss, grad, t, trials = _strong_wolfe(along, x, t, d, loss, grad, slope)
                self._add_grad(t, d)
                done = _flat(grad, group["tolerance_grad"])
            else:
                self._add_grad(t, d)
                if iterations != group["max_iter"]:
                    loss = _number(evaluate())
                    grad = self._gather_flat_grad()
                    done = _flat(grad, group["tolerance_grad"])
                    trials = 1
            evaluations += trials
            state["func_evals"] += trials
            if iterations == group["max_iter"] or evaluations >= group["max_eval"] or done:
                break
            if _flat(d * t, group["tolerance_change"]):
                break
            if abs(loss - last_loss) < group["tolerance_change"]:
                break
        kept = (d, t, dirs, steps, ro, scale, before, last_loss)
        state.update(zip(KEPT, kept, strict=True))
        return first_loss

    def _remember(self, y: Any, s: Any, dirs: list[Any], steps: list[Any], ro: list[Any], scale: Any) -> Any:
        """Keeps a step `s` and its change of the gradient `y`, if it curves upward; the Hessian's scale."""
        curvature = y.dot(s)
        if curvature <= CURVATURE:
            return scale
        if len(dirs) == self.param_groups[0]["history_size"]:
            for kept in (dirs, steps, ro):
                kept.pop(0)
        dirs.append(y)
        steps.append(s)
        ro.append(1.0 / curvature)
        return curvature / y.dot(y)

    def _direction(
        self, grad: Any, dirs: list[Any], steps: list[Any], ro: list[Any], scale: Any, state: Any
    ) -> Any:
        """Minus the inverse Hessian times the gradient, by the two loops over what is kept."""
        al = state.setdefault("al", [None] * self.param_groups[0]["history_size"])
        q = -grad
        for i in reversed(range(len(dirs))):
            al[i] = steps[i].dot(q) * ro[i]
            q.add_(dirs[i] * -al[i])
        d = q * scale
        for i in range(len(dirs)):
            d.add_(steps[i] * (al[i] - dirs[i].dot(d) * ro[i]))
        return d


def _number(loss: Any) -> float:
    """A closure's loss as a number."""
    return float(loss.detach() if isinstance(loss, Tensor) else loss)


def _flat(x: Any, tolerance: float) -> bool:
    """Whether no element is larger than a tolerance."""
    return bool(x.abs().max() <= tolerance)


def _cubic_interpolate(
    x1: Any, f1: Any, g1: Any, x2: Any, f2: Any, g2: Any, bounds: tuple[Any, Any] | None = None
) -> Any:
    """Where the cubic through two points with these values and slopes is smallest, within bounds.

    Without bounds, between the points; in the middle of them where the cubic has no minimum.
    """
    low, high = bounds if bounds is not None else (x1, x2) if x1 <= x2 else (x2, x1)
    a = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = a**2 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    root = square**0.5
    if x1 <= x2:
        place = x2 - (x2 - x1) * ((g2 + root - a) / (g2 - g1 + 2 * root))
    else:
        place = x1 - (x1 - x2) * ((g1 + root - a) / (g1 - g2 + 2 * root))
    return min(max(place, low), high)


class _Point(NamedTuple):
    """A point of a line search: its place, the loss there, the gradient, and the slope along the line."""

    t: Any
    loss: Any
    grad: Any
    slope: Any


def _strong_wolfe(
    obj_func: Callable[..., tuple[Any, Any]],
    x: Any,
    t: Any,
    d: Any,
    f: Any,
    g: Any,
    gtd: Any,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[Any, Any, Any, int]:
    """A step along `d` by which the loss falls enough and its slope is small: the strong Wolfe conditions.

    `obj_func(x, t, d)` gives loss and gradient; `f`, `g` and the slope `gtd` are those at the beginning.
    Returns loss, gradient and place of the point found, and the number of evaluations.
    """
    largest = d.abs().max()
    begin = _Point(0, f, g.clone(), gtd)

    def evaluate(t: Any) -> _Point:
        loss, grad = obj_func(x, t, d)
        return _Point(t, loss, grad.clone(), grad.dot(d))

    def falls(point: _Point) -> bool:
        return bool(point.loss <= f + c1 * point.t * gtd)

    def is_flat(point: _Point) -> bool:
        return bool(abs(point.slope) <= -c2 * gtd)

    before, point, trials, evaluations = begin, evaluate(t), 0, 1
    ends: list[_Point] = []
    while trials < max_ls and not ends:
        if not falls(point) or (trials > 1 and point.loss >= before.loss):
            ends = [before, point]
        elif is_flat(point):
            return point.loss, point.grad, point.t, evaluations
        elif point.slope >= 0:
            ends = [before, point]
        else:
            bounds = (point.t + 0.01 * (point.t - before.t), point.t * 10)
            t = _cubic_interpolate(*_known(before), *_known(point), bounds=bounds)
            before, point = point, evaluate(t)
            evaluations += 1
            trials += 1
    if not ends:
        ends = [begin, point]

    stuck = False
    low = 0 if ends[0].loss <= ends[1].loss else 1
    while trials < max_ls and abs(ends[1].t - ends[0].t) * largest >= tolerance_change:
        t = _cubic_interpolate(*_known(ends[0]), *_known(ends[1]))
        left, right = min(ends[0].t, ends[1].t), max(ends[0].t, ends[1].t)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        stuck = near
        point = evaluate(t)
        evaluations += 1
        trials += 1
        if not falls(point) or point.loss >= ends[low].loss:
            ends[1 - low] = point
            low = 0 if ends[0].loss <= ends[1].loss else 1
            continue
        done = is_flat(point)
        if not done and point.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = point
        if done:
            break
    best = ends[low]
    return best.loss, best.grad, best.t, evaluations


def _known(point: _Point) -> tuple[Any, Any, Any]:
    """Place, loss and slope."""
    return point.t, point.loss, point.slope


__getattr__ = getter(__name__)
