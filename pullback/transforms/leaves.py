"""New places in the graph for old tensors: what transforms differentiate with respect to.

`leaf` gives a tensor with the numbers and the tangents of another, whose gradient can be asked for by
itself. `gradients` is the backward pass on any tensors, batched ones too: the graph of a batched
tensor is that of its physical tensor, so its level is taken off the stack and the pass runs below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core._loops import repeated
from pullback.transforms import stack
from pullback.transforms.batching.batched import (
    Batched,
    batched,
    bottom,
    chain,
    is_batched_at,
    restore,
    strip,
)

# --------------------------------------------------------------------------------------- leaves


def rewrapped(x: Tensor, physical: Tensor) -> Tensor:
    """Another tensor in the place of the one that holds the numbers of `x`."""
    if type(x) is not Batched:
        return physical
    return batched(x.level, rewrapped(x.physical, physical))


def same(x: Tensor) -> Tensor:
    """A new tensor with the numbers, the history and the tangents of `x`."""
    p = bottom(x)
    if _engine.grad_enabled() and p.requires_grad:
        return rewrapped(x, ops.view_as(p, p))
    return rewrapped(x, _bare(p))


def _bare(p: Tensor) -> Tensor:
    """The numbers and tangents of a tensor without its history."""
    q = _engine.alias(p)
    tangents = _engine.tangents_now(p)
    if tangents:
        _engine.tangents_of(q, True).update(tangents)
    return q


def ones(x: Tensor) -> Tensor:
    """The cotangent of ones of a tensor: of each sample, where it is batched."""
    return rewrapped(x, _engine.ones_of(bottom(x)))


def spread_out(x: Tensor) -> Tensor:
    """`x` once for each sample of all batches under way."""
    active = stack.active()
    for i, level in enumerate(active):
        if getattr(level, "spreads", False) and not is_batched_at(x, level):
            x = restore(strip(x, level), level, active[i + 1 :])
    return x


def leaf(x: Tensor, recording: bool) -> Tensor:
    """A tensor like `x` whose gradient can be asked for, for each sample by itself.

    While `recording`, it is a step in the history of `x`, else a leaf.
    """
    active = stack.active()
    if active:
        if type(x) is Tensor and not (recording and x.requires_grad) and not _engine.tangents_now(x):
            return _plain_leaf(x, active)
        x = spread_out(x)
    p = bottom(x)
    if recording and p.requires_grad:
        return rewrapped(x, ops.view_as(p, p))
    q = _bare(p)
    q.requires_grad_()
    return rewrapped(x, q)


def _plain_leaf(x: Tensor, active: list[Any]) -> Tensor:
    """The same for a tensor without batches, history and tangents: its numbers, seen many times."""
    over = [level for level in active if getattr(level, "spreads", False)]
    sizes = tuple([level.size for level in over])
    q = _engine.from_array(repeated(x._array, sizes)) if over else _engine.alias(x)
    q.requires_grad_()
    for level in over:
        q = batched(level, q)
    return q


# --------------------------------------------------------------------------------------- passes


def gradients(
    roots: Sequence[Tensor], sources: Sequence[Tensor], grads: Sequence[Tensor], keep: bool, create: bool
) -> list[Any]:
    """The gradients of `sum(<grad, root>)`, None for a source that no root depends on."""
    for x in roots:
        if type(x) is Batched:
            return _below(roots, sources, grads, keep, create)
    targets = [None if type(x) is Batched else _engine.gradient_edge(x) for x in sources]
    wanted = [edge for edge in targets if edge is not None]
    starts, given = [], []
    for x, g in zip(roots, grads, strict=True):
        edge = _engine.gradient_edge(x)
        if edge is not None:
            starts.append(edge)
            given.append(g)
    if not starts or not wanted:
        return [None] * len(targets)
    found = _engine.run_backward(starts, given, keep, create, wanted)
    if len(wanted) < len(targets):
        rest = iter(found)
        found = [None if edge is None else next(rest) for edge in targets]
    return found


def _below(
    roots: Sequence[Tensor], sources: Sequence[Tensor], grads: Sequence[Tensor], keep: bool, create: bool
) -> list[Any]:
    """The pass on physical tensors: of the topmost level that a root is batched at."""
    active = stack.active()
    place = max(active.index(x.level) for x in roots if type(x) is Batched)
    level, above = active[place], active[place + 1 :]
    inside = [(x, g) for x, g in zip(roots, grads, strict=True) if is_batched_at(x, level)]
    outside = [(x, g) for x, g in zip(roots, grads, strict=True) if not is_batched_at(x, level)]
    own = [i for i, x in enumerate(sources) if type(x) is Batched and x.level is level]
    shared = [i for i, x in enumerate(sources) if not is_batched_at(x, level)]
    found: list[Any] = [None] * len(sources)
    with stack.without(level):
        physical = [x.physical for x, _ in inside]
        given = [strip(g, level) for _, g in inside]
        if own:
            again = bool(shared) or keep
            results = gradients(physical, [sources[i].physical for i in own], given, again, create)
            for i, g in zip(own, results, strict=True):
                found[i] = g
        if shared:
            each = [sources[i] for i in shared]
            for i, g in zip(shared, _for_each(level.size, physical, each, given, keep, create), strict=True):
                found[i] = g
    found = [None if g is None else restore(g, level, above) for g in found]
    if outside and shared:
        rest, cotangents = zip(*outside, strict=True)
        more = gradients(rest, [sources[i] for i in shared], cotangents, keep, create)
        for i, g in zip(shared, more, strict=True):
            if g is not None:
                found[i] = g if found[i] is None else found[i] + g
    return found


def _for_each(
    size: int, roots: list[Any], sources: list[Any], grads: list[Any], keep: bool, create: bool
) -> list[Any]:
    """Gradients for each sample with respect to what all samples share: sample i gets a row of a
    batch of passes, in which the other samples' gradients are zero."""
    from pullback.transforms.batching.interpreter import Batching

    level = Batching(size, spreads=False)
    wide = [ops.diag_embed(ops.movedim(g, 0, -1), 0, 0, 1) for g in grads]
    aside = stack.enter(level)
    try:
        found = gradients(roots, sources, [batched(level, g) for g in wide], keep, create)
    finally:
        stack.leave(aside)
    return [None if g is None else g.physical if level.holds(g) else strip(g, level) for g in found]


__all__ = ["chain", "gradients", "leaf", "ones", "rewrapped", "same", "spread_out"]
