"""How an op on batched tensors becomes one on physical ones: the rules that hold for many ops.

A rule is a function `(level, op, *args)` of the arguments as they are, at least one of them batched at
the level, and returns batched results; ops/shared/batches.py says more. `find_rule` takes an op's own
(`@op.batch`), or the general one that its record names (GENERAL), or the first that applies of
`aligned_elementwise`, `along` (one tensor, and parameters that name dims) and, at last, `looped`. The
physical tensors always have the batch as their first dim.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, REGISTRY, Op, Tensor, apply_below, unrecordable
from pullback.ops.shared.batches import DIMS, Rule, padded, rank, shifted
from pullback.ops.shared.dims import wrap_dim
from pullback.transforms.batching.batched import Batched, batched

RULES: dict[Op, tuple[Rule, bool]] = {}
"""The rule of each op that was met, and whether it takes a list of tensors."""


def find_rule(op: Op) -> tuple[Rule, bool]:
    """The rule of an op: its own, or the first general one that applies; remembered."""
    found: Any = op.batch_rule
    tensors = sum(kind in "TNOL" for kind in op.kinds)
    if isinstance(found, str):
        found = GENERAL["alone" if found == "leading" and tensors == 1 else found]
    elif found is None:
        if op.elementwise:
            found = aligned_elementwise
        else:
            found = along if tensors == 1 and any(name in DIMS for name in op.params) else looped
    RULES[op] = found, "L" in op.kinds
    return RULES[op]


# ------------------------------------------------------------------------------ elementwise


def aligned_elementwise(level: Any, op: Op, *args: Any) -> Any:
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
            if p._layout.ndim == q._layout.ndim > 1:
                return batched(level, apply_below(op, (p, q)))
    result = apply_below(op, aligned(level, args))
    return batched(level, result) if isinstance(result, Tensor) else level.wrap(result)


def aligned(level: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Physical operands that broadcast as the samples do: the samples' dims aligned on the right.

    In promotion a sample of 0 dims gives way to one of more, and as much as others of 0 dims. Its physical
    tensor has a dim and would not, so it is cast before.
    """
    most = 0
    for x in args:
        if isinstance(x, Tensor) and x._layout.ndim > most:
            most = x._layout.ndim
    values = []
    for x in args:
        p = x
        if isinstance(x, Tensor):
            ranks = x._layout.ndim
            physical = x.physical if type(x) is Batched and x.level is level else None
            if physical is not None:
                p = physical if ranks == most else padded(physical, most)
            if ranks == 0 and (physical is not None or most == 0):
                p = _giving_way(p, args)
        values.append(p)
    return tuple(values)


def _giving_way(p: Tensor, args: tuple[Any, ...]) -> Tensor:
    """An operand of 0 dims in the dtype that the samples are promoted to. A boolean gives way to all."""
    if p.dtype.name == "bool" or len({x.dtype for x in args if isinstance(x, Tensor)}) == 1:
        return p
    first, second, *others = [x for x in args if isinstance(x, (Tensor, int, float, complex))]
    kind = _engine.result_type(first, second)
    for x in others:
        kind = _engine.result_type(ops.zeros((), dtype=kind), x)
    return p if p.dtype is kind else p.to(kind)


def direct_inplace(level: Any, op: Op, args: tuple[Any, ...]) -> None:
    """An elementwise op written into its batched first input."""
    ranks = rank(args[0])
    if any(rank(x) > ranks for x in args[1:]):
        shapes = [list(x.shape) for x in args if isinstance(x, Tensor)]
        raise RuntimeError(
            f"output with shape {shapes[0]} doesn't match the broadcast shape {max(shapes, key=len)}"
        )
    apply_below(op, aligned(level, args), IN_PLACE)


# ---------------------------------------------------------------------------- leading dims


def alone(level: Any, op: Op, self: Any, *args: Any) -> Any:
    """`leading` for ops on one tensor, whose physical tensor takes its place."""
    return level.wrap(apply_below(op, (self.physical, *args)))


def leading(level: Any, op: Op, *args: Any) -> Any:
    """The batch is one more leading dim. Samples of fewer leading dims get new ones, unless they are
    the vectors that go with the matrices of another."""
    tensors = [x for x in args if isinstance(x, Tensor)]
    most = max([x._layout.ndim for x in tensors])
    largest = next(x for x in tensors if x._layout.ndim == most)
    vectors = any(x._layout.shape == largest._layout.shape[:-1] for x in tensors)
    values = []
    for x in args:
        if isinstance(x, Tensor) and vectors:
            x = level.front(x)
        elif type(x) is Batched and x.level is level:
            x = padded(x.physical, most)
        elif isinstance(x, Tensor):
            x = REGISTRY["basic"](x, (None,) * (most + 1 - x.ndim) + (Ellipsis,))
        values.append(x)
    result = apply_below(op, tuple(values))
    if type(result) is tuple:  # one that comes of shared inputs alone has a batch of one
        result = tuple([ops.expand(one, (level.size, *one.shape[1:])) for one in result])
    return level.wrap(result)


def together(level: Any, op: Op, *args: Any) -> Any:
    """The batch is the first dim of each tensor, of a shared one a view that repeats it; dims move by one.

    It is the rule of ops whose result has the shape of one tensor, with which the others go element by
    element or row by row: the gradients of others, mostly, whose input all samples may share.
    """
    ranks = max(map(rank, args))
    values = []
    for name, x in zip(op.params, args, strict=True):
        if isinstance(x, Tensor):
            x = level.front(x)
        elif name in DIMS and x is not None:
            x = shifted(x, ranks)
        values.append(x)
    return level.wrap(apply_below(op, tuple(values)))


# ------------------------------------------------------------------- parameters that name dims


def along(level: Any, op: Op, *args: Any) -> Any:
    """An op on one tensor whose parameters name dims: they move by one."""
    p = args[0].physical
    ranks = p.ndim - 1
    if ranks == 0:
        return _along_nothing(level, op, *args)
    values = [p, *args[1:]]
    for i, name in enumerate(op.params):
        if name in DIMS:
            dim = args[i]
            if dim is None or dim == () or dim == []:
                if not op.all_dims:
                    return _over_a_whole_sample(level, op, *args)
                dim = 1 if ranks == 1 else tuple(range(1, ranks + 1))
            else:
                dim = shifted(dim, ranks)
            values[i] = dim
    result = apply_below(op, tuple(values))
    return batched(level, result) if isinstance(result, Tensor) else level.wrap(result)


def _along_nothing(level: Any, op: Op, *args: Any) -> Any:
    """Samples of 0 dims, which count as having one of size 1."""
    column = batched(level, ops.unsqueeze(args[0].physical, 1))
    values = list(args)
    for i, name in enumerate(op.params):
        if name in DIMS and args[i] is not None:
            dims = (args[i],) if isinstance(args[i], int) else args[i]
            for d in dims:
                wrap_dim(d, 0)
            if op.view:
                return looped(level, op, *args)
    results = along(level, op, column, *values[1:])

    def without(x: Any) -> Any:
        return batched(level, ops.squeeze(x.physical, 1)) if x.ndim else x

    return tuple(map(without, results)) if isinstance(results, tuple) else without(results)


def _over_a_whole_sample(level: Any, op: Op, *args: Any) -> Any:
    """No dim: the op along all of a sample as one."""
    p = args[0].physical
    flat = p.reshape(p.shape[0], math.prod(args[0].shape))
    values = [1 if name in DIMS else x for name, x in zip(op.params, args, strict=True)]
    results = apply_below(op, (flat, *values[1:]))
    keep = "keepdim" in op.params and args[op.params.index("keepdim")]
    ranks = args[0].ndim

    def shaped(x: Tensor) -> Any:
        if x.ndim == 2 and x.shape[1:] == flat.shape[1:] and not keep:
            return batched(level, x.reshape(p.shape))
        return batched(level, x.reshape(-1, *(1,) * ranks) if keep else x)

    return tuple(map(shaped, results)) if isinstance(results, tuple) else shaped(results)


# ------------------------------------------------------------------------------ the last resort


def looped(level: Any, op: Op, *args: Any) -> Any:
    """One call for each sample, the results stacked."""
    unrecordable("a warning")
    warnings.warn(
        "There is a performance drop because we have not yet implemented the batching rule for "
        f"aten::{op.__name__}. Please file us an issue on GitHub so that we can prioritize its "
        "implementation.",
        UserWarning,
        stacklevel=2,
    )

    def sample(x: Any, i: int) -> Any:
        if level.holds(x):
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


def dynamic(level: Any, op: Op, *args: Any) -> Any:
    """No rule is possible: the shape of each sample's result depends on its numbers."""
    raise RuntimeError(
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap "
        f"over aten::{op.__name__}. Please file an issue at https://github.com/pytorch/pytorch/issues if "
        "you need this feature."
    )


GENERAL = {
    "elementwise": aligned_elementwise,
    "leading": leading,
    "alone": alone,
    "together": together,
    "dynamic": dynamic,
}
"""The rules that ops name on their records."""
