"""Custom Functions under `vmap`: their own `vmap` staticmethod, or one made of `forward`, `backward`, `jvp`.

A generated rule is a Function on physical tensors, whose `forward` runs that of the user on batched
ones, and whose `backward` and `jvp` do likewise: so the graph has one node, below.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pullback import ops
from pullback.autograd.function import Function, apply_below
from pullback.core._engine import Tensor
from pullback.transforms import stack

DETAILS = "please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a `vmap` staticmethod is told: the batch's size, and how random numbers are drawn."""

    batch_size: int
    randomness: str


def apply_batched(cls: Any, level: Any, args: tuple[Any, ...]) -> Any:
    """A Function at a `vmap` level."""
    if not level.holds_any(args):
        return apply_below(cls, args)
    own = cls.vmap is not Function.vmap
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
    results = apply_below(_generated(cls, level, args), physical)
    return level.wrap(results)


def _by_staticmethod(cls: Any, level: Any, args: tuple[Any, ...]) -> Any:
    """The Function's own rule: what it returns, wrapped."""
    dims = tuple([0 if level.holds(x) else None for x in args])
    physical = tuple([x.physical if level.holds(x) else x for x in args])
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
        return type(outs)([_wrapped(level, x, d) for x, d in zip(outs, out_dims, strict=True)])
    return _wrapped(level, outs, out_dims)


def _wrapped(level: Any, x: Any, dim: int | None) -> Any:
    if dim is None or not isinstance(x, Tensor):
        return x
    return level.lifted(x if dim == 0 else ops.movedim(x, dim, 0))


class _Context:
    """The user's `ctx`, in which tensors are batched; what is kept is kept physically in the real one."""

    def __init__(self, real: Any, level: Any) -> None:
        self.__dict__["_real"] = real
        self.__dict__["_level"] = level
        self.__dict__["_flags"] = {}

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
        flags = self._flags["forward" if self._real.saved_for_forward else "backward"]
        return tuple(
            [
                self._level.lifted(x) if flag else x
                for x, flag in zip(self._real.saved_tensors, flags, strict=True)
            ]
        )


def _generated(cls: Any, level: Any, args: tuple[Any, ...]) -> Any:
    """A Function on physical tensors that does what `cls` does to each sample."""
    over = [level.holds(x) for x in args]

    def at_level(function: Any, *values: Any) -> Any:
        with stack.entered(level):
            return function(*values)

    def lifted(values: Any) -> list[Any]:
        return [level.lifted(x) if flag else x for x, flag in zip(values, over, strict=True)]

    def lowered(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return level.front(x)

    def forward(*values: Any) -> Any:
        got = at_level(cls.forward, *lifted(values))
        return tuple([lowered(x) for x in got]) if isinstance(got, tuple) else lowered(got)

    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        inner = ctx._inner = _Context(ctx, level)
        outs = output if isinstance(output, tuple) else (output,)
        seen = [level.lifted(x) if isinstance(x, Tensor) else x for x in outs]
        inner.__dict__["_outputs"] = {id(b): x for b, x in zip(seen, outs, strict=True)}
        given = tuple(seen) if isinstance(output, tuple) else seen[0]
        at_level(cls.setup_context, inner, tuple(lifted(inputs)), given)
        inner.__dict__["_outputs"] = {}

    def backward(ctx: Any, *grads: Any) -> Any:
        given = [None if g is None else level.lifted(g) for g in grads]
        got = at_level(cls.backward, ctx._inner, *given)
        got = got if isinstance(got, tuple) else (got,)
        return tuple(
            [
                None if g is None else lowered(g) if flag else ops.sum(lowered(g), 0)
                for g, flag in zip(got, over, strict=True)
            ]
        )

    def jvp(ctx: Any, *tangents: Any) -> Any:
        got = at_level(cls.jvp, ctx._inner, *lifted(tangents))
        return tuple([lowered(x) for x in got]) if isinstance(got, tuple) else lowered(got)

    members = {"forward": forward, "setup_context": setup_context, "backward": backward, "jvp": jvp}
    return type(cls)(cls.__name__, (Function,), {name: staticmethod(f) for name, f in members.items()})


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
