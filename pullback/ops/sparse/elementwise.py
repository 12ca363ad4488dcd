"""Elementwise ops of sparse tensors: those that are zero at zero, sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import sparse_coo
from pullback.ops.sparse.convert import as_layout
from pullback.ops.sparse.patterns import SHOWN, coo_pattern
from pullback.ops.sparse.tensors import (
    Kept,
    aside,
    build,
    by_values,
    elements,
    follows,
    implements,
    in_order,
    is_sparse,
    linear,
    make,
    picked,
    recorded,
    take_over,
    unsupported,
    values_of,
    written,
)


def _not_for(x: Any) -> RuntimeError:
    return RuntimeError(f"unsupported tensor layout: {SHOWN[x.layout]}")


# -------------------------------------------------------------------------- of one argument

ZERO_AT_ZERO = {
    "abs": "Abs",
    "asin": "Asin",
    "asinh": "Asinh",
    "atan": "Atan",
    "atanh": "Atanh",
    "ceil": "Ceil",
    "erf": "Erf",
    "erfinv": "Erfinv",
    "expm1": "Expm1",
    "floor": "Floor",
    "frac": "Frac",
    "log1p": "Log1P",
    "relu": "Relu",
    "round": "Round",
    "sgn": "Sgn",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "tan": "Tan",
    "tanh": "Tanh",
    "trunc": "Trunc",
    "isnan": "",
    "isinf": "",
    "isposinf": "",
    "isneginf": "",
    "signbit": "",
}
"""Ops on the values that are stored, in every layout, and the names of their nodes."""

LINEAR = {
    "neg": "Neg",
    "conj_physical": "ConjPhysical",
    "deg2rad": "Deg2Rad",
    "rad2deg": "Rad2Deg",
}


def _on_values(name: str, node: str) -> Callable[..., Any]:
    def apply(input: Any, *args: Any, **kwargs: Any) -> Any:
        return by_values(f"{node}Backward0", input, lambda v: getattr(v, name)(*args, **kwargs))

    return implements(name)(apply)


def _linearly(name: str, node: str) -> Callable[..., Any]:
    def apply(input: Any) -> Any:
        function = getattr(ops, name)
        return recorded(f"{node}Backward0", make(input.pattern, function(input.numbers)), (input, function))

    return implements(name)(apply)


for _name, _node in ZERO_AT_ZERO.items():
    _on_values(_name, _node)
for _name, _node in LINEAR.items():
    _linearly(_name, _node)
for _name, _other in {
    "absolute": "abs",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctanh": "atanh",
    "fix": "trunc",
    "negative": "neg",
}.items():
    implements(_name)(
        _on_values(_other, ZERO_AT_ZERO[_other]) if _other in ZERO_AT_ZERO else _linearly("neg", "Neg")
    )


@implements("positive resolve_conj resolve_neg")
def _itself(input: Any) -> Any:
    return input


@implements("conj")
def _conj(input: Any) -> Any:
    return ops.conj_physical(input) if input.dtype.is_complex else input


@implements("real")
def _real(input: Any) -> Any:
    if not input.dtype.is_complex:
        return input
    kind = input.dtype
    made = make(input.pattern, ops.real(input.numbers).clone())
    return recorded("RealBackward0", made, (input, lambda g: ops.to(g, kind)))


@implements("imag")
def _imag(input: Any) -> Any:
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    kind = input.dtype
    made = make(input.pattern, ops.imag(input.numbers).clone())
    return recorded("ImagBackward0", made, (input, lambda g: ops.to(g, kind) * 1j))


@implements("angle")
def _angle(input: Any) -> Any:
    if input.layout is sparse_coo:
        raise unsupported("angle", input)
    return by_values("AngleBackward0", input, ops.angle)


@implements("nan_to_num")
def _nan_to_num(input: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    if input.layout is not sparse_coo:
        raise _not_for(input)
    return by_values("NanToNumBackward0", input, lambda v: ops.nan_to_num(v, nan, posinf, neginf))


@implements("threshold_backward")
def _threshold_backward(grad_output: Any, self: Any, threshold: Any) -> Any:
    return grad_output * ops.to(self > threshold, grad_output.dtype)


# --------------------------------------------------------------------------------- sums


def _scaled(x: Any, alpha: Any) -> Any:
    return x if alpha == 1 else x * alpha


def _fits(a: Any, b: Any) -> None:
    """Refuses summands of two shapes."""
    if a.shape == b.shape:
        return
    one, other = list(a.shape), list(b.shape)
    if not (is_sparse(a) and is_sparse(b)):
        if is_sparse(a):
            one, other = other, one
        coo = (a if is_sparse(a) else b).layout is sparse_coo
        kind = "dense-sparse" if coo else "op2-sparse"
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same size, but self has size {one} while other "
            f"has size {other} (FYI: {kind} addition does not currently support broadcasting)"
        )
    if a.layout is sparse_coo:
        raise RuntimeError(f"add: expected sizes of 'self' and 'other' to match, but {one} != {other}")
    raise RuntimeError(
        "torch.add: Expected input tensors to have the same shape, but got tensor `self` with shape "
        f"{one} and tensor `other` with shape {other}"
    )


def _sum_of_sparse(a: Any, b: Any) -> Any:
    """The sum of two sparse tensors of one layout, by values."""
    kind = ops.promote_types(a.dtype, b.dtype)
    if a.pattern.same(b.pattern):
        return build(a.pattern, ops.to(values_of(a) + values_of(b), kind))
    layout = a.layout
    x, y = (t if layout is sparse_coo else in_order(t) for t in (a, b))
    places = np.concatenate([x.pattern.places, y.pattern.places], 1)
    parts = [ops.to(elements(t.pattern, values_of(t)), kind) for t in (x, y)]
    joined = build(coo_pattern(places, x.shape, False), ops.cat(parts))
    if x.pattern.coalesced and y.pattern.coalesced:
        joined = in_order(joined)
    return as_layout(joined, layout, blocksize=a.pattern.block)


def _add_to_dense(dense: Tensor, sparse: Any, alpha: Any) -> Tensor:
    """A dense tensor and a sparse one, by ops on values."""
    pattern = sparse.pattern
    kind = ops.promote_types(dense.dtype, sparse.dtype)
    rows = ops.reshape(ops.to(dense, kind), (-1, *pattern.dense_size))
    v = elements(pattern, _scaled(ops.to(values_of(sparse), kind), alpha))
    return ops.reshape(ops.index_add(rows, 0, pattern.flat_index, v), dense.shape)


@implements("add")
def _add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return _sum("add", "AddBackward0", input, other, alpha)


@implements("sub subtract")
def _sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return _sum("sub", "SubBackward0", input, other, -alpha)


@implements("rsub")
def _rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return _sum("sub", "RsubBackward1", other, input, -alpha)


def _sum(name: str, label: str, a: Any, b: Any, alpha: Any) -> Any:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    if not is_sparse(a) and b.layout is not sparse_coo and a.ndim and a.ndim < b.ndim:
        a = _as_wide(a, tuple(b.shape))
    elif not is_sparse(b) and a.layout is not sparse_coo and b.ndim and b.ndim < a.ndim:
        b = _as_wide(b, tuple(a.shape))
    _fits(a, b)
    with aside(a, b):
        if is_sparse(a) and is_sparse(b):
            other = b if b.layout is a.layout else as_layout(b, a.layout, blocksize=a.pattern.block)
            result = _sum_of_sparse(a, _scaled(other, alpha))
        elif is_sparse(b):
            result = _add_to_dense(a, b, alpha)
        else:
            result = _add_to_dense(_scaled(b, alpha), a, 1)
    factor = alpha.conjugate() if isinstance(alpha, complex) else alpha
    return recorded(label, result, (a, lambda g: g), (b, lambda g: _scaled(g, factor)))


def _in_place(name: str, sign: int) -> None:
    label = f"{name.title()}Backward0"

    def write(self: Any, other: Any, *, alpha: Any = 1) -> Any:
        if is_sparse(self):
            result = _sum(name, label, self, other, sign * alpha)
            if not is_sparse(result):  # a gradient that was sparse and has all elements now
                pattern = self.pattern
                result = as_layout(result, pattern.layout, pattern.sparse_dim, blocksize=pattern.block)
            _engine.check_inplace(self)
            return take_over(self, result)
        _engine.check_inplace(self)
        if follows(self, other):
            return written(self, _sum(name, label, self, other, sign * alpha))
        return _add_rows(self, other, sign * alpha)

    implements(f"{name}_")(write)


def _add_rows(dense: Tensor, sparse: Any, alpha: Any) -> Tensor:
    """Adds a sparse tensor to a dense one in its memory: only what is stored is touched."""
    _fits(dense, sparse)
    pattern = sparse.pattern
    v = _scaled(elements(pattern, sparse.numbers), alpha)
    keys = tuple(from_array(row) for row in pattern.places)
    if len(keys) == 1:
        return dense.index_add_(0, keys[0], ops.to(v, dense.dtype))
    if not keys:
        return dense.add_(v.sum(0))
    return dense.index_put_(keys, ops.to(v, dense.dtype), accumulate=True)


_in_place("add", 1)
_in_place("sub", -1)


# ------------------------------------------------------------------------------ products


def _multiplied(x: Any, factor: Any) -> Any:
    """A sparse tensor times a number or a dense tensor of one element, by values."""
    return build(x.pattern, values_of(x) * factor)


def _common(a: Any, b: Any) -> Any:
    """The product of two sparse tensors, without history: only what both have."""
    if a.pattern.same(b.pattern):
        return make(a.pattern, a.numbers * b.numbers)
    if not b.pattern.coalesced and a.pattern.coalesced and b.layout is sparse_coo:
        a, b = b, a
    b = in_order(b)
    flat, have = a.pattern.flat, b.pattern.flat
    spot = np.searchsorted(have, flat)
    spot[spot == len(have)] = 0
    both = np.flatnonzero(have[spot] == flat) if len(have) else np.zeros(0, np.int64)
    x = ops.index_select(elements(a.pattern, a.numbers), 0, from_array(both))
    y = ops.index_select(elements(b.pattern, b.numbers), 0, from_array(spot[both]))
    made = make(coo_pattern(a.pattern.places[:, both], a.shape, a.pattern.coalesced), x * y)
    return as_layout(made, a.layout, blocksize=a.pattern.block)


@implements("mul multiply")
def _mul(input: Any, other: Any) -> Any:
    if not isinstance(other, Tensor):
        made = make(input.pattern, input.numbers * other)
        factor = other.conjugate() if isinstance(other, complex) else other
        return recorded("MulBackward0", made, (input, lambda g: g * factor))
    if not is_sparse(input):
        return _product(other, input, "MulBackward0")
    return _product(input, other, "MulBackward0")


def _spread(x: Any, size: tuple[int, ...]) -> Any:
    """A COO tensor repeated along dims of size 1, and along new ones in front, by ops on its values."""
    pattern, new = x.pattern, len(size) - x.ndim
    places = np.concatenate([np.zeros((new, pattern.count), np.int64), pattern.places])
    chosen = np.arange(pattern.count)
    k = len(places)
    for dim, n in enumerate(size[:k]):
        if n != (1 if dim < new else pattern.size[dim - new]):
            places, chosen = np.repeat(places, n, 1), np.repeat(chosen, n)
            places[dim] = np.tile(np.arange(n), places.shape[1] // n) if n else 0
    v = ops.index_select(elements(pattern, values_of(x)), 0, from_array(chosen))
    if tuple(v.shape[1:]) != size[k:]:
        v = ops.expand(v, (len(chosen), *size[k:]))
    return build(coo_pattern(places, size, False), v)


def _as_wide(x: Any, size: tuple[int, ...]) -> Any:
    """An operand of a product in its shape."""
    if tuple(x.shape) == size:
        return x
    if not is_sparse(x):
        return ops.expand(x, size)
    if x.layout is not sparse_coo:
        raise RuntimeError("expand is unsupported for SparseCsr tensors")
    return linear("SparseBroadcastToBackward0", x, lambda t: _spread(t, size), lambda t: ops.expand(t, size))


def _product(x: Any, y: Any, label: str) -> Any:
    """The product of a sparse tensor with another, sparse or dense."""
    if is_sparse(y) and x.shape != y.shape and x.ndim and y.ndim:
        raise RuntimeError(
            "sparse_binary_op_intersection_cpu(): expects sparse inputs with equal dimensionality, number of "
            "sparse dimensions, and shape of sparse dimensions"
        )
    if is_sparse(y) or y.ndim:
        for dim, (n, m) in enumerate(zip(reversed(y.shape), reversed(x.shape), strict=False), 1):
            if n != m and 1 not in (n, m):
                at = max(x.ndim, y.ndim) - dim
                raise RuntimeError(
                    f"The size of tensor a ({n}) must match the size of tensor b ({m}) at non-singleton "
                    f"dimension {at}"
                )
        size = tuple(np.broadcast_shapes(tuple(x.shape), tuple(y.shape)))
        x, y = _as_wide(x, size), _as_wide(y, size)
    with aside(x, y):
        if is_sparse(y):
            result = _common(x, y)
        elif y.ndim == 0:
            result = _multiplied(x, y)
        else:
            result = build(x.pattern, values_of(x) * picked(y, x.pattern))
    kept_x, kept_y = Kept(x), Kept(y)

    def for_y(g: Any) -> Any:
        found = g * ops.conj(kept_x())
        return found if y.ndim or x.ndim == 0 else ops.sum(found)

    return recorded(label, result, (x, lambda g: g * ops.conj(kept_y())), (y, for_y))


@implements("div divide true_divide")
def _div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    if not is_sparse(input) or (isinstance(other, Tensor) and (is_sparse(other) or other.ndim)):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(getattr(other, 'shape', ()))} for divisor)"
        )
    if input.layout is not sparse_coo:
        raise _not_for(input)
    if rounding_mode is not None or isinstance(other, Tensor):
        return by_values("DivBackward0", input, lambda v: v.div(other, rounding_mode=rounding_mode))
    divisor = other.conjugate() if isinstance(other, complex) else other
    return recorded(
        "DivBackward0", make(input.pattern, input.numbers / other), (input, lambda g: g / divisor)
    )


@implements("floor_divide")
def _floor_divide(input: Any, other: Any) -> Any:
    return _div(input, other, rounding_mode="floor")


@implements("pow float_power")
def _pow(input: Any, exponent: Any) -> Any:
    if not is_sparse(input) or isinstance(exponent, Tensor):
        raise unsupported("pow.Tensor_Tensor" if isinstance(input, Tensor) else "pow.Scalar", input, exponent)
    if input.layout is not sparse_coo:
        raise _not_for(input)
    if exponent == 0:
        raise RuntimeError(
            "pow: cannot raise to zeroth power on sparse tensor; it would make the result tensor dense"
        )
    return by_values("PowBackward0", input, lambda v: v**exponent)


@implements("less_tanh")
def _less_tanh(self: Any, tanh: Any) -> Any:
    return self - tanh


@implements("square")
def _square(input: Any) -> Any:
    return _pow(input, 2)
