"""Power series, for Taylor mode: the arithmetic of truncated ones, and the rules of ops made of it.

A series is the list x0, x1, ..., xK of the coefficients of x(t). An op's `series=` is a function
`(y0, order, *series)` of the value of its result and the series of its inputs, which gives y1 ... yK. Most
follow from a differential equation, e.g. y' = y x' for exp: k y_k = sum_j j x_j y_(k-j). The functions
below make such rules; transforms/taylor.py applies them.

Sources: Moore (1966); Griewank and Walther, "Evaluating Derivatives" (2008), chapter 13.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor

Series = list[Any]
"""x0, x1, ..., xK: tensors, or a number in front; None for a coefficient that is zero."""

SeriesRule = Callable[..., Series]

# ----------------------------------------------------------------------------------- arithmetic


def plus(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _minus(a: Any, b: Any) -> Any:
    return a if b is None else -b if a is None else a - b


def _scaled(a: Any, factor: Any) -> Any:
    return None if a is None else a * factor


def _product(a: Series, b: Series, k: int, first: int = 0, last: int | None = None, by: Any = None) -> Any:
    """Coefficient k of the product: the sum of a_j b_(k-j), j from `first` to `last`."""
    total = None
    for j in range(first, k + 1 if last is None else last + 1):
        if a[j] is not None and b[k - j] is not None:
            total = plus(total, a[j] * b[k - j] if by is None else by(a[j], b[k - j]))
    return total


def _squared(a: Series) -> Series:
    return [_product(a, a, k) for k in range(len(a))]


def _rates(a: Series) -> Series:
    """The coefficients of t a'(t): j a_j."""
    return [None, *(_scaled(c, j + 1) for j, c in enumerate(a[1:]))]


def _flow(u: Series, y0: Any, slope: Callable[[Series, int], Any]) -> Series:
    """y' = s(y) u': coefficient k of s follows from y_0 ... y_k."""
    y, s, rates = [y0], [], _rates(u)
    for k in range(1, len(u)):
        s.append(slope(y, k - 1))
        y.append(_scaled(_product(rates, [*s, None], k, 1), 1 / k))
    return y


def _quotient(u: Series, q: Series, y0: Any) -> Series:
    """y' = u' / q for a known series q."""
    y, rates = [y0], [None]
    for k in range(1, len(u)):
        rest = _product(rates, q, k, 1, k - 1)
        rates.append(_minus(_scaled(u[k], k), rest))
        rates[k] = None if rates[k] is None else rates[k] / q[0]
        y.append(_scaled(rates[k], 1 / k))
    return y


def _divided(a: Series, b: Series, y0: Any, times: Any = None, over: Any = operator.truediv) -> Series:
    """y = a / b."""
    y = [y0]
    for k in range(1, len(a)):
        rest = _minus(a[k], _product(b, [*y, None], k, 1, by=times))
        y.append(None if rest is None else over(rest, b[0]))
    return y


def _power(u: Series, a: Any, y0: Any) -> Series:
    """y = u^a: u y' = a u' y. A positive whole power is a product, which holds at u = 0 as well."""
    if isinstance(a, (int, float)) and a == int(a) and 0 < a <= 64:
        return _whole_power(u, int(a))
    y = [y0]
    for k in range(1, len(u)):
        total = None
        for j in range(1, k + 1):
            if u[j] is not None and y[k - j] is not None:
                total = plus(total, u[j] * y[k - j] * (a * j - (k - j)))
        y.append(None if total is None else total / (u[0] * k))
    return y


def _whole_power(u: Series, n: int) -> Series:
    """u^n by repeated squaring."""
    found = None
    while n:
        if n % 2:
            found = u if found is None else [_product(found, u, k) for k in range(len(u))]
        u, n = (_squared(u) if n > 1 else u), n // 2
    assert found is not None
    return found


def _shifted(constant: float, a: Series, sign: int = 1) -> Series:
    """constant + sign a."""
    return [constant + sign * a[0], *(_scaled(c, sign) for c in a[1:])]


# ----------------------------------------------------------------------------------------- rules


def signed_sum(*signs: int) -> SeriesRule:
    """The sum of the inputs, each times 1 or -1."""

    def rule(y: Any, order: int, *series: Series) -> Series:
        total: Series = [None] * order
        for sign, s in zip(signs, series, strict=True):
            terms = s[1:] if sign > 0 else [_scaled(c, sign) for c in s[1:]]
            total = [plus(c, d) for c, d in zip(total, terms, strict=True)]
        return total

    return rule


def bilinear(by: Callable[[Any, Any], Any] | None = None) -> SeriesRule:
    """A product: each term by the op itself where it has a rule of its own for zeros and infinities."""
    return lambda y, order, a, b: [_product(a, b, k, by=by) for k in range(1, order + 1)]


def quotient(y: Any, order: int, a: Series, b: Series) -> Series:
    """y = a / b."""
    return _divided(a, b, y)[1:]


def quotient_by(times: Callable[[Any, Any], Any], over: Callable[[Any, Any], Any]) -> SeriesRule:
    """A quotient by ops that have rules of their own for zeros and infinities."""
    return lambda y, order, a, b: _divided(a, b, y, times, over)[1:]


def one_over(y: Any, order: int, u: Series) -> Series:
    """y = 1 / u."""
    return _divided([1.0, *[None] * order], u, y)[1:]


def power(y: Any, order: int, u: Series, a: Series) -> Series:
    """u^a for a number a; anything else is exp(a log u)."""
    if not isinstance(a[0], Tensor):
        return [None] * order if a[0] == 0 else _power(u, a[0], y)[1:]
    if all(c is None for c in a[1:]) and a[0].ndim == 0 and not a[0].requires_grad:
        return power(y, order, u, [a[0].item()])
    base = u[0] if isinstance(u[0], Tensor) else ops.full_like(a[0], u[0])
    log = _quotient([base, *u[1:]], [base, *u[1:]], ops.log(base))
    exponent = [_product(log, a, k) for k in range(order + 1)]
    return _flow(exponent, y, lambda e, k: e[k])[1:]


def fixed_power(exponent: float) -> SeriesRule:
    """y = u^exponent."""
    return lambda y, order, u: _power(u, exponent, y)[1:]


def square_root(y: Any, order: int, u: Series) -> Series:
    """y = sqrt(u): y y = u."""
    found = [y]
    for k in range(1, len(u)):
        rest = _minus(u[k], _product(found, found, k, 1, k - 1))
        found.append(None if rest is None else rest / (2 * y))
    return found[1:]


def flow(slope: Callable[[Series, int], Any]) -> SeriesRule:
    """y' = s(y) u'; `slope(y, k)` is coefficient k of s, from y_0 ... y_k."""
    return lambda y, order, u: _flow(u, y, slope)[1:]


def exponential(rate: float = 1.0, shift: float | None = None) -> SeriesRule:
    """y' = (rate y + shift) u'."""
    if rate == 1:
        return flow(lambda y, k: plus(y[k], None if k else shift))
    return flow(lambda y, k: _scaled(y[k], rate))


def logistic(y: Any, order: int, u: Series) -> Series:
    """y' = (y - y^2) u'."""
    return _flow(u, y, lambda y, k: _minus(y[k], _product(y, y, k)))[1:]


def tangent(sign: int) -> SeriesRule:
    """y' = (1 + sign y^2) u': the tangent, circular (1) or hyperbolic (-1)."""
    return flow(lambda y, k: plus(_scaled(_product(y, y, k), sign), None if k else 1.0))


def logarithm(scale: float = 1.0, shift: float = 0.0) -> SeriesRule:
    """y' = u' / (scale (u + shift))."""
    return lambda y, order, u: _quotient(
        u, [c if c is None else (c + shift * (k == 0)) * scale for k, c in enumerate(u)], y
    )[1:]


def arc_tangent(sign: int) -> SeriesRule:
    """y' = u' / (1 + sign u^2)."""
    return lambda y, order, u: _quotient(u, _shifted(1.0, _squared(u), sign), y)[1:]


def arc(constant: float, sign: int, factor: int = 1, root: Callable[[Any], Any] | None = None) -> SeriesRule:
    """y' = factor u' / sqrt(constant + sign u^2); `root` gives a square root other than the principal one."""

    def rule(y: Any, order: int, u: Series) -> Series:
        inside = _shifted(constant, _squared(u), sign)
        start = ops.sqrt(inside[0]) if root is None else root(u[0])
        found = _quotient(u, [start, *square_root(start, order, inside)], y)[1:]
        return [_scaled(c, factor) for c in found] if factor != 1 else found

    return rule


def wave(sign: int, is_sine: bool, partner: str) -> SeriesRule:
    """s' = c u', c' = sign s u': sine or cosine, circular (-1) or hyperbolic (1); `partner` is the other."""

    def rule(y: Any, order: int, u: Series) -> Series:
        other = getattr(ops, partner)(u[0])
        s, c = ([y], [other]) if is_sine else ([other], [y])
        rates = _rates(u)
        for k in range(1, len(u)):
            up, down = _product(rates, [*c, None], k, 1), _product(rates, [*s, None], k, 1)
            s.append(_scaled(up, 1 / k))
            c.append(_scaled(down, sign / k))
        return (s if is_sine else c)[1:]

    return rule


def bell(factor: float) -> SeriesRule:
    """y' = factor exp(-u^2) u'."""

    def rule(y: Any, order: int, u: Series) -> Series:
        exponent = [_scaled(c, -1) for c in _squared(u)]
        slope = _flow(exponent, ops.exp(exponent[0]), lambda e, k: e[k])
        return [_scaled(c, factor) for c in _flow(u, y, lambda y, k: slope[k])[1:]]

    return rule


def at_value(slope: Callable[[Any], Any]) -> SeriesRule:
    """A piecewise linear function: its slope at the value, on each coefficient."""

    def rule(y: Any, order: int, u: Series) -> Series:
        factor = slope(u[0])
        return [_scaled(c, factor) for c in u[1:]]

    return rule
