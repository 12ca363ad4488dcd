"""How an op on batched tensors becomes one on physical ones: the rules that hold for many ops.

A rule is a function `(level, op, args)` of the arguments as they are, at least one of them batched
at the level, and returns batched results. `find_rule` takes the first that applies: a rule of the
op's own (the RULE table, filled here and in the other rules_*.py), `elementwise`, `leading` (the op
takes any number of leading dims), `along` (one tensor, and parameters that name dims), and at last
`looped`. The physical tensors always have the batch as their first dim.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, REGISTRY, Op, Tensor, apply_below
from pullback.ops.shared.dims import wrap_dim
from pullback.transforms.batching.batched import Batched, batched

Rule = Callable[[Any, Op, tuple[Any, ...]], Any]

RULES: dict[Op, tuple[Rule, bool]] = {}
"""The rule of each op that was met, and whether it takes a list of tensors."""

RULE: dict[str, Rule] = {}
"""The rules of single ops by name."""


def rule(names: str) -> Callable[[Rule], Rule]:
    """Enters a rule for the ops of these names. A decorator."""

    def enter(function: Rule) -> Rule:
        RULE.update(dict.fromkeys(names.split(), function))
        return function

    return enter


def find_rule(op: Op) -> tuple[Rule, bool]:
    """The first rule that applies, remembered."""
    from pullback.transforms.batching import tables  # noqa: F401  (fills RULE)

    found: Rule
    if callable(op.batch_rule):
        found = op.batch_rule
    elif op.name in RULE:
        found = RULE[op.name]
    elif op.elementwise:
        found = elementwise
    elif op.batch_rule == "leading":
        found = leading
    elif sum(kind in "TNOL" for kind in op.kinds) == 1 and any(name in DIMS for name in op.params):
        found = along
    else:
        found = looped
    RULES[op] = found, "L" in op.kinds
    return RULES[op]


# ---------------------------------------------------------------------------------- helpers


def holds(level: Any, x: Any) -> bool:
    """Whether `x` is batched at the level."""
    return type(x) is Batched and x.level is level


def rank(x: Any) -> int:
    """The dims of a tensor as the user sees it, -1 for what is none."""
    return x._array.ndim if isinstance(x, Tensor) else -1


_BASIC = REGISTRY["basic"]
_ALL = slice(None)


def padded(p: Tensor, ranks: int) -> Tensor:
    """A physical tensor with new dims of size one after the batch, until a sample has `ranks` dims."""
    missing = ranks + 1 - p.ndim
    if missing <= 0:
        return p
    return apply_below(_BASIC, (p, (_ALL,) + (None,) * missing + (Ellipsis,)))


# ------------------------------------------------------------------------------ elementwise


def elementwise(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """One call, the samples' dims aligned on the right."""
    if len(args) == 1:
        return batched(level, apply_below(op, (args[0].physical,)))
    if len(args) == 2:
        a, b = args
        kind = type(b)
        if kind is float or kind is int:
            return batched(level, apply_below(op, (a.physical, b)))
        if kind is Batched and type(a) is Batched and a.level is b.level:
            p, q = a.physical, b.physical
            if p._array.ndim == q._array.ndim > 1:
                return batched(level, apply_below(op, (p, q)))
    result = apply_below(op, aligned(level, args))
    return batched(level, result) if isinstance(result, Tensor) else level.wrap(result)


def aligned(level: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Physical operands that broadcast as the samples do."""
    values = []
    most, least, tensors = 0, 99, 0
    for x in args:
        if isinstance(x, Tensor):
            tensors += 1
            n = x._array.ndim
            most = n if n > most else most
            if type(x) is Batched and x.level is level:
                least = n if n < least else least
                x = x.physical
            elif n == 0 and tensors:
                least = -1 if least == 99 else least
        values.append(x)
    if tensors > 1 and (least < most or most == 0):
        return _fitted(level, args, most)
    return tuple(values)


def _fitted(level: Any, args: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    """Operands of several ranks. A sample of 0 dims gives way to one of more in promotion, which its
    physical tensor would not: it is cast before. Booleans give way to all."""
    tensors = [x for x in args if isinstance(x, Tensor)]
    kind = None
    if any(rank(x) == 0 for x in tensors) and len({x.dtype for x in tensors}) > 1:
        kind = tensors[0].dtype
        operands = [x for x in args if isinstance(x, (Tensor, int, float, complex))]
        kind = _engine.result_type(operands[0], operands[1])
        for x in operands[2:]:
            kind = _engine.result_type(ops.zeros((), dtype=kind), x)
    values = []
    for x in args:
        if isinstance(x, Tensor):
            zero = rank(x) == 0
            if holds(level, x):
                x = padded(x.physical, most)
            if kind is not None and zero and x.dtype is not kind and x.dtype.name != "bool":
                x = x.to(kind)
        values.append(x)
    return tuple(values)


def direct_inplace(level: Any, op: Op, args: tuple[Any, ...]) -> None:
    """An elementwise op written into its batched first input."""
    ranks = rank(args[0])
    if any(rank(x) > ranks for x in args[1:]):
        shapes = [list(x.shape) for x in args if isinstance(x, Tensor)]
        raise RuntimeError(
            f"output with shape {shapes[0]} doesn't match the broadcast shape {max(shapes, key=len)}"
        )
    apply_below(op, aligned(level, args), IN_PLACE)


def leading(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The batch is one more leading dim. Samples of fewer leading dims get new ones, unless they are
    the vectors that go with the matrices of another."""
    tensors = [x for x in args if isinstance(x, Tensor)]
    most = max([x._array.ndim for x in tensors])
    largest = next(x for x in tensors if x._array.ndim == most)
    vectors = any(x._array.shape == largest._array.shape[:-1] for x in tensors)
    values = []
    for x in args:
        if isinstance(x, Tensor) and vectors:
            x = level.front(x)
        elif type(x) is Batched and x.level is level:
            x = padded(x.physical, most)
        elif isinstance(x, Tensor):
            x = apply_below(_BASIC, (x, (None,) * (most + 1 - x.ndim) + (Ellipsis,)))
        values.append(x)
    result = apply_below(op, tuple(values))
    if type(result) is tuple:  # one that comes of shared inputs alone has a batch of one
        result = tuple([ops.expand(one, (level.size, *one.shape[1:])) for one in result])
    return level.wrap(result)


# ------------------------------------------------------------------- parameters that name dims

DIMS = ("dim", "dims", "dim0", "dim1", "dim2", "dimension")
"""Parameters that name one dim or several."""

WITHOUT_DIM = "sum nansum mean count_nonzero var std var_mean std_mean extremum all any squeeze squeeze_"
TAKES_SEVERAL = {*WITHOUT_DIM.split(), "linalg_vector_norm", "logsumexp"}
"""Ops for which no dim means all, and which take a tuple of them."""


def shifted(dim: Any, ranks: int) -> Any:
    """Dims of a sample as dims of the physical tensor."""
    if not isinstance(dim, (tuple, list)):
        return wrap_dim(dim, ranks) + 1
    return tuple([wrap_dim(d, ranks) + 1 for d in dim])


def along(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """An op on one tensor whose parameters name dims: they move by one."""
    p = args[0].physical
    ranks = p.ndim - 1
    if ranks == 0:
        return _along_nothing(level, op, args)
    values = [p, *args[1:]]
    for i, name in enumerate(op.params):
        if name in DIMS:
            dim = args[i]
            if dim in ((), []) and op.name in ("squeeze", "squeeze_"):
                continue  # no dim at all, not all of them
            if dim is None or dim == () or dim == []:
                if op.name not in TAKES_SEVERAL:
                    return _flattened(level, op, args)
                dim = 1 if ranks == 1 else tuple(range(1, ranks + 1))
            else:
                dim = shifted(dim, ranks)
            values[i] = dim
    return level.wrap(apply_below(op, tuple(values)))


def _along_nothing(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """Samples of 0 dims, which count as having one of size 1."""
    column = batched(level, ops.unsqueeze(args[0].physical, 1))
    values = list(args)
    for i, name in enumerate(op.params):
        if name in DIMS and args[i] is not None:
            dims = (args[i],) if isinstance(args[i], int) else args[i]
            for d in dims:
                wrap_dim(d, 0)
            if op.view and op.name not in ("squeeze", "squeeze_"):
                return looped(level, op, args)
    results = along(level, op, (column, *values[1:]))

    def without(x: Any) -> Any:
        return batched(level, ops.squeeze(x.physical, 1)) if x.ndim else x

    return tuple(map(without, results)) if isinstance(results, tuple) else without(results)


def _flattened(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """No dim: the op along all of a sample as one."""
    p = args[0].physical
    flat = p.reshape(p.shape[0], p.numel() // max(p.shape[0], 1) if p.shape[0] else _count(args[0]))
    values = [1 if name in DIMS else x for name, x in zip(op.params, args, strict=True)]
    results = apply_below(op, (flat, *values[1:]))
    keep = "keepdim" in op.params and args[op.params.index("keepdim")]
    ranks = args[0].ndim

    def shaped(x: Tensor) -> Any:
        if x.ndim == 2 and x.shape[1:] == flat.shape[1:] and not keep:
            return batched(level, x.reshape(p.shape))
        return batched(level, x.reshape(-1, *(1,) * ranks) if keep else x)

    return tuple(map(shaped, results)) if isinstance(results, tuple) else shaped(results)


def _count(x: Tensor) -> int:
    count = 1
    for n in x.shape:
        count *= n
    return count


# ------------------------------------------------------------------------------ the last resort


def looped(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """One call for each sample, the results stacked."""
    warnings.warn(
        "There is a performance drop because we have not yet implemented the batching rule for "
        f"aten::{op.__name__}. Please file us an issue on GitHub so that we can prioritize its "
        "implementation.",
        UserWarning,
        stacklevel=2,
    )

    def sample(x: Any, i: int) -> Any:
        if holds(level, x):
            return ops.select(x.physical, 0, i)
        if type(x) in (list, tuple):
            return type(x)(sample(item, i) for item in x)
        return x

    if not level.size:
        raise RuntimeError(f"vmap: {op.__name__} has no batching rule, which a batch of size 0 needs")
    rows = [apply_below(op, tuple([sample(x, i) for x in args])) for i in range(level.size)]
    if isinstance(rows[0], (tuple, list)):
        return tuple([batched(level, ops.stack(column)) for column in zip(*rows, strict=True)])
    return batched(level, ops.stack(rows))
