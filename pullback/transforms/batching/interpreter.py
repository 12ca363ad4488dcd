"""The interpreter of a `vmap` level: an op on batched tensors becomes one op on physical ones.

`process` finds the op's batching rule (rules.py) and writes in place where asked. An op without a
rule runs once for each sample, with a warning. Random ops follow the level's `randomness`.
"""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor, apply_below
from pullback.transforms.batching.batched import CONTROL_FLOW, ITEM, Batched, batched
from pullback.transforms.batching.rules import RULES, direct_inplace, find_rule

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


class Batching:
    """One `vmap`: the size of its batch and how its random numbers are drawn."""

    __slots__ = ("randomness", "size", "spreads")

    def __init__(self, size: int, randomness: str = "error", spreads: bool = True) -> None:
        self.size = size
        self.randomness = randomness
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
            return rule(self, op, args)
        return self._write(op, rule, args, out)

    def holds(self, x: Any) -> bool:
        """Whether `x` is batched at this level."""
        return type(x) is Batched and x.level is self

    def holds_any(self, values: Any) -> bool:
        """Whether one of the values is."""
        return any(type(x) is Batched and x.level is self for x in values)

    def wrap(self, result: Any) -> Any:
        """The results of a physical op as batched tensors."""
        if type(result) is tuple or type(result) is list:
            return tuple([batched(self, x) if isinstance(x, Tensor) else x for x in result])
        return batched(self, result)

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
        if op.elementwise or op.name in ("copy", "fill", "zero"):
            direct_inplace(self, op, args)
        else:
            result = rule(self, op, args)
            apply_below(_COPY, (target.physical, result.physical, False), IN_PLACE)
        return target

    def _random(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """A random op: one draw for all samples, or for each its own."""
        if self.randomness == "error":
            raise RuntimeError(RANDOM)
        tensors = [x for x in args if isinstance(x, Tensor)]
        drawn_into = op.name.endswith("_fill") or op.name.startswith("random_fill")
        if self.randomness == "same":
            if not self.holds_any(tensors):
                return apply_below(op, args, out)
            if not drawn_into:
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
        physical = tuple([self.front(x) if isinstance(x, Tensor) else x for x in args])
        result = apply_below(op, physical, out)
        return args[0] if out is IN_PLACE else self.wrap(result)

    def front(self, x: Any) -> Any:
        """The physical tensor of `x`; of an unbatched one, a view that repeats it."""
        if type(x) is Batched and x.level is self:
            return x.physical
        return ops.expand(x, (self.size, *x.shape))

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function: its own `vmap`, or one that is generated."""
        return cls._batched(self, args)

    def check_value_access(self, tensor: Tensor, what: str) -> None:
        """A batched tensor has no single value."""
        if self.holds(tensor):
            raise RuntimeError(ITEM if what == "item" else CONTROL_FLOW)


_COPY = _engine.REGISTRY["copy"]
