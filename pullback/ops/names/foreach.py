"""`torch._foreach_*`: an op on each tensor of a list, out of place (a tuple) and in place (the list).

One table, ROWS, says what there is: the op, and the parameters behind the first list. A parameter is
written as its name and the forms it takes: L a list of tensors, s one number for all, S a number for
each tensor, T one 0-dim tensor for all, V a vector with a number for each. `_spread` turns any of
them into one value a tensor; `_made` makes the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import number_dtype
from pullback.core.op import SURFACE, function

UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg "
    "reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
)

ROWS: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(UNARY.split(), ()),
    "add": (("other", "sSTL"),),
    "sub": (("other", "sSTL"),),
    "mul": (("other", "sSTL"),),
    "div": (("other", "sSTL"),),
    "clamp_max": (("other", "sSTL"),),
    "clamp_min": (("other", "sSTL"),),
    "maximum": (("other", "sSTL"),),
    "minimum": (("other", "sSTL"),),
    "pow": (("exponent", "sSTL"),),
    "lerp": (("tensors1", "L"), ("weight", "sSTL")),
    "addcmul": (("tensor1", "L"), ("tensor2", "L"), ("value", "sSV")),
    "addcdiv": (("tensor1", "L"), ("tensor2", "L"), ("value", "sSV")),
}

_OPTIONAL = {"value": 1}
_OP = {"maximum": "clamp_min", "minimum": "clamp_max"}
_SAME = {  # names by which forms of a parameter go
    "scalar": "other", "scalars": "other", "tensors2": "tensor2", "weights": "weight",
}  # fmt: skip


def _tensors(name: str, given: Any, place: int = 1) -> Sequence[Tensor]:
    """A list of tensors. RuntimeError if it is empty."""
    if not isinstance(given, (tuple, list)):
        shown = type(given).__name__
        raise TypeError(f"{name}(): argument {place} must be tuple of Tensors, not {shown}")
    if not given:
        raise RuntimeError("Tensor list must have at least one tensor.")
    for i, t in enumerate(given):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument {place - 1}, but got {type(t).__name__}"
            )
    return given


def _spread(name: str, given: Any, forms: str, count: int, place: int) -> Iterable[Any]:
    """One value for each of `count` tensors."""
    if isinstance(given, Tensor):
        if "V" in forms:
            if given.ndim != 1 or given.shape[0] != count:
                raise RuntimeError(
                    f"Expected length of scalars to match input of length {count} but got "
                    f"{given.numel()} instead."
                )
            return given.tolist()
        if given.ndim:
            raise RuntimeError(
                f"scalar tensor expected to be 0 dim but it has {given.ndim} dimensions and "
                f"{given.numel()} elements."
            )
        return [given] * count
    if not isinstance(given, (tuple, list)):
        if "s" not in forms or number_dtype(given) is None:
            raise TypeError(f"{name}(): argument {place} has the wrong type: {type(given).__name__}")
        return [given] * count
    if given and isinstance(given[0], Tensor):
        _tensors(name, given, place)
        if len(given) != count:
            raise RuntimeError(
                f"Tensor lists must have the same number of tensors, got {count} and {len(given)}"
            )
    elif len(given) != count:
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")
    return given


def _bound(
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
    for place, (parameter, forms) in enumerate(rows):
        if place < len(args):
            given = args[place]
        elif parameter in kwargs:
            given = kwargs.pop(parameter)
        elif parameter in _OPTIONAL:
            given = _OPTIONAL[parameter]
        else:
            raise TypeError(f'{name}() missing 1 required positional arguments: "{parameter}"')
        values.append(_spread(name, given, forms, count, place + 2))
    if kwargs and (set(kwargs) != {"alpha"} or not isinstance(next(iter(values[0])), Tensor)):
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
    return values, kwargs


def _call(apply: Callable[..., Any], named: bool) -> Callable[..., Any]:
    """`addcmul` and `addcdiv` take their last value by keyword."""
    if not named:
        return apply
    return lambda t, a, b, value, **kwargs: apply(t, a, b, value=value, **kwargs)


def _made(short: str, rows: tuple[tuple[str, str], ...]) -> None:
    """Publishes `_foreach_<short>` and its in-place form."""
    name, own = f"_foreach_{short}", _OP.get(short, short)
    named = bool(rows) and rows[-1][0] == "value"

    def each(self: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        apply = _call(SURFACE["torch"][own], named)
        if short == "pow" and not isinstance(self, (tuple, list)):
            return tuple([apply(self, e) for e in _tensors(name, *args, **kwargs)])
        if not args and not kwargs and not rows:
            return tuple([apply(t) for t in _tensors(name, self)])
        values, options = _bound(name, rows, len(_tensors(name, self)), args, kwargs)
        return tuple([apply(*row, **options) for row in zip(self, *values, strict=True)])

    def each_(self: Any, *args: Any, **kwargs: Any) -> Any:
        apply = _call(getattr(Tensor, f"{own}_"), named)
        values, options = _bound(f"{name}_", rows, len(_tensors(f"{name}_", self)), args, kwargs)
        for row in zip(self, *values, strict=True):
            apply(*row, **options)
        return self

    listed = "".join(f", {parameter}" for parameter, _ in rows)
    each.__doc__ = f"`{own}(tensor{listed})` for each tensor of a list, as a tuple."
    each_.__doc__ = f"`{own}_` on each tensor of a list, which is returned."
    function(name=name, places="t")(each)
    function(name=f"{name}_", places="t")(each_)


for _short, _row in ROWS.items():
    _made(_short, _row)

# ------------------------------------------------------------------- those with a form of their own


@function(name="_foreach_copy_", places="t")
def _copy_(self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False) -> Sequence[Tensor]:
    """Writes each tensor of `src` into that of `self`, which is returned."""
    _tensors("_foreach_copy_", self)
    for t, one in zip(self, _spread("_foreach_copy_", src, "L", len(self), 2), strict=True):
        t.copy_(one)
    return self


@function(name="_foreach_zero_", places="t")
def _zero_(self: Sequence[Tensor]) -> Sequence[Tensor]:
    """Fills each tensor of a list with zeros; returns the list."""
    for t in _tensors("_foreach_zero_", self):
        t.zero_()
    return self


@function(name="_foreach_clone", places="t")
def _clone(self: Sequence[Tensor], *, memory_format: Any = None) -> tuple[Tensor, ...]:
    """A copy of each tensor of a list, as a tuple."""
    options = {} if memory_format is None else {"memory_format": memory_format}
    return tuple([ops.clone(t, **options) for t in _tensors("_foreach_clone", self)])


@function(name="_foreach_mm", places="t")
def _mm(self: Sequence[Tensor], mat2: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The products of matrices, pair by pair, as a tuple."""
    count = len(_tensors("_foreach_mm", self))
    others = _spread("_foreach_mm", mat2, "L", count, 2)
    return tuple([ops.mm(a, b) for a, b in zip(self, others, strict=True)])


@function(name="_foreach_norm", places="t")
def _norm(self: Sequence[Tensor], ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of order `ord` of each tensor of a list, as a tuple."""
    return tuple([ops.vector_norm(t, ord, dtype=dtype) for t in _tensors("_foreach_norm", self)])


@function(name="_foreach_powsum", places="t")
def _powsum(self: Sequence[Tensor], ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The sum of the powers of magnitudes of each tensor of a list, as a tuple."""
    given = _tensors("_foreach_powsum", self)
    return tuple([ops.sum(ops.abs(t if dtype is None else t.to(dtype)) ** ord) for t in given])


@function(name="_foreach_max", places="t")
def _max(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The largest element of each tensor of a list, as a tuple. RuntimeError for an empty one."""
    if any(not t.numel() for t in _tensors("_foreach_max", self)):
        raise RuntimeError(
            "_foreach_max cannot compute the maximum of an empty tensor; max over zero elements is undefined."
        )
    return tuple([ops.max(t) for t in self])
