"""What a transform is: an interpreter on the engine's stack, and tensors that belong to it.

An op that is called while the stack is not empty goes to the top `Interpreter`. It does its part and calls
ops again, which go to the next one below, and at last to the engine. An interpreter may hang something on
tensors (a tangent), or give its function tensors of its own (`Wrapper`), each of which stands for a tensor
of the level below. Autograd and leaves.py know no transform by name: they ask the interpreter.

The stack itself is the engine's (core/engine/levels.pxi). While an interpreter is at work it is not active,
nor are those above it. The contexts here put interpreters on and off the active part:

    with entered(level): ...            # on top of it
    with within([a, b]): ...            # these alone
    with without(level): ...            # all but this one
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, methodcaller
from typing import Any

from pullback.core import _engine
from pullback.core._engine import Op, Tensor, entered, stand_in, within, without

active = _engine.levels
topmost = _engine.topmost

# ------------------------------------------------------------------------------- interpreters


class Interpreter:
    """One level of the stack. Only `process` must be written; the rest is that of a level which hangs
    nothing on tensors and has none of its own.

    `process`, `process_function` and `check_value_access` are called by the engine and by custom
    Functions, with the level below in force. The others are asked by forward mode, leaves and the
    backward pass, with the level itself in force or above.
    """

    __slots__ = ()

    hangs: bool = False
    """Whether it hangs something on tensors, by `_engine.tangents_of`: what the graph saves of a tensor
    then has the same hanging on it."""

    spreads: bool = False
    """Whether a leaf that is made within is made once for each of `size` samples, so that each has a
    gradient of its own."""

    size: int
    """The number of samples, where `spreads`."""

    signature: tuple[Any, ...] | None = None
    """What `process` depends on besides the arguments and what hangs on them: numbers and texts. With it
    the engine does what an op has become here, or a function of ops, again without asking. None for a level
    that looks at more, or leaves more than results and what hangs on these."""

    # ---- what becomes of an op

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """Does an op: `_engine.apply_below(op, args, out)` calls it one level below.

        `args` has all arguments, `out` is None, `IN_PLACE` for a write into the first of them, or the
        tensor to write to.
        """
        raise NotImplementedError

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """Does a custom `autograd.Function`. By default it is called one level below."""
        return cls.apply(*args)

    def check_value_access(self, tensor: Tensor, what: str) -> None:
        """Raises RuntimeError if Python may not look at the numbers of a tensor. By default it may.

        `what` is how it would: "item", "bool", "numpy", "tolist", or "data" for the numbers without history.
        """

    # ---- what hangs on tensors

    def held(self, p: Tensor) -> Any:
        """What hangs on a tensor that is no `Wrapper`, None for nothing."""
        hanging = _engine.tangents_of(p)
        return hanging.get(self) if hanging else None

    def hang(self, p: Tensor, value: Any) -> None:
        """Hangs a value on a tensor that is no `Wrapper`, None to take it off."""
        if value is not None:
            _engine.tangents_of(p, True)[self] = value
        elif _engine.tangents_of(p):
            _engine.tangents_of(p).pop(self, None)

    # ---- tensors of the level

    def holds(self, x: Any) -> bool:
        """Whether `x` is a tensor of this level itself, a `Wrapper` that it made."""
        return isinstance(x, Wrapper) and x.level is self

    def front(self, x: Any) -> Any:
        """The tensor without this level that `x` stands for, at whatever depth; other levels stay.

        Where the level has samples, they are its first dim: one that all samples share is repeated.
        """
        return x

    def lifted(self, p: Any) -> Any:
        """The opposite of `front`: the tensor of this level, and of those above it, that `p` makes."""
        return p

    # ---- the backward pass

    def gradients(
        self,
        roots: Sequence[Tensor],
        sources: Sequence[Any],
        grads: Sequence[Tensor],
        keep: bool,
        create: bool,
    ) -> list[Any]:
        """`leaves.gradients` where roots belong to this level, and none to one above it.

        Their graph is that of the tensors they stand for, so the pass runs on those, without this level.
        """
        raise NotImplementedError


def operands(op: Op, args: Sequence[Any]) -> list[Tensor | None]:
    """The operands of an op, those in lists too, as its node has edges: None for a number among them."""
    found: list[Tensor | None] = []
    for x, kind in zip(args, op.kinds, strict=True):
        items = x if kind == "L" else () if kind == "." else (x,)
        found.extend(item if isinstance(item, Tensor) else None for item in items)
    return found


# ---------------------------------------------------------------------------- tensors of a level


@_engine.stand_ins
class Wrapper(Tensor):
    """A tensor of an interpreter: it stands at `level` for `physical`, a tensor of the level below.

    It has a shape and strides of its own and no numbers; its history is that of the physical tensor.
    """

    __slots__ = ("level", "physical")
    __torch_function__ = _engine.disabled_torch_function

    level: Any
    physical: Any

    device = property(attrgetter("physical.device"), doc="Where the numbers are.")
    requires_grad = property(
        attrgetter("physical.requires_grad"), doc="Whether gradients flow to or through the physical tensor."
    )
    grad_fn = property(attrgetter("physical.grad_fn"), doc="The node of the physical tensor.")
    is_leaf = property(
        attrgetter("physical.is_leaf"), doc="Whether the physical tensor is at the graph's edge."
    )

    data = property(methodcaller("detach"), doc="The same numbers without history.")


def bottom(x: Any) -> Any:
    """The tensor below all levels that `x` belongs to: the one with numbers and history."""
    while isinstance(x, Wrapper):
        x = x.physical
    return x


def levels_of(x: Any) -> list[Interpreter]:
    """The levels that a tensor belongs to, top first."""
    found = []
    while isinstance(x, Wrapper):
        found.append(x.level)
        x = x.physical
    return found


def owner(x: Any) -> Interpreter | None:
    """The topmost level that a tensor belongs to, None for one that belongs to none."""
    return x.level if isinstance(x, Wrapper) else None


def belongs(x: Any, level: Interpreter) -> bool:
    """Whether a tensor belongs to a level, at whatever depth."""
    while isinstance(x, Wrapper):
        if x.level is level:
            return True
        x = x.physical
    return False


def at_bottom(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A tensor of the levels of `x`, with `function(bottom(x))` at its bottom."""
    wrappers = []
    while isinstance(x, Wrapper):
        wrappers.append(x)
        x = x.physical
    p = function(x)
    while wrappers:
        wrapper = wrappers.pop()
        p = stand_in(type(wrapper), wrapper.level, p)
    return p


def above(level: Interpreter) -> list[Interpreter]:
    """The active levels on top of one, none if it is not active."""
    levels = active()
    return levels[levels.index(level) + 1 :] if level in levels else []


def hoisted(level: Interpreter, top: Interpreter, function: Any, *args: Any) -> Any:
    """Calls a function with `level` taken out of the active ones and `top` put above them."""
    with within([*[other for other in active() if other is not level], top]):
        return function(*args)


__all__ = [
    "Interpreter",
    "Wrapper",
    "above",
    "active",
    "at_bottom",
    "belongs",
    "bottom",
    "entered",
    "hoisted",
    "levels_of",
    "operands",
    "owner",
    "topmost",
    "within",
    "without",
]
