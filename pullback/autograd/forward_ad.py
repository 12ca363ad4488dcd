"""Forward mode: tensors that carry a tangent, and ops that push it forward.

`dual_level` puts an interpreter (`Tangents`) on the engine's stack, and `make_dual` hangs a tangent
on a tensor. Each op then computes its result one level below and gives it a tangent, by the first
that applies: an explicit rule, the op itself (linear ops), the op with one input replaced at a time
(multilinear ops), or `transposed`, which gets J v out of the backward rules alone: the backward
pass is linear in the gradient it starts from, and the derivative of that map is J.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from pullback import _engine, ops
from pullback._engine import IN_PLACE, Op, Tensor
from pullback.autograd.grad_mode import enable_grad

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """A tensor's value and its tangent, None where it has none."""

    primal: Tensor
    tangent: Tensor | None


# ---------------------------------------------------------------------------- tangents of tensors


def tangent_of(x: Any) -> Any:
    """The tangent that a tensor carries, None for none."""
    if not _state.levels or not isinstance(x, Tensor):
        return None
    tangents = _engine.tangents_of(x)
    return tangents.get(_state.levels[-1]) if tangents else None


def set_tangent(x: Tensor, tangent: Tensor) -> None:
    """Hangs a tangent on a tensor; what the graph saved of it sees it too."""
    _engine.tangents_of(x, True)[_state.levels[-1]] = tangent


def _any_tangent(values: Any) -> bool:
    return any(_any_tangent(x) if type(x) in (list, tuple) else tangent_of(x) is not None for x in values)


def _tangents(x: Any) -> Any:
    """The tangent of an argument, zeros for a tensor without one; anything else as it is."""
    if type(x) in (list, tuple):
        return [_tangents(item) for item in x]
    if not isinstance(x, Tensor):
        return x
    tangent = tangent_of(x)
    return ops.zeros_like(x) if tangent is None else tangent


def _own(tangent: Tensor, args: tuple[Any, ...]) -> Any:
    """The tangent, copied if it is in the memory of another: in-place ops will write to it."""
    shared = tangent._base is not None or any(tangent is tangent_of(x) for x in args)
    return ops.clone(tangent) if shared else tangent


def _any_requires_grad(values: Any) -> bool:
    """Whether a value or a tangent among the arguments requires a gradient."""
    return any(
        _any_requires_grad(x)
        if type(x) in (list, tuple)
        else isinstance(x, Tensor)
        and (x.requires_grad or (tangent_of(x) is not None and tangent_of(x).requires_grad))
        for x in values
    )


def _alias(x: Tensor) -> Any:
    """A view of all of `x`."""
    return ops.view_as(x, x)


def _outputs(result: Any) -> tuple[Any, ...]:
    """One result or several, as a tuple."""
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


# ------------------------------------------------------------------------------- the interpreter


class Tangents:
    """The interpreter of a dual level."""

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op on tensors that may carry tangents."""
        if op.nondiff or not _any_tangent(args):
            if out is IN_PLACE and tangent_of(args[0]) is not None and not op.nondiff:
                return self._write(op, args, None)
            return _engine.apply_below(op, args, out)
        if out is IN_PLACE:
            (tangent,) = _outputs(push_forward(op, args, _engine.apply_below(op, args)))
            return self._write(op, args, None if tangent is None else _own(tangent, args))
        result = _engine.apply_below(op, args, out)
        tangents = push_forward(op, args, result)
        for x, tangent in zip(_outputs(result), _outputs(tangents), strict=True):
            if tangent is not None:
                set_tangent(x, tangent if op.view else _own(tangent, args))
        return result

    def _write(self, op: Op, args: tuple[Any, ...], tangent: Any) -> Any:
        """The op in place, and its tangent into that of the target, which its views share."""
        target = args[0]
        _engine.apply_below(op, args, IN_PLACE)
        held = tangent_of(target)
        if held is None and target._base is not None and tangent is not None:
            base = target._base
            set_tangent(base, ops.zeros_like(base))
            piece = _engine.REGISTRY["as_strided"]
            held = piece(tangent_of(base), *_engine.view_geometry(target))
            set_tangent(target, held)
        if held is None:
            set_tangent(target, tangent.to(target.dtype))
        elif tangent is None:
            held.zero_()
        else:
            held.copy_(tangent)
        return target

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function: its own `jvp` gives the tangents."""
        from pullback.autograd.function import call

        result, ctx = call(cls, args)
        if not _any_tangent(args):
            return result
        given = [tangent_of(x) for x in args]
        given = [
            ops.zeros_like(x) if isinstance(x, Tensor) and t is None and ctx.materialize_grads else t
            for x, t in zip(args, given, strict=True)
        ]
        ctx.saved_for_forward = ctx._for_jvp
        try:
            tangents = _outputs(cls.jvp(ctx, *given))
        finally:
            ctx.saved_for_forward = ()
        for x, tangent in zip(_outputs(result), tangents, strict=True):
            if isinstance(x, Tensor) and tangent is not None:
                set_tangent(x, tangent)
        return result

    def check_value_access(self, tensor: Tensor, what: str) -> None:
        """A dual tensor's value may be looked at."""


# ------------------------------------------------------------------------------ tangent rules


def push_forward(op: Op, args: tuple[Any, ...], result: Any) -> Any:
    """The tangent of an op's result: J v, one for each output."""
    if op.jvp_rule is not None:
        return _by_rule(op, args, result)
    if op.linear or op.view:
        return _on_tangents(op, args)
    if op.multilinear:
        return _one_at_a_time(op, args)
    if not op.has_vjp:
        raise NotImplementedError(
            f"Trying to use forward AD with {op.__name__} that does not support it because it has "
            "not been implemented yet."
        )
    return transposed(op, args)


def _by_rule(op: Op, args: tuple[Any, ...], result: Any) -> Any:
    """An explicit rule: an input's name asks for its tangent, `<input>_primal` for its value."""
    code = op.jvp_rule.__code__
    known = {name: _tangents(x) for name, x in zip(op.params, args, strict=True)}
    known |= {f"{name}_primal": x for name, x in zip(op.params, args, strict=True)}
    known["result"] = result
    return op.jvp_rule(*(known[name] for name in code.co_varnames[: code.co_argcount]))


def _on_tangents(op: Op, args: tuple[Any, ...]) -> Any:
    """A linear op is its own derivative."""
    kinds = op.kinds
    pushed = [_tangents(x) if kind in "TNOL" else x for x, kind in zip(args, kinds, strict=True)]
    return _engine.apply_below(op, tuple(pushed))


def _one_at_a_time(op: Op, args: tuple[Any, ...]) -> Any:
    """A multilinear op: the sum over the inputs, each in its turn replaced by its tangent."""
    total = None
    for i, x in enumerate(args):
        if isinstance(x, Tensor) and tangent_of(x) is not None:
            term = _engine.apply_below(op, (*args[:i], tangent_of(x), *args[i + 1 :]))
            total = term if total is None else total + term
        elif type(x) in (list, tuple):
            for j, item in enumerate(x):
                if tangent_of(item) is not None:
                    replaced = [*x[:j], tangent_of(item), *x[j + 1 :]]
                    term = _engine.apply_below(op, (*args[:i], replaced, *args[i + 1 :]))
                    total = term if total is None else total + term
    return total


def transposed(op: Op, args: tuple[Any, ...]) -> Any:
    """J v from the backward rules: u -> J' u is linear, and its own backward pass from v is J v."""
    from pullback.autograd.passes import grad

    recording = _engine.grad_enabled() and _any_requires_grad(args)
    with enable_grad():
        sources: list[Tensor] = []
        tangents: list[Tensor] = []

        def source(x: Any) -> Any:
            if type(x) in (list, tuple):
                return [source(item) for item in x]
            if tangent_of(x) is None:
                return x
            fresh = _alias(x) if x.requires_grad else x.detach().requires_grad_()
            sources.append(fresh)
            tangents.append(tangent_of(x))
            return fresh

        results = _outputs(_engine.apply_below(op, tuple(source(x) for x in args)))
        ends = [y for y in results if y.requires_grad]
        starts = [ops.zeros_like(y).requires_grad_() for y in ends]
        back = grad(ends, sources, starts, create_graph=True, allow_unused=True)
        pairs = [(g, t) for g, t in zip(back, tangents, strict=True) if g is not None]
        pairs = [(g, t.to(g.dtype)) for g, t in pairs if g.requires_grad]
        if pairs:
            grads, weights = zip(*pairs, strict=True)
            found = grad(grads, starts, weights, create_graph=recording, allow_unused=True)
        else:
            found = (None,) * len(starts)
    pushed = iter(found)
    return tuple(next(pushed) if y.requires_grad else None for y in results)


# ------------------------------------------------------------------------------------- levels


class _State(threading.local):
    """The dual levels of a thread: none or one."""

    def __init__(self) -> None:
        self.levels: list[Tangents] = []


_state = _State()


def enter_dual_level() -> int:
    """Begins forward mode on this thread; RuntimeError within another."""
    if _state.levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _state.levels.append(Tangents())
    _engine.push_level(_state.levels[-1])
    _engine.keep_tangents(True)
    return len(_state.levels) - 1


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends forward mode; tangents are forgotten."""
    if not _state.levels:
        raise RuntimeError("Dual level must be a positive number.")
    if level is not None and level != len(_state.levels) - 1:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    _state.levels.pop()
    _engine.pop_level()
    _engine.keep_tangents(False)


class dual_level:
    """Within, tensors may carry tangents.

    >>> import pullback as torch
    >>> import pullback.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(torch.tensor(3.0), torch.tensor(1.0))
    ...     fwAD.unpack_dual(x * x).tangent
    tensor(6.)
    """

    def __enter__(self) -> int:
        self.level = enter_dual_level()
        return self.level

    def __exit__(self, *exc: object) -> None:
        exit_dual_level(level=self.level)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of `tensor` that carries `tangent`, which has its shape; both are real or complex."""
    if not _state.levels:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for name, x in (("primal", tensor), ("tangent", tangent)):
        if x.dtype.kind not in "fc":
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
    if tangent_of(tensor) is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            "same level 0 is not supported."
        )
    if tangent.shape != tensor.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the "
            f"original Tensor, this is not supported. Tensor is of size {list(tensor.shape)} "
            f"while the given forward gradient is of size {list(tangent.shape)}."
        )
    dual = _engine.at_level_below(_alias, tensor)
    set_tangent(dual, tangent)
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a tensor."""
    if not _state.levels:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(_engine.at_level_below(_alias, tensor), tangent_of(tensor))
