"""What batching rules share: the ways in which the batch of a `vmap` joins the dims of its samples.

A batching rule `(level, op, *args)` stands beside its op, entered with `@<op>.batch`; after the first two
its parameters are the op's, and at least one of them is batched. The physical tensors of batched ones
have the batch as their first dim. Ops that a rule calls work on physical tensors. The level offers

- `size`, the size of the batch;
- `holds(x)`, whether `x` is batched at this level;
- `front(x)`, the physical tensor of `x`, a view that repeats it where it is not batched;
- `wrap(results)`, physical results as batched tensors;
- `call(function, *args)`, a function of one sample called on the batched tensors themselves.

A rule that returns NotImplemented leaves the op to be done sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import REGISTRY, Op, Tensor
from pullback.ops.shared.dims import wrap_dim

Rule = Callable[..., Any]

DIMS = ("dim", "dims", "dim0", "dim1", "dim2", "dimension")
"""Parameters that name one dim or several."""

_ALL = slice(None)


def rank(x: Any) -> int:
    """The dims of a tensor as the user sees it, -1 for what is none."""
    return x._layout.ndim if isinstance(x, Tensor) else -1


def has_samples(x: Tensor) -> bool:
    """Whether a tensor stands for one of each sample: it has a shape and no numbers."""
    return type(x) is not Tensor and hasattr(type(x), "physical")


def shifted(dim: Any, ranks: int) -> Any:
    """Dims of a sample as dims of the physical tensor."""
    if not isinstance(dim, (tuple, list)):
        return wrap_dim(dim, ranks) + 1
    return tuple([wrap_dim(d, ranks) + 1 for d in dim])


def shifted_args(op: Op, args: Any, ranks: int) -> tuple[Any, ...]:
    """The arguments of an op after the tensor, with those that name dims shifted."""
    return tuple(
        shifted(x, ranks) if name in DIMS and x is not None else x
        for name, x in zip(op.params[1:], args, strict=False)
    )


def padded(p: Tensor, ranks: int) -> Tensor:
    """A physical tensor with new dims of size one after the batch, until a sample has `ranks` dims."""
    missing = ranks + 1 - p.ndim
    if missing <= 0:
        return p
    return REGISTRY["basic"](p, (_ALL,) + (None,) * missing + (Ellipsis,))


def folded(level: Any, x: Any) -> Tensor:
    """A tensor (N, ...) of each sample as (B * N, ...)."""
    p = level.front(x)
    return ops.reshape(p, (p.shape[0] * p.shape[1], *p.shape[2:]))


def unfolded(level: Any, y: Tensor) -> Any:
    """The way back."""
    return level.wrap(ops.reshape(y, (level.size, y.shape[0] // max(level.size, 1), *y.shape[1:])))


def channels(level: Any, x: Any) -> Tensor:
    """A tensor (N, C, ...) of each sample as (N, B * C, ...), or a vector (C,) as (B * C,)."""
    p = level.front(x)
    if p.ndim == 2:
        return ops.reshape(p, (-1,))
    p = ops.transpose(p, 0, 1)
    return ops.reshape(p, (p.shape[0], p.shape[1] * p.shape[2], *p.shape[3:]))


def unchannelled(level: Any, y: Tensor) -> Any:
    """The way back."""
    if y.ndim == 1:
        return level.wrap(ops.reshape(y, (level.size, -1)))
    count = y.shape[1] // max(level.size, 1)
    wide = ops.reshape(y, (y.shape[0], level.size, count, *y.shape[2:]))
    return level.wrap(ops.transpose(wide, 0, 1))


def columns(level: Any, *tensors: Any) -> list[Tensor]:
    """Physical tensors, of which samples of 0 dims get one of size 1."""
    fronts = [level.front(x) for x in tensors]
    return [ops.unsqueeze(p, 1) if p.ndim == 1 else p for p in fronts]


def viewed(level: Any, x: Any, shape: Any) -> Any:
    """A tensor of each sample, or of all, in a shape in which it broadcasts."""
    if level.holds(x):
        return ops.reshape(x.physical, (level.size, *shape))
    return ops.reshape(x, shape)


def affine(level: Any, y: Tensor, weight: Any, bias: Any, shape: Any) -> Tensor:
    """A physical result, times the weights and plus the bias, seen in a sample's shape."""
    y = y if weight is None else y * viewed(level, weight, shape)
    return y if bias is None else y + viewed(level, bias, shape)


def samples(level: Any, op: Op, *args: Any) -> Any:
    """The rule of ops whose tensors all have a dim of samples first, which takes the batch into it."""
    results = op(*[folded(level, x) if isinstance(x, Tensor) else x for x in args])
    return unfolded(level, results)


def writes(level: Any, op: Op, self: Any, *others: Any) -> Any:
    """The rule of ops that write into their first operand, which is as large as any."""
    ranks = rank(self)
    values = [padded(x.physical, ranks) if level.holds(x) else x for x in others]
    return level.wrap(op(level.front(self), *values))


def of_sample(function: Callable[..., Any]) -> Rule:
    """The rule that calls a function of one sample, which does the op by others that have rules."""

    def rule(level: Any, op: Op, *args: Any) -> Any:
        return level.call(function, *args)

    return rule
