"""`torch._foreach_*`: an op on each tensor of a list, out of place (a tuple) and in place (the list).

Ops of one tensor are here by the letter `e` in their `places`. The others stand in ROWS: the signature,
and the forms that each parameter behind the first list takes: L a list of tensors, s one number for
all, S a number for each tensor, T one 0-dim tensor for all, V a vector with a number for each.
`_each_value` turns any of them into one value a tensor; `_declare_foreach` makes the functions.

In place, an op that is a step of programs (kernels/programs.h) runs as one over the whole list, and norms
and maxima are folds over it; what is unusual is left to the op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, fold_each, grad_enabled, listening, run_program, zero_all
from pullback.core.dtypes import number_dtype
from pullback.core.op import FOREACH, SURFACE, function
from pullback.kernels.programs import STEPS
from pullback.kernels.reduce import RUNS
from pullback.ops.shared.programs import one_step

# ----------------------------------------------------------------- the signatures behind the first list


def _no_more(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """An op of one tensor."""


def _other(self: Sequence[Tensor], other: Any) -> tuple[Tensor, ...]:
    """An op of two."""


def _exponent(self: Sequence[Tensor], exponent: Any) -> tuple[Tensor, ...]:
    """A power."""


def _means(self: Sequence[Tensor], tensors1: Sequence[Tensor], weight: Any) -> tuple[Tensor, ...]:
    """A mean of two with weights."""


def _value(
    self: Sequence[Tensor], tensor1: Sequence[Tensor], tensor2: Sequence[Tensor], value: Any = 1
) -> tuple[Tensor, ...]:
    """A sum with a multiple of a product or quotient."""


ROWS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    **dict.fromkeys(FOREACH, (_no_more, ())),
    "add": (_other, ("sSTL",)),
    "sub": (_other, ("sSTL",)),
    "mul": (_other, ("sSTL",)),
    "div": (_other, ("sSTL",)),
    "clamp_max": (_other, ("sSTL",)),
    "clamp_min": (_other, ("sSTL",)),
    "maximum": (_other, ("sSTL",)),
    "minimum": (_other, ("sSTL",)),
    "pow": (_exponent, ("sSTL",)),
    "lerp": (_means, ("L", "sSTL")),
    "addcmul": (_value, ("L", "L", "sSV")),
    "addcdiv": (_value, ("L", "L", "sSV")),
}

_OPTIONAL = {"value": 1}
_OP = {"maximum": "clamp_min", "minimum": "clamp_max"}
_SAME = {  # names by which forms of a parameter go
    "scalar": "other", "scalars": "other", "tensors2": "tensor2", "weights": "weight",
}  # fmt: skip


def _tensor_list(name: str, tensors: Any, position: int = 1) -> Sequence[Tensor]:
    """A list of tensors. RuntimeError if it is empty."""
    if not isinstance(tensors, (tuple, list)):
        kind = type(tensors).__name__
        raise TypeError(f"{name}(): argument {position} must be tuple of Tensors, not {kind}")
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    if all(map(isinstance, tensors, repeat(Tensor))):
        return tensors
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument {position - 1}, but got {type(t).__name__}"
            )
    return tensors


class _Repeated(list[Any]):
    """One value for every tensor."""


def _each_value(name: str, value: Any, forms: str, count: int, position: int) -> Iterable[Any]:
    """One value for each of `count` tensors."""
    if isinstance(value, Tensor):
        if "V" in forms:
            if value.ndim != 1 or value.shape[0] != count:
                raise RuntimeError(
                    f"Expected length of scalars to match input of length {count} but got "
                    f"{value.numel()} instead."
                )
            return value.tolist()
        if value.ndim:
            raise RuntimeError(
                f"scalar tensor expected to be 0 dim but it has {value.ndim} dimensions and "
                f"{value.numel()} elements."
            )
        return _Repeated([value] * count)
    if not isinstance(value, (tuple, list)):
        if "s" not in forms or number_dtype(value) is None:
            raise TypeError(f"{name}(): argument {position} has the wrong type: {type(value).__name__}")
        return _Repeated([value] * count)
    if value and isinstance(value[0], Tensor):
        _tensor_list(name, value, position)
        if len(value) != count:
            raise RuntimeError(
                f"Tensor lists must have the same number of tensors, got {count} and {len(value)}"
            )
    elif len(value) != count:
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")
    return value


def _bound_values(
    name: str, rows: tuple[tuple[str, str], ...], count: int, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Iterable[Any]], dict[str, Any]]:
    """The values of each parameter, tensor by tensor, and the options left."""
    if len(args) > len(rows):
        most = len(rows) + 1
        raise TypeError(f"{name}() takes {most} positional arguments but {len(args) + 1} were given")
    kwargs = dict(kwargs)
    for key in [key for key in _SAME if key in kwargs]:
        wanted = next((p for p, _ in rows if p == _SAME[key]), rows[-1][0] if rows else key)
        kwargs[wanted] = kwargs.pop(key)
    values = []
    for index, (parameter, forms) in enumerate(rows):
        if index < len(args):
            value = args[index]
        elif parameter in kwargs:
            value = kwargs.pop(parameter)
        elif parameter in _OPTIONAL:
            value = _OPTIONAL[parameter]
        else:
            raise TypeError(f'{name}() missing 1 required positional arguments: "{parameter}"')
        values.append(_each_value(name, value, forms, count, index + 2))
    if kwargs and (set(kwargs) != {"alpha"} or not isinstance(next(iter(values[0])), Tensor)):
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
    return values, kwargs


def _call(apply: Callable[..., Any], named: bool) -> Callable[..., Any]:
    """`addcmul` and `addcdiv` take their last value by keyword."""
    if not named:
        return apply
    return lambda t, a, b, value, **kwargs: apply(t, a, b, value=value, **kwargs)


def _by_program(own: str, tensors: Sequence[Tensor], values: list[Any]) -> list[int] | None:
    """Runs an op in place as a program over all tensors: the places it leaves alone, None if it has none."""
    step = {"clamp_min": "maximum", "clamp_max": "minimum"}.get(own, own)
    if step not in STEPS or grad_enabled():
        return None
    lists, numbers = [list(tensors)], []
    for value in values:
        one = value[0]
        if isinstance(value, _Repeated):
            numbers.append(one.item() if isinstance(one, Tensor) else one)
        elif isinstance(one, Tensor):
            lists.append(list(value))
        else:
            return None
    if any(isinstance(number, complex) for number in numbers):
        return None
    program = one_step(step, len(lists), len(numbers))
    return None if program is None else run_program(program, tuple(lists), tuple(numbers))


def _folds(kind: str, tensors: Sequence[Tensor], by_op: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """A fold of each tensor by its compiled run, or else by its op."""
    found = fold_each(list(tensors), RUNS[kind]) if listening() is None else [None] * len(tensors)
    if not any(x is None for x in found):
        return tuple(found)
    return tuple([by_op(t) if x is None else x for t, x in zip(tensors, found, strict=True)])


def _declare_foreach(short: str, signature: Callable[..., Any], forms: tuple[str, ...]) -> None:
    """Publishes `_foreach_<short>` and its in-place form."""
    name, own = f"_foreach_{short}", _OP.get(short, short)
    rows = tuple(zip(signature.__code__.co_varnames[1:], forms, strict=True))
    named = bool(rows) and rows[-1][0] == "value"

    def each(self: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        apply = _call(SURFACE["torch"][own], named)
        if short == "pow" and not isinstance(self, (tuple, list)):
            return tuple([apply(self, e) for e in _tensor_list(name, *args, **kwargs)])
        if not args and not kwargs and not rows:
            return tuple([apply(t) for t in _tensor_list(name, self)])
        values, options = _bound_values(name, rows, len(_tensor_list(name, self)), args, kwargs)
        return tuple([apply(*row, **options) for row in zip(self, *values, strict=True)])

    def each_(self: Any, *args: Any, **kwargs: Any) -> Any:
        apply = _call(getattr(Tensor, f"{own}_"), named)
        values, options = _bound_values(f"{name}_", rows, len(_tensor_list(f"{name}_", self)), args, kwargs)
        left = _by_program(own, self, values) if not options else None
        given = list(zip(self, *values, strict=True))
        for row in given if left is None else [given[i] for i in left]:
            apply(*row, **options)
        return self

    listed = "".join(f", {parameter}" for parameter, _ in rows)
    each.__doc__ = f"`{own}(tensor{listed})` for each tensor of a list, as a tuple."
    each_.__doc__ = f"`{own}_` on each tensor of a list, which is returned."
    function(name=name, places="t", signatures=(signature,))(each)
    function(name=f"{name}_", places="t", signatures=(signature,))(each_)


for _short, _row in ROWS.items():
    _declare_foreach(_short, *_row)

# ------------------------------------------------------------------- those with a form of their own


@function(name="_foreach_copy_", places="t")
def _copy_(self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False) -> Sequence[Tensor]:
    """Writes each tensor of `src` into that of `self`, which is returned."""
    _tensor_list("_foreach_copy_", self)
    for t, one in zip(self, _each_value("_foreach_copy_", src, "L", len(self), 2), strict=True):
        t.copy_(one)
    return self


@function(name="_foreach_zero_", places="t")
def _zero_(self: Sequence[Tensor]) -> Sequence[Tensor]:
    """Fills each tensor of a list with zeros; returns the list."""
    for t in zero_all(list(_tensor_list("_foreach_zero_", self))):
        t.zero_()
    return self


@function(name="_foreach_clone", places="t")
def _clone(self: Sequence[Tensor], *, memory_format: Any = None) -> tuple[Tensor, ...]:
    """A copy of each tensor of a list, as a tuple."""
    options = {} if memory_format is None else {"memory_format": memory_format}
    return tuple([ops.clone(t, **options) for t in _tensor_list("_foreach_clone", self)])


@function(name="_foreach_mm", places="t")
def _mm(self: Sequence[Tensor], mat2: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The products of matrices, pair by pair, as a tuple."""
    count = len(_tensor_list("_foreach_mm", self))
    others = _each_value("_foreach_mm", mat2, "L", count, 2)
    return tuple([ops.mm(a, b) for a, b in zip(self, others, strict=True)])


@function(name="_foreach_norm", places="t")
def _norm(self: Sequence[Tensor], ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of order `ord` of each tensor of a list, as a tuple."""
    tensors = _tensor_list("_foreach_norm", self)
    kind = _NORMS.get(ord) if dtype is None and not isinstance(ord, Tensor) else None
    if kind is None:
        return tuple([ops.vector_norm(t, ord, dtype=dtype) for t in tensors])
    return _folds(kind, tensors, lambda t: ops.vector_norm(t, ord))


_NORMS: dict[float, str] = {1: "norm1", 2: "norm2"}


@function(name="_foreach_powsum", places="t")
def _powsum(self: Sequence[Tensor], ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The sum of the powers of magnitudes of each tensor of a list, as a tuple."""
    tensors = _tensor_list("_foreach_powsum", self)
    return tuple([ops.sum(ops.abs(t if dtype is None else t.to(dtype)) ** ord) for t in tensors])


@function(name="_foreach_max", places="t")
def _max(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The largest element of each tensor of a list, as a tuple. RuntimeError for an empty one."""
    if any(not t.numel() for t in _tensor_list("_foreach_max", self)):
        raise RuntimeError(
            "_foreach_max cannot compute the maximum of an empty tensor; max over zero elements is undefined."
        )
    return _folds("amax", self, ops.max)
