"""New places in the graph for old tensors: what transforms differentiate with respect to.

`leaf` gives a tensor with the numbers and the tangents of another, whose gradient can be asked for by
itself. `gradients` is the backward pass on any tensors: the graph of one that belongs to a level is that of
the tensor it stands for, so its level runs the pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core._loops import add_leading_dims
from pullback.transforms import stack
from pullback.transforms.stack import at_bottom

# --------------------------------------------------------------------------------------- leaves


def same(x: Tensor) -> Tensor:
    """A new tensor with the numbers, the history and the tangents of `x`."""
    return at_bottom(x, ops.alias if _engine.grad_enabled() and x.requires_grad else _without_history)


def leaf(x: Tensor, recording: bool) -> Tensor:
    """A tensor like `x` whose gradient can be asked for, for each sample by itself.

    While `recording`, it is a step in the history of `x`, else a leaf.
    """
    return leaves([x], recording)[0]


def leaves(tensors: Sequence[Tensor], recording: bool) -> list[Tensor]:
    """The same for several tensors."""
    active = stack.active()
    levels = [level for level in active if level.spreads] if active else ()
    return [
        _fresh_leaf(x, levels)
        if type(x) is Tensor and not (recording and x.requires_grad) and not _engine.tangents_now(x)
        else _leaf_of(x, levels, recording)
        for x in tensors
    ]


def _leaf_of(x: Tensor, levels: Sequence[Any], recording: bool) -> Tensor:
    """The leaf, or step in its history, of any tensor."""
    for level in levels:
        if not stack.belongs(x, level):
            x = level.lifted(level.front(x))
    return at_bottom(x, ops.alias if recording and x.requires_grad else _leaf_without_history)


def _without_history(p: Tensor) -> Tensor:
    return _engine.alias(p, tangents=True)


def _leaf_without_history(p: Tensor) -> Tensor:
    q = _engine.alias(p, tangents=True)
    q.requires_grad_()
    return q


def _fresh_leaf(x: Tensor, levels: Sequence[Any]) -> Tensor:
    """The leaf of a tensor of no level, without history and tangents: its numbers, seen many times."""
    if not levels:
        q = _engine.alias(x)
        q.requires_grad_()
        return q
    q = _engine.from_array(add_leading_dims(x._array, tuple([level.size for level in levels])), True)
    for level in levels:
        q = level.lifted(q)
    return q


# --------------------------------------------------------------------------------------- passes


def gradients(
    roots: Sequence[Tensor], sources: Sequence[Tensor], grads: Sequence[Tensor], keep: bool, create: bool
) -> list[Any]:
    """The gradients of `sum(<grad, root>)`, None for a source that no root depends on."""
    level = stack.topmost(roots)
    if level is not None:
        return level.gradients(roots, sources, grads, keep, create)
    return _engine.gradients_between(roots, sources, grads, keep, create)
