"""The interpreter of a `vmap` level: an op on batched tensors becomes one op on physical ones.

`process` finds the op's batching rule (rules.py) and writes in place where asked. An op without a
rule runs once for each sample, with a warning. Random ops follow the level's `randomness`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor, apply_below
from pullback.transforms import stack
from pullback.transforms.batching.batched import (
    CONTROL_FLOW,
    ITEM,
    Batched,
    batched,
    with_batch,
    without_batch,
)
from pullback.transforms.batching.rules import RULES, direct_inplace, find_rule, looped
from pullback.transforms.leaves import gradients
from pullback.transforms.stack import Interpreter

CAPTURED = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor "
    "`other` in extra_args that has more elements than `self`. This happened due to `other` being "
    "vmapped over but `self` not being vmapped over in a vmap. Please try to use out-of-place "
    "operators instead of inplace arithmetic. If said operator is being called inside the PyTorch "
    "framework, please file a bug report instead."
)
RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)
UNBATCHED = (
    "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like "
    "same randomness. If this is necessary for your usage, please file an issue with functorch."
)
SAME = (
    "Vmap does not currently support same randomness with a batched tensor input. Please file an "
    "issue with functorch"
)


class Batching(Interpreter):
    """One `vmap`: the size of its batch and how its random numbers are drawn."""

    __slots__ = ("randomness", "signature", "size", "spreads")

    def __init__(self, size: int, randomness: str = "error", spreads: bool = True) -> None:
        self.size = size
        self.randomness = randomness
        self.signature = size, randomness, spreads
        self.spreads = spreads  # whether leaves that are made at this level are made for each sample

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op on tensors of which some may be batched at this level."""
        found = RULES.get(op)
        if found is None:
            found = find_rule(op)
        rule, listed = found
        for x in args:
            if type(x) is Batched:
                if x.level is self:
                    break
            elif listed and (type(x) is list or type(x) is tuple) and self.holds_any(x):
                break
        else:
            if op.random:
                return self._random(op, args, out)
            return apply_below(op, args, out)
        if op.random:
            return self._random(op, args, out)
        if out is None:
            result = rule(self, op, *args)
            return looped(self, op, *args) if result is NotImplemented else result
        return self._write(op, rule, args, out)

    def holds_any(self, values: Any) -> bool:
        """Whether one of the values is."""
        return any(type(x) is Batched and x.level is self for x in values)

    def wrap(self, result: Any) -> Any:
        """The results of a physical op as batched tensors."""
        if type(result) is tuple or type(result) is list:
            return tuple([batched(self, x) if isinstance(x, Tensor) else x for x in result])
        return batched(self, result)

    def call(self, function: Any, *args: Any) -> Any:
        """Calls a function of one sample from within a rule, with this level in force again."""
        with stack.entered(self):
            return function(*args)

    def _write(self, op: Op, rule: Any, args: tuple[Any, ...], out: Any) -> Any:
        """The op in place. What it writes into must be batched as well."""
        if out is not IN_PLACE:
            raise RuntimeError(
                f"Batching rule not implemented for aten::{op.__name__}.out; the fallback path doesn't "
                "work on out= or view ops."
            )
        target = args[0]
        if not self.holds(target):
            raise RuntimeError(CAPTURED)
        if op.elementwise or op.overwrites:
            direct_inplace(self, op, args)
        else:
            result = rule(self, op, *args)
            if result is NotImplemented:
                result = looped(self, op, *args)
            apply_below(_COPY, (target.physical, result.physical, False), IN_PLACE)
        return target

    def _random(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """A random op: one draw for all samples, or for each its own."""
        if self.randomness == "error":
            raise RuntimeError(RANDOM)
        tensors = [x for x in args if isinstance(x, Tensor)]
        if self.randomness == "same":
            if not self.holds_any(tensors):
                return apply_below(op, args, out)
            if not op.overwrites:
                raise RuntimeError(SAME)
            model = ops.select(args[0].physical, 0, 0).detach()
            drawn = apply_below(op, (ops.empty_like(model), *args[1:]))
            if out is not IN_PLACE:
                return drawn
            target = args[0].physical
            apply_below(_COPY, (target, ops.expand(drawn, target.shape), False), IN_PLACE)
            return args[0]
        if out is IN_PLACE and not self.holds(args[0]):
            raise RuntimeError(UNBATCHED)
        if callable(op.batch_rule):
            return op.batch_rule(self, op, *args)
        physical = tuple([self.front(x) if isinstance(x, Tensor) else x for x in args])
        result = apply_below(op, physical, out)
        return args[0] if out is IN_PLACE else self.wrap(result)

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function: its own `vmap`, or one that is generated."""
        return cls._batched(self, args)

    def check_value_access(self, tensor: Tensor, what: str) -> None:
        """A batched tensor has no single value."""
        if what in ("item", "bool") and self.holds(tensor):
            raise RuntimeError(ITEM if what == "item" else CONTROL_FLOW)

    # ---- tensors of the level

    def front(self, x: Any) -> Any:
        """The physical tensor of `x`, its batch first; of an unbatched one, a view that repeats it."""
        return x.physical if type(x) is Batched and x.level is self else without_batch(x, self)

    def lifted(self, p: Any) -> Any:
        """The batched tensor of a physical one."""
        return batched(self, p) if type(p) is Tensor else with_batch(p, self)

    # ---- the backward pass

    def gradients(
        self,
        roots: Sequence[Tensor],
        sources: Sequence[Any],
        grads: Sequence[Tensor],
        keep: bool,
        create: bool,
    ) -> list[Any]:
        """The pass on physical tensors, its results batched.

        A source is batched as well, so that each sample has its own, or all samples share it: then each
        sample gets its own gradient with respect to it (`_gradients_by_sample`), to which the roots that are
        not batched add the same for all. A source of a level above is behind none of the roots.
        """
        own: dict[int, Tensor] = {}  # by the place among the sources
        shared: dict[int, Tensor] = {}
        for i, x in enumerate(sources):
            if type(x) is Batched and x.level is self:
                own[i] = x.physical
            elif not stack.belongs(x, self):
                shared[i] = x
        found: dict[int, Any] = {}
        ends, starts, others = [], [], []
        with stack.without(self):
            for x, g in zip(roots, grads, strict=True):
                if type(x) is Batched and x.level is self:
                    ends.append(x.physical)
                    starts.append(g.physical if type(g) is Batched and g.level is self else self.front(g))
                else:
                    others.append((x, g))
            if own:
                each = gradients(ends, [*own.values()], starts, keep or bool(shared), create)
                found.update(zip(own, each, strict=True))
            if shared:
                each = self._gradients_by_sample(ends, [*shared.values()], starts, keep, create)
                found.update(zip(shared, each, strict=True))
        results: list[Any] = [None] * len(sources)
        for i, g in found.items():
            if g is not None:
                results[i] = batched(self, g) if type(g) is Tensor else self.lifted(g)
        if shared and others:
            ends, starts = [x for x, _ in others], [g for _, g in others]
            each = gradients(ends, [*shared.values()], starts, keep, create)
            for i, g in zip(shared, each, strict=True):
                if g is not None:
                    results[i] = g if results[i] is None else results[i] + g
        return results

    def _gradients_by_sample(
        self, roots: list[Any], sources: list[Any], grads: list[Any], keep: bool, create: bool
    ) -> list[Any]:
        """For each sample the gradients with respect to sources that all samples share.

        One pass from `grads` would give their sum. So there are as many passes as samples, and the i-th
        starts from `grads` with all rows zero but the i-th: as a batch of passes, from the (size, size, ...)
        tensor whose diagonal is `grads`. It takes `size` times the memory of one pass.
        """

        def run(diagonals: list[Any]) -> list[Any]:
            return gradients(roots, sources, diagonals, keep, create)

        return on_batch(self.size, run, [ops.diag_embed(ops.movedim(g, 0, -1), 0, 0, 1) for g in grads])


def on_batch(
    size: int, function: Callable[[list[Any]], list[Any]], values: Sequence[Any], randomness: str = "error"
) -> list[Any]:
    """A function of lists of tensors, run once for all samples; None stays None.

    `values` and the results have the batch as their first dim. Leaves that the function makes are not
    made for each sample.
    """
    level = Batching(size, randomness, spreads=False)
    with stack.entered(level):
        found = function([None if x is None else batched(level, x) for x in values])
    return [None if x is None else level.front(x) for x in found]


_COPY = _engine.REGISTRY["copy"]
