"""Taylor mode: a truncated power series pushed through a function.

`Jets` is an interpreter on the engine's stack: a tensor stands for x(t) = x0 + x1 t + ... + xK t^K and
carries the coefficients x1 ... xK, None for zero ones. Linear ops act on each coefficient, products
convolve them, and a function y = f(x) with a simple derivative follows from its differential equation,
e.g. y' = y x' for exp: k y_k = sum_j j x_j y_(k-j). So K derivatives cost about K^2 products. Where
nothing is tabled, `_by_derivative` has y' = J(x) x' from the op's backward rules, one order lower. Read
`jet` first; the rules of ops stand on their records, made of ops/shared/series.py.

Sources: Moore (1966); Griewank and Walther, "Evaluating Derivatives" (2008), chapter 13; Bettencourt,
Johnson and Duvenaud, "Taylor-mode automatic differentiation for higher-order derivatives" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor
from pullback.core.modes import enable_grad
from pullback.ops.shared.series import Series, plus
from pullback.transforms.leaves import gradients, leaf
from pullback.transforms.stack import Interpreter, entered
from pullback.transforms.tangents import outputs_of

__all__ = ["jet"]


def jet(f: Callable[..., Any], primals: Any, series: Any) -> Any:
    """The derivatives of f(x(t)) at t = 0, from those of x(t), all orders at once.

    `primals` holds x(0), a tensor for each argument of `f`, and `series` for each a sequence of its
    derivatives x'(0), x''(0), ..., x^(K)(0), of the same shape; None stands for zeros. Derivatives, not
    Taylor coefficients: they differ by k!. This is also how JAX's `jet` counts. Returns `f(*primals)`
    and a list of its K derivatives; tuples of those if `f` returns a tuple. A single tensor as
    `primals` goes with a single sequence. With x(t) = x + t v, that is the series (v, 0, 0, ...), the
    k-th is the k-th directional derivative. The cost grows with K squared, and the results can be
    differentiated in the usual ways. ValueError for series of different lengths or shapes.

    >>> import pullback as torch
    >>> x, one = torch.tensor(0.0), torch.tensor(1.0)
    >>> torch.func.jet(torch.sin, x, (one, None, None))
    (tensor(0.), [tensor(1.), tensor(-0.), tensor(-1.)])
    """
    single = isinstance(primals, Tensor)
    values = (primals,) if single else tuple(primals)
    terms = (series,) if single else tuple(series)
    order = _order_of(values, terms)
    tracer = Jets(order)
    inputs = []
    for x, derivatives in zip(values, terms, strict=True):
        start = ops.clone(x)
        tracer.give(
            start, [None if d is None else d / math.factorial(k + 1) for k, d in enumerate(derivatives)]
        )
        inputs.append(start)
    with entered(tracer):
        result = f(*inputs)
    found = [tracer.derivatives(y) for y in (result if isinstance(result, (tuple, list)) else [result])]
    if isinstance(result, (tuple, list)):
        return tuple(value for value, _ in found), tuple(rest for _, rest in found)
    return found[0]


def _order_of(values: tuple[Any, ...], terms: tuple[Any, ...]) -> int:
    """The order of all the series."""
    if len(values) != len(terms):
        raise ValueError(f"jet: {len(values)} primals, but {len(terms)} series")
    orders = {len(derivatives) for derivatives in terms}
    if len(orders) != 1:
        raise ValueError(f"jet: all series must have one length, not {sorted(orders)}")
    for x, derivatives in zip(values, terms, strict=True):
        if not isinstance(x, Tensor):
            raise TypeError(f"jet: primals must be tensors, not {type(x).__name__}")
        for d in derivatives:
            if d is not None and d.shape != x.shape:
                raise ValueError(
                    f"jet: a term of shape {list(d.shape)} for a primal of shape {list(x.shape)}"
                )
    return orders.pop()


# ------------------------------------------------------------------------------- the interpreter


class Jets(Interpreter):
    """The interpreter: tensors may carry the coefficients 1 to `order` of a power series in t."""

    hangs = True

    def __init__(self, order: int) -> None:
        self.order = order

    def held(self, p: Any) -> Any:
        """What the engine keeps of a tensor that is about to be written to: its coefficients."""
        return self.of(p)

    def of(self, x: Any) -> Any:
        """The coefficients x1 ... xK that a tensor carries, None for none; a view's are its base's."""
        if not isinstance(x, Tensor):
            return None
        found = super().held(x)
        if found is not None or x._base is None:
            return found
        held = self.of(x._base)
        return held and [None if c is None else _seen_by_view(c, _engine.view_geometry(x)) for c in held]

    def give(self, x: Tensor, coefficients: Sequence[Any]) -> None:
        """Hangs coefficients on a tensor, in its shape and dtype; nothing if all are zero."""
        fitted = [c if c is None else _fitted(c, x) for c in coefficients]
        if any(c is not None for c in fitted):
            self.hang(x, fitted)

    def derivatives(self, y: Any) -> tuple[Any, list[Any]]:
        """A result's value and its derivatives, zeros where it has none."""
        coefficients = self._rest(y)
        plain = ops.view_as(y, y)
        return plain, [
            ops.zeros_like(y) if c is None else c * math.factorial(k + 1) if k else c
            for k, c in enumerate(coefficients)
        ]

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op on tensors that may carry series."""
        if op.nondiff or not self._any(args):
            target = args[0] if out is IN_PLACE else out
            if self.of(target) is not None and not op.nondiff:
                return self._write(op, args, target, out, [None] * self.order)
            return _engine.apply_below(op, args, out)
        if out is not None:
            target = args[0] if out is IN_PLACE else out
            value, zeros = _engine.apply_below(op, args), [None] * self.order
            return self._write(op, args, target, out, self._push(op, args, value)[0] or zeros)
        result = _engine.apply_below(op, args)
        if op.multi_view or (op.view and result.dtype == args[0].dtype):
            return result
        if op.view:  # complex numbers seen as pairs, or the other way round: a copy carries its own
            result = ops.clone(result)
        for x, coefficients in zip(outputs_of(result), self._push(op, args, result), strict=True):
            if coefficients is not None and x.dtype.kind in "fc":
                self.give(x, coefficients)
        return result

    def _write(self, op: Op, args: Any, target: Tensor, out: Any, coefficients: Any) -> Any:
        """The op in place; its coefficients go into those of the target, or of its base."""
        _engine.apply_below(op, args, out)
        base = target if target._base is None else target._base
        if base is not target:
            held = self._rest(base)
            coefficients = [
                _with_part(whole, part, target) for whole, part in zip(held, coefficients, strict=True)
            ]
        self.hang(base, None)
        self.give(base, coefficients)
        return target

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function: from its `backward`."""
        result, _ = cls._run(args)
        if self._any(args):
            found = self._by_derivative(lambda *given: cls.apply(*given), args)
            for x, coefficients in zip(outputs_of(result), found, strict=True):
                if coefficients is not None:
                    self.give(x, coefficients)
        return result

    # ------------------------------------------------------------------------------- rules

    def _any(self, values: Any) -> bool:
        return any(self._any(x) if type(x) in (list, tuple) else self.of(x) is not None for x in values)

    def _needs_grad(self, values: Any) -> bool:
        """Whether a value or a coefficient among these requires a gradient."""
        return any(
            self._needs_grad(x)
            if type(x) in (list, tuple)
            else isinstance(x, Tensor)
            and any(c is not None and c.requires_grad for c in (x, *(self.of(x) or ())))
            for x in values
        )

    def _series(self, x: Any) -> Series:
        """An operand's series; a constant is one, too."""
        return [x, *self._rest(x)]

    def _rest(self, x: Any) -> Series:
        """The coefficients 1 to `order` of a tensor, all None for a constant."""
        return self.of(x) or [None] * self.order

    def _push(self, op: Op, args: Any, result: Any) -> list[Any]:
        """The coefficients of each of an op's results."""
        if op.series_rule is not None and _analytic(args, result):
            series = [self._series(x) for x in args]
            return [op.series_rule(result, self.order, *series)]
        if op.linear or op.view:
            return self._each(op, args, result)
        if op.multilinear and not any(type(x) in (list, tuple) for x in args):
            return [self._convolved(op, args)]
        if op.piecewise:
            return self._at_value(op, args)
        if not op.has_vjp:
            raise NotImplementedError(f"jet: {op.__name__} has no derivative")
        return self._by_derivative(op, args)

    def _each(self, op: Op, args: Any, result: Any) -> list[Any]:
        """A linear op, coefficient by coefficient; by its rule for tangents if it adds a constant."""
        columns: list[Any] = []
        for k in range(self.order):
            pieces = [
                self._piece(x, k) if kind in "TNOL" else x for x, kind in zip(args, op.kinds, strict=True)
            ]
            empty = not any(p is not None for p in self._present(args, k))
            if empty:
                columns.append([None] * len(outputs_of(result)))
            elif op.jvp_rule is not None:
                known = dict(zip(op.params, pieces, strict=True))
                code = op.jvp_rule.__code__
                names = code.co_varnames[: code.co_argcount]
                columns.append(outputs_of(op.jvp_rule(*[known[name] for name in names])))
            else:
                columns.append(outputs_of(_engine.apply_below(op, tuple(pieces))))
        return [list(c) for c in zip(*columns, strict=True)]

    def _present(self, values: Any, k: int) -> Any:
        for x in values:
            if type(x) in (list, tuple):
                yield from self._present(x, k)
            elif self.of(x) is not None:
                yield self.of(x)[k]

    def _piece(self, x: Any, k: int) -> Any:
        """Coefficient k + 1 of an operand of a linear op, zeros where there is none; indices as they are."""
        if type(x) in (list, tuple):
            return [self._piece(item, k) for item in x]
        if not isinstance(x, Tensor) or x.dtype.kind not in "fc":
            return x
        held = self.of(x)
        return ops.zeros_like(x) if held is None or held[k] is None else held[k]

    def _convolved(self, op: Op, args: Any) -> Series:
        """A multilinear op: the sum over all ways to share an order among the operands."""
        moving = [i for i, x in enumerate(args) if self.of(x) is not None]
        series = [self._series(args[i]) for i in moving]
        found = []
        for k in range(1, self.order + 1):
            total = None
            for shares in _compositions(k, len(moving)):
                picked = [s[share] for s, share in zip(series, shares, strict=True)]
                if all(p is not None for p in picked):
                    given = list(args)
                    for i, p in zip(moving, picked, strict=True):
                        given[i] = p
                    total = plus(total, _engine.apply_below(op, tuple(given)))
            found.append(total)
        return found

    def _at_value(self, op: Op, args: Any) -> list[Any]:
        """A piecewise linear op: its derivative at the value, on each coefficient."""
        recording = _engine.grad_enabled() and self._needs_grad(args)
        with enable_grad():
            fresh, sources, held = self._fresh(args, recording)
            ends, starts, back = _transposed(lambda: _engine.apply_below(op, fresh), sources)
            columns = [
                _forward(ends, starts, back, [c[k] for c in held], recording) for k in range(self.order)
            ]
        return [list(c) for c in zip(*columns, strict=True)]

    def _by_derivative(self, run: Callable[..., Any], args: Any) -> list[Any]:
        """y' = J(x) x' as series one order shorter; J from the backward rules, see `_transposed`."""
        lower = Jets(self.order - 1)
        recording = _engine.grad_enabled() and self._needs_grad(args)
        with enable_grad():
            fresh, sources, held = self._fresh(args, recording)
            rates = []
            for x, coefficients in zip(sources, held, strict=True):
                lower.give(x, coefficients[:-1])
                first, *rest = [c if c is None else c * (k + 1) for k, c in enumerate(coefficients)]
                first = ops.zeros_like(x) if first is None else ops.clone(first)
                lower.give(first, rest)
                rates.append(first)
            with entered(lower):
                ends, starts, back = _transposed(lambda: run(*fresh), sources)
                speeds = _forward(ends, starts, back, rates, recording)
        found = [None if v is None else [v, *_over_orders(lower._rest(v))] for v in speeds]
        if recording:
            return found
        return [y if y is None else [c if c is None else c.detach() for c in y] for y in found]

    def _fresh(self, args: Any, recording: bool) -> tuple[Any, list[Tensor], list[Series]]:
        """The arguments with those that carry series replaced by sources of a new graph."""
        sources: list[Tensor] = []
        held: list[Series] = []

        def renewed(x: Any) -> Any:
            if type(x) in (list, tuple):
                return [renewed(item) for item in x]
            if self.of(x) is None:
                return x
            fresh = leaf(x, recording)
            # A view's series is its base's: one of `x` would hide what hangs on it from its own views.
            sources.append(fresh if fresh._base is None else ops.clone(fresh))
            held.append(self.of(x))
            return sources[-1]

        return tuple(renewed(x) if self._any((x,)) else x for x in args), sources, held


def _analytic(args: Any, result: Tensor) -> bool:
    """Whether an op with a recurrence has a derivative as a function of its operands: not |z|, for one."""
    if result.dtype.kind == "c":
        return True
    return not any(isinstance(x, Tensor) and x.dtype.kind == "c" for x in args)


def _over_orders(coefficients: Any) -> list[Any]:
    """The coefficients 2 ... K of y from those of y': a division by the order."""
    return [c if c is None else c / (k + 2) for k, c in enumerate(coefficients)]


def _seen_by_view(c: Tensor, geometry: Any) -> Any:
    """What a view of its base shows of a coefficient of that base."""
    size, stride, offset, strides = geometry
    if c.stride() == strides:
        return _engine.REGISTRY["as_strided"](c, size, stride, offset, strides)
    return _engine.REGISTRY["strided_take"](c, strides, size, stride, offset)


def _with_part(whole: Any, part: Any, view: Tensor) -> Any:
    """A coefficient of a base with what a view shows of it replaced."""
    if whole is None and part is None:
        return None
    whole = ops.zeros_like(view._base) if whole is None else whole
    part = ops.zeros_like(view) if part is None else _fitted(part, view)
    return _engine.REGISTRY["as_strided_scatter"](whole, part, *_engine.view_geometry(view))


def _fitted(c: Tensor, x: Tensor) -> Tensor:
    """A coefficient in the shape and dtype of its tensor."""
    c = c if c.shape == x.shape else ops.expand(c, x.shape)
    return c if c.dtype == x.dtype else c.to(x.dtype)


def _compositions(total: int, parts: int) -> Any:
    """All ways to write a number as an ordered sum of so many."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)


def _transposed(run: Callable[[], Any], sources: list[Tensor]) -> tuple[Any, Any, Any]:
    """The results, and u -> J' u: linear, so that its own backward pass from v is J v."""
    ends = outputs_of(run())
    live = [y for y in ends if isinstance(y, Tensor) and y.requires_grad]
    starts = [leaf(ops.zeros_like(y), False) for y in live]
    back = gradients(live, sources, starts, True, True) if live else ()
    return ends, starts, back


def _forward(ends: Any, starts: Any, back: Any, tangents: Any, recording: bool) -> list[Any]:
    """J v for each result, None where it is zero."""
    pairs = [
        (g, v.to(g.dtype))
        for g, v in zip(back, tangents, strict=bool(back))
        if v is not None and g is not None and g.requires_grad
    ]
    if not pairs:
        return [None] * len(ends)
    grads, weights = zip(*pairs, strict=True)
    found = iter(gradients(grads, starts, weights, True, recording))
    return [next(found) if isinstance(y, Tensor) and y.requires_grad else None for y in ends]
