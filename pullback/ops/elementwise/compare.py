"""Comparisons, logic, choices: `where`, the larger and the smaller of two, and clamping.

Read `where` first. What is chosen passes its gradient on; what is not chosen gets an exact zero,
which stays zero on its way (NOTE [Zero times infinity] in zero_times_infinity.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import IN_PLACE, Tensor, check_inplace, result_type
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import bool_, uint8
from pullback.core.meta import meta_broadcast
from pullback.core.op import elementwise, function, op
from pullback.core.types import Array, Number
from pullback.ops.elementwise.arithmetic import TWO
from pullback.ops.shared import series
from pullback.ops.shared.pieces import Pieces, pieces_plan
from pullback.ops.shared.refusals import no_complex, unimplemented
from pullback.ops.shared.zero_times_infinity import example, flat

# ------------------------------------------------------------------------------------ comparisons

# A bool result records nothing; the zero slope is for the in-place forms, which write 0.0 and 1.0.


def _comparison(name: str, ufunc: Any, symbol: str, long_name: str, shown: str, kinds: str) -> Any:
    return elementwise(
        name,
        ufunc,
        inputs=TWO,
        kinds="TN",
        aliases=(f"torch.{long_name}", f"Tensor.{long_name}"),
        allowed=kinds,
        symbol=symbol if symbol[0] in "<>" else None,  # == and != compare with anything
        forms=(),
        vjp={"self": flat, "other": flat},
        doc=example(
            f"Whether `self {symbol} other`, element by element and broadcast: a bool tensor.",
            f"torch.{name}(torch.tensor([1, 2, 3]), 2)",
            shown,
        ),
    )


eq = _comparison("eq", np.equal, "==", "eq", "tensor([False,  True, False])", "bifche")
ne = _comparison("ne", np.not_equal, "!=", "not_equal", "tensor([ True, False,  True])", "bifche")
lt = _comparison("lt", np.less, "<", "less", "tensor([ True, False, False])", "bif")
le = _comparison("le", np.less_equal, "<=", "less_equal", "tensor([ True,  True, False])", "bif")
gt = _comparison("gt", np.greater, ">", "greater", "tensor([False, False,  True])", "bif")
ge = _comparison("ge", np.greater_equal, ">=", "greater_equal", "tensor([False,  True,  True])", "bif")


def _logical(name: str, ufunc: Any, text: str, shown: str) -> Any:
    return elementwise(
        name,
        ufunc,
        inputs=TWO,
        kinds="TT",
        nondiff=True,
        doc=example(
            f"{text}, broadcast: a bool tensor. What is not zero is true.",
            f"torch.{name}(torch.tensor([0, 1]), torch.tensor([2, 3]))",
            shown,
        ),
    )


logical_and = _logical(
    "logical_and", "pullback.kernels.curves:logical_and", "Whether both are true", "tensor([False,  True])"
)
logical_or = _logical(
    "logical_or", "pullback.kernels.curves:logical_or", "Whether one is true", "tensor([True, True])"
)
logical_xor = _logical(
    "logical_xor",
    "pullback.kernels.curves:logical_xor",
    "Whether exactly one is true",
    "tensor([ True, False])",
)
logical_not = elementwise(
    "logical_not",
    "pullback.kernels.curves:logical_not",
    nondiff=True,
    doc=example(
        "Whether each element is zero: a bool tensor.",
        "torch.logical_not(torch.tensor([0.0, 2.0]))",
        "tensor([ True, False])",
    ),
)


def _test(name: str, kernel: Any, text: str, call: str, shown: str, **more: Any) -> Any:
    """A question about each element, answered by a bool tensor."""
    return elementwise(name, kernel=kernel, places="tm", nondiff=True, doc=example(text, call, shown), **more)


def _has_values(kinds: str, kernel: Any, otherwise: Any) -> Any:
    """`kernel` for the dtypes that can be so, a constant for the others."""
    return lambda self: kernel(self) if self.dtype.kind in kinds else np.full(self.shape, otherwise)


_SPECIAL = 'torch.tensor([1.0, float("inf"), float("nan")])'

isnan = _test(
    "isnan",
    _has_values("fc", np.isnan, False),
    "Whether each element is NaN; a complex one if a part is.",
    f"torch.isnan({_SPECIAL})",
    "tensor([False, False,  True])",
    allowed="bifche",
    loop="pullback.kernels.curves:isnan",
    loops_for="fc",
)
isinf = _test(
    "isinf",
    _has_values("fc", np.isinf, False),
    "Whether each element is infinite; a complex one if a part is.",
    f"torch.isinf({_SPECIAL})",
    "tensor([False,  True, False])",
    allowed="bifch",
    loop="pullback.kernels.curves:isinf",
    loops_for="fc",
)
isfinite = _test(
    "isfinite",
    _has_values("fc", np.isfinite, True),
    "Whether each element is neither infinite nor NaN.",
    f"torch.isfinite({_SPECIAL})",
    "tensor([ True, False, False])",
    allowed="bifch",
    loop="pullback.kernels.curves:isfinite",
    loops_for="fc",
)
isposinf = _test(
    "isposinf",
    lambda self: np.zeros(self.shape, bool),
    "Whether each element is positive infinity. RuntimeError for complex tensors.",
    f"torch.isposinf({_SPECIAL})",
    "tensor([False,  True, False])",
    loop="pullback.kernels.mixed:isposinf",
    loops_for="f",
    casts_out=False,
    allowed="bif",
    refuse=no_complex("isposinf does not support complex inputs."),
)
isneginf = _test(
    "isneginf",
    lambda self: np.zeros(self.shape, bool),
    "Whether each element is negative infinity. RuntimeError for complex tensors.",
    f"torch.isneginf({_SPECIAL})",
    "tensor([False, False, False])",
    loop="pullback.kernels.mixed:isneginf",
    loops_for="f",
    casts_out=False,
    allowed="bif",
    refuse=no_complex("isneginf does not support complex inputs."),
)
isreal = _test(
    "isreal",
    _has_values("c", np.isreal, True),
    "Whether each element has no imaginary part.",
    "torch.isreal(torch.tensor([1j, 1 + 0j]))",
    "tensor([False,  True])",
    allowed="bifch",
)


@isreal.prepare
def _plan_isreal(self: Spec) -> Plan:
    result = Spec(bool_, self.shape)
    return Plan(result) if self.dtype.is_complex else pieces_plan(result, Pieces(self.shape, (), True))


# --------------------------------------------------------------------------------------- closeness


@op(nondiff=True, layout="K", batch="elementwise", allowed="bifch")
def isclose(
    self: Array, other: Array, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Array:
    """Whether `|self - other| <= atol + rtol * |other|`, element by element and broadcast.

    RuntimeError for different dtypes or a negative tolerance; NaN is close to NaN if `equal_nan`.

    >>> import pullback as torch
    >>> torch.isclose(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    _check_closeness(self, other, rtol, atol)
    close = np.equal(self, other)
    if equal_nan and self.dtype.kind in "fc":
        close = close | (np.isnan(self) & np.isnan(other))
    if self.dtype.kind == "b" or (rtol == 0 and atol == 0):
        return close
    if self.dtype.kind in "iu":
        self, other = self.astype(np.float64), other.astype(np.float64)
    gap = np.absolute(self - other)
    return close | (np.isfinite(gap) & (gap <= atol + np.absolute(rtol * other)))


def _check_closeness(self: Array, other: Array, rtol: float, atol: float) -> None:
    if self.dtype != other.dtype:
        raise RuntimeError(f"{type_name(self)} did not match {type_name(other)}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance}")


@isclose.meta
def _isclose_shape(self: Array, other: Array, rtol: float, atol: float, equal_nan: bool) -> Array:
    _check_closeness(self, other, rtol, atol)
    return meta_broadcast([self, other], np.bool_)


@function()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds everywhere: a Python bool. It raises what `isclose` raises.

    >>> import pullback as torch
    >>> torch.allclose(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    True
    """
    return bool(ops.all(isclose(input, other, rtol, atol, equal_nan)).item())


@function(quick=("equal",))
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and the same elements: a Python bool. NaN equals nothing.

    >>> import pullback as torch
    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))
    True
    """
    if not isinstance(other, Tensor):
        raise TypeError(f"equal(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    return input.shape == other.shape and bool(ops.all(eq(input, other)).item())


# ------------------------------------------------------------------------------------------ where


_where = elementwise(
    "where",
    "pullback.kernels.curves:where",
    inputs=("condition", "self", "other"),
    kinds="TNN",
    places="",
    moves=True,
    chooses=True,
    allowed="bifche",
    loops_for="biufce",
    casts_out=False,
    piecewise=True,
    vjp={
        "self": lambda g, condition: ops.where(condition, g, 0),
        "other": lambda g, condition: ops.where(condition, 0, g),
    },
    doc="The choice of `where`, in the dtype common to both.",
)


def _tangent_or_zero(x: Any) -> Any:
    """The tangent of an operand: zero for a number and for integers, which are handed on as they are."""
    return x if isinstance(x, Tensor) and x.dtype.kind in "fc" else 0


_where.jvp(lambda condition, self, other: _where(condition, _tangent_or_zero(self), _tangent_or_zero(other)))


@function(places="t")
def where(
    condition: Tensor,
    input: Tensor | Number | None = None,
    other: Tensor | Number | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`input` where the condition holds, `other` elsewhere, broadcast; either may be a number.

    Of a condition alone, the indices of what is not zero, a tensor for each dimension. RuntimeError
    for a condition that is no bool tensor. The gradient goes to what was chosen, an exact zero to
    the rest: the slope of the branch not taken does not matter, even where it is infinite or NaN.

    >>> import pullback as torch
    >>> x = torch.tensor([0.0, 4.0], requires_grad=True)
    >>> torch.where(x > 0, x.sqrt(), 0.0).sum().backward()
    >>> x.grad
    tensor([0.0000, 0.2500])
    """
    if input is None and other is None:
        return ops.nonzero(condition, as_tuple=True)
    if isinstance(condition, Tensor) and condition.dtype is not bool_:
        if condition.dtype is not uint8:
            raise RuntimeError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{condition.dtype.type_name}"
            )
        condition = ne(condition, 0)
    operands: Any = (input, other)
    if input is None or other is None:
        result_type(*operands)  # refuses it
    return _where(condition, input, other, out=out)


@function(name="where", places="m")
def where_method(self: Tensor, condition: Tensor, other: Tensor | Number) -> Tensor:
    """`torch.where(condition, self, other)`.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0]).where(torch.tensor([True, False]), 0.0)
    tensor([1., 0.])
    """
    return where(condition, self, other)


# ------------------------------------------------------------------- the larger and the smaller one


def _shared(ahead: Any, behind: Any) -> dict[str, Any]:
    """Rules of an extremum: all of the gradient to the winner, half to each of two equals."""

    def rule(lost: Any) -> Any:
        return lambda g, self, other: where(self == other, g / 2, where(lost(self, other), 0, g))

    return {"self": rule(behind), "other": rule(ahead)}


def _taken(wins: Any) -> dict[str, Any]:
    """Rules of an extremum that passes NaN over: all to one, the first of two equals."""

    def chosen(self: Any, other: Any) -> Any:
        return logical_or(wins(self, other), isnan(other))

    return {
        "self": lambda g, self, other: where(chosen(self, other), g, 0),
        "other": lambda g, self, other: where(chosen(self, other), 0, g),
    }


def _declare_extremum(name: str, ufunc: Any, text: str, rules: dict[str, Any], shown: str) -> Any:
    return elementwise(
        name,
        ufunc,
        inputs=TWO,
        kinds="TT",
        places="tm",
        allowed="bif",
        refuse=no_complex(f"{name} not implemented for complex tensors."),
        vjp=rules,
        piecewise=True,
        doc=example(text, f"torch.{name}(torch.tensor([1.0, 5.0]), torch.tensor([3.0]))", shown),
    )


maximum = _declare_extremum(
    "maximum",
    np.maximum,
    "The larger of two elements, broadcast; NaN if one is. Equals share the gradient.",
    _shared(gt, lt),
    "tensor([3., 5.])",
)
minimum = _declare_extremum(
    "minimum",
    np.minimum,
    "The smaller of two elements, broadcast; NaN if one is. Equals share the gradient.",
    _shared(lt, gt),
    "tensor([1., 3.])",
)
fmax = _declare_extremum(
    "fmax",
    np.fmax,
    "The larger of two elements, broadcast; NaN only if both are.",
    _taken(ge),
    "tensor([3., 5.])",
)
fmin = _declare_extremum(
    "fmin",
    np.fmin,
    "The smaller of two elements, broadcast; NaN only if both are.",
    _taken(le),
    "tensor([1., 3.])",
)


# ---------------------------------------------------------------------------------------- clamping


def _clamp(
    name: str,
    public: str,
    loop: Any,
    bounds: tuple[str, ...],
    kernel_name: str,
    rules: Any,
    kernel: Any = None,
    allowed: str = "bif",
) -> Any:
    """An op of `clamp`, `clamp_min` or `clamp_max`, for the bounds that are given.

    What lies on a bound keeps its gradient.
    """
    camel = "".join(part.capitalize() for part in public.split("_"))
    by_tensors, by_numbers = (1, 0) if public != "clamp" else (0, 1)
    return elementwise(
        name,
        loop,
        loops_for="bif" if kernel is None else "f",
        kernel=kernel,
        inputs=("self", *bounds),
        kinds="TNN"[: 1 + len(bounds)],
        places="",
        public_name=public,
        allowed=allowed,
        refuse=unimplemented(kernel_name, _NO_COMPLEX_CLAMP if public == "clamp" else None),
        grad_name=f"{camel}Backward{by_tensors}",
        number_names=dict.fromkeys(bounds, f"{camel}Backward{by_numbers}"),
        vjp=rules,
        piecewise=True,
        casts_out=False,
        doc=f"`{public}` with {' and '.join(bounds)}.",
    )


_NO_COMPLEX_CLAMP = "clamp is not supported for complex types"

_LOW = {
    "self": lambda g, self, min: where(self >= min, g, 0),
    "min": lambda g, self, min: where(self < min, g, 0),
}
_HIGH = {
    "self": lambda g, self, max: where(self <= max, g, 0),
    "max": lambda g, self, max: where(self > max, g, 0),
}

_clamp_between = _clamp(
    "clamp_between",
    "clamp",
    "pullback.kernels.curves:clamp",
    ("min", "max"),
    "clamp_cpu",
    {
        "self": lambda g, self, min, max: where((self >= min) & (self <= max), g, 0),
        "min": lambda g, self, min, max: where((self < min) & (min < max), g, 0),
        "max": lambda g, self, min, max: where((self > max) | (max < min), g, 0),
    },
    lambda self, min, max: np.minimum(np.maximum(self, min), max),
    allowed="if",
)
_MAXIMUM, _MINIMUM = "pullback.kernels.curves:maximum", "pullback.kernels.curves:minimum"
_clamp_above = _clamp("clamp_above", "clamp", _MAXIMUM, ("min",), "clamp_cpu", _LOW)
_clamp_below = _clamp("clamp_below", "clamp", _MINIMUM, ("max",), "clamp_cpu", _HIGH)
_clamp_min = _clamp("clamp_min", "clamp_min", _MAXIMUM, ("min",), "maximum_cpu", _LOW)
_clamp_max = _clamp("clamp_max", "clamp_max", _MINIMUM, ("max",), "minimum_cpu", _HIGH)


def _check_numbers(kernel_name: str, input: Any, *bounds: Any) -> None:
    """Refuses what bounds refuse that are numbers and not tensors: booleans and complex numbers."""
    if any(isinstance(bound, Tensor) for bound in bounds) or not isinstance(input, Tensor):
        return
    if input.dtype.kind in "bc" or complex in map(type, bounds):
        kind = result_type(input, *bounds)
        if kind.kind in "bc":
            unimplemented(kernel_name, _NO_COMPLEX_CLAMP)(kind)


def _refuse_relu(dtype: Any) -> str:
    if dtype.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    return "Boolean inputs not supported for relu"


relu = elementwise(
    "relu",
    "pullback.kernels.curves:relu",
    kernel=lambda self: np.maximum(self, 0),
    loops_for="f",
    allowed="if",
    refuse=_refuse_relu,
    flat_slope="ThresholdBackwardBackward0",
    vjp={"self": lambda g, result: ops.where(result <= 0, 0, g)},
    doc=example(
        "`max(x, 0)`, element by element; the derivative at 0 is 0.",
        "torch.relu(torch.tensor([-1.0, 2.0]))",
        "tensor([0., 2.])",
    ),
    places="tmif",
    series=series.at_value(lambda x: (x > 0).to(x.dtype)),
)


@function(places="tmif", aliases=("torch.clip", "Tensor.clip"))
def clamp(
    input: Tensor,
    min: Tensor | Number | None = None,
    max: Tensor | Number | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Each element moved into [min, max]; a bound is a tensor, a number, or None for no bound.

    RuntimeError without a bound. The gradient passes where nothing was moved, else goes to the
    bound; `max` wins where the bounds cross.

    >>> import pullback as torch
    >>> torch.clamp(torch.tensor([-1.0, 0.5, 2.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(input, Tensor) and input.is_complex():
        if out is IN_PLACE:
            check_inplace(input)
        raise NotImplementedError(_NO_COMPLEX_CLAMP)
    if max is None:
        _check_numbers("clamp_min_scalar_cpu", input, min)
        return _clamp_above(input, min, out=out)
    if min is None:
        _check_numbers("clamp_max_scalar_cpu", input, max)
        return _clamp_below(input, max, out=out)
    _check_numbers("clamp_scalar_cpu", input, min, max)
    return _clamp_between(input, min, max, out=out)


@function(places="tmif", forms=())
def clamp_min(input: Tensor, min: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """`clamp` with a lower bound alone.

    >>> import pullback as torch
    >>> torch.clamp_min(torch.tensor([-1.0, 0.5]), 0)
    tensor([0.0000, 0.5000])
    """
    _check_numbers("clamp_min_scalar_cpu", input, min)
    return _clamp_min(input, min, out=out)


@function(places="tmif", forms=())
def clamp_max(input: Tensor, max: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """`clamp` with an upper bound alone.

    >>> import pullback as torch
    >>> torch.clamp_max(torch.tensor([-1.0, 0.5]), 0)
    tensor([-1.,  0.])
    """
    _check_numbers("clamp_max_scalar_cpu", input, max)
    return _clamp_max(input, max, out=out)
