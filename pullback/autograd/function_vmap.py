"""Custom Functions under `vmap`: their own `vmap` staticmethod, or one made of `forward`, `backward`, `jvp`.

A generated rule is a Function on physical tensors (`_OnPhysical`), whose `forward` runs that of the user
on batched ones, and whose `backward` and `jvp` do likewise: so the graph has one node, below.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from pullback import ops
from pullback.autograd.function import Function, apply_below, backward_of
from pullback.core._engine import Tensor
from pullback.transforms import stack

DETAILS = "please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a `vmap` staticmethod is told: the batch's size, and how random numbers are drawn."""

    batch_size: int
    randomness: str


def apply_batched(cls: Any, level: Any, args: tuple[Any, ...]) -> Any:
    """A Function at a `vmap` level."""
    own = cls.vmap is not Function.vmap
    if not (_holds_within(level, args) if own else level.holds_any(args)):
        return apply_below(cls, args)
    if own and cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an "
            "overriden vmap staticmethod. Please set generate_vmap_rule=False or delete the overriden vmap "
            f"staticmethod to avoid ambiguity. For more details, {DETAILS}"
        )
    if own:
        return _by_staticmethod(cls, level, args)
    if not cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please override and "
            "implement the vmap staticmethod or set generate_vmap_rule=True. For more details, "
            f"{DETAILS}"
        )
    if cls.setup_context is Function.setup_context:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), "
            f"it must override the setup_context staticmethod. For more details, {DETAILS}"
        )
    physical = tuple([x.physical if level.holds(x) else x for x in args])
    results = apply_below(_OnPhysical(cls, level, args).function(), physical)
    return level.wrap(results)


def _holds_within(level: Any, x: Any) -> bool:
    """Whether a tensor among arguments, or in their lists, tuples and dicts, is batched at a level."""
    if isinstance(x, (list, tuple)):
        return any(_holds_within(level, item) for item in x)
    return any(_holds_within(level, item) for item in x.values()) if isinstance(x, dict) else level.holds(x)


def _each(x: Any, function: Any) -> Any:
    """Lists, tuples and dicts with a function's value in place of each thing in them; themselves if all
    stay."""
    if isinstance(x, (list, tuple)):
        made = [_each(item, function) for item in x]
        if all(a is b for a, b in zip(made, x, strict=True)):
            return x
        return type(x)(*made) if hasattr(x, "_fields") else type(x)(made)
    if isinstance(x, dict):
        found = {key: _each(item, function) for key, item in x.items()}
        return x if all(found[key] is x[key] for key in x) else found
    return function(x)


def _by_staticmethod(cls: Any, level: Any, args: tuple[Any, ...]) -> Any:
    """The Function's own rule: what it returns, wrapped."""
    dims = _each(args, lambda x: x.place if level.holds(x) else None)
    physical = _each(args, lambda x: x.spread_out() if level.holds(x) else x)
    got = cls.vmap(VmapInfo(level.size, level.randomness), dims, *physical)
    if not isinstance(got, tuple) or len(got) != 2:
        raise RuntimeError(
            "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree "
            f"structure compatible with the output. Got a {type(got)}."
        )
    outs, out_dims = got
    if isinstance(outs, (tuple, list)):
        if not isinstance(out_dims, (tuple, list)):
            out_dims = (out_dims,) * len(outs)
        return type(outs)([_with_batch_at(level, x, d) for x, d in zip(outs, out_dims, strict=True)])
    return _with_batch_at(level, outs, out_dims)


def _with_batch_at(level: Any, x: Any, dim: int | None) -> Any:
    if dim is None or not isinstance(x, Tensor):
        return x
    return level.lifted(x if dim == 0 else ops.movedim(x, dim, 0))


class _Context:
    """The user's `ctx`, in which tensors are batched; what is kept is kept physically in the real one."""

    def __init__(self, real: Any, level: Any) -> None:
        self.__dict__["_real"] = real
        self.__dict__["_level"] = level
        self.__dict__["_flags"] = {}
        self.__dict__["_outputs"] = {}

    @contextlib.contextmanager
    def knowing(self, seen: Any, outs: Any) -> Iterator[None]:
        """Within, `seen` is known to stand for the physical results `outs`."""
        self.__dict__["_outputs"] = {id(x): p for x, p in zip(seen, outs, strict=True)}
        try:
            yield
        finally:
            self.__dict__["_outputs"] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _physical(self, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple([x.physical if self._level.holds(x) else x for x in tensors])

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors for `backward`."""
        self._flags["backward"] = [self._level.holds(x) for x in tensors]
        self._real.save_for_backward(*self._physical(tensors))

    def save_for_forward(self, *tensors: Any) -> None:
        """Keeps tensors for `jvp`."""
        self._flags["forward"] = [self._level.holds(x) for x in tensors]
        self._real.save_for_forward(*self._physical(tensors))

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Says which outputs take no gradient."""
        self._real.mark_non_differentiable(*[self._outputs.get(id(x), x) for x in tensors])

    def mark_dirty(self, *tensors: Any) -> None:
        """Says which inputs were written to."""
        self._real.mark_dirty(*self._physical(tensors))

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was kept, batched as it was."""
        flags = self._flags.get("forward" if self._real._in_jvp else "backward", ())
        return tuple(
            [
                self._level.lifted(x) if flag else x
                for x, flag in zip(self._real.saved_tensors, flags, strict=True)
            ]
        )


class _OnPhysical:
    """What a Function does to each sample of a level, on physical tensors: its members run those of the
    user's class at the level, on batched tensors."""

    def __init__(self, cls: Any, level: Any, args: tuple[Any, ...]) -> None:
        self.cls, self.level = cls, level
        self.over = [level.holds(x) for x in args]  # which arguments are batched

    def function(self) -> Any:
        """The Function of these members."""
        members = ("forward", "setup_context", "backward", "jvp")
        return type(self.cls)(
            self.cls.__name__, (Function,), {name: staticmethod(getattr(self, name)) for name in members}
        )

    def forward(self, *values: Any) -> Any:
        """The results of physical arguments."""
        with stack.entered(self.level):
            got = self.cls.forward(*self._lifted(values))
        return self._front(got)

    def setup_context(self, ctx: Any, inputs: Any, output: Any) -> None:
        """Lets the user's class keep batched tensors in a context of its own, around the real one."""
        outs = output if isinstance(output, tuple) else (output,)
        seen = tuple([self.level.lifted(x) if isinstance(x, Tensor) else x for x in outs])
        inner = ctx._inner = _Context(ctx, self.level)
        with stack.entered(self.level), inner.knowing(seen, outs):
            given = seen if isinstance(output, tuple) else seen[0]
            self.cls.setup_context(inner, tuple(self._lifted(inputs)), given)

    def backward(self, ctx: Any, *grads: Any) -> Any:
        """Gradients of the physical arguments: of one that all samples share, their sum."""
        given = [None if g is None else self.level.lifted(g) for g in grads]
        with stack.entered(self.level):
            got = backward_of(self.cls)(ctx._inner, *given)
        found = []
        for g, batched in zip(got if isinstance(got, tuple) else (got,), self.over, strict=True):
            p = None if g is None else self.level.front(g)
            found.append(p if batched or p is None else ops.sum(p, 0))
        return tuple(found)

    def jvp(self, ctx: Any, *tangents: Any) -> Any:
        """The results' tangents."""
        with stack.entered(self.level):
            got = self.cls.jvp(ctx._inner, *self._lifted(tangents))
        return self._front(got)

    def _lifted(self, values: Any) -> list[Any]:
        return [self.level.lifted(x) if batched else x for x, batched in zip(values, self.over, strict=True)]

    def _front(self, got: Any) -> Any:
        if isinstance(got, tuple):
            return tuple([self._front(x) for x in got])
        return self.level.front(got) if isinstance(got, Tensor) else got


def context_of(cls: Any, args: tuple[Any, ...]) -> tuple[Any, Any]:
    """What a Function returns at the present level, and the context of its call at the bottom."""
    seen: list[Any] = []

    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        seen.append(ctx)
        cls.setup_context(ctx, inputs, output)

    def forward(ctx: Any, *values: Any) -> Any:
        seen.append(ctx)
        return cls.forward(ctx, *values)

    if cls.setup_context is Function.setup_context:
        watched = type(cls)(cls.__name__, (cls,), {"forward": staticmethod(forward)})
    else:
        watched = type(cls)(cls.__name__, (cls,), {"setup_context": staticmethod(setup_context)})
    return apply_below(watched, args), seen[-1]
