"""Forward mode: tensors that carry a tangent, and ops that push it forward.

A level of forward mode is an interpreter (`Tangents`) on the engine's stack; a tensor has at most one
tangent of each, so levels nest. Each op computes its result one level below and gives it a tangent, by
the first that applies: an explicit rule, the op itself (linear ops), the op with one input replaced at
a time (multilinear ops), the backward rules applied to the tangents (elementwise ops, whose derivative
is a diagonal), or `transposed`, which gets J v out of the backward rules alone: the backward pass is
linear in the gradient it starts from, and the derivative of that map is J.

The tangent of a batched tensor is kept with its physical tensor: so what the graph saves of it has the
tangent too. That holds for all that a batching rule makes on the way only if tangents are below, so an
op on tensors of another level is handed to that first (`stack.hoisted`), which stands on top for it.
"""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor, apply_below, carries, tangents_of, unrecordable
from pullback.core.modes import enable_grad
from pullback.transforms import stack
from pullback.transforms.leaves import gradients, leaf, same
from pullback.transforms.stack import Interpreter, Wrapper, bottom, levels_of


def outputs_of(result: Any) -> tuple[Any, ...]:
    """One result or several, as a tuple."""
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


_MISSING = object()

# --------------------------------------------------------------------------------------- views


class Seen:
    """The tangent of a view: a window on that of the tensor whose memory it shows, its owner.

    Looked up when it is wanted, so a write through any view is seen by all. The last one is kept with
    the owner's tangent that it was taken from.
    """

    __slots__ = ("around", "owner", "source", "value", "window")

    def __init__(self, p: Tensor, owner: Tensor, value: Any = None, level: Any = None) -> None:
        further = (tangents_of(owner) or {}).get(level)
        self.owner: Tensor = owner if type(further) is not Seen else further.owner
        self.around = p.dtype is not self.owner.dtype
        shown = ops.reinterpret(_engine.alias(self.owner)) if self.around else self.owner
        self.window = _engine.window(p, shown)
        self.value = value
        self.source = None if value is None else level.held(self.owner)

    def now(self, level: Any) -> Any:
        """The tangent."""
        source = level.held(self.owner)
        if source is not self.source:
            self.source, self.value = source, None
            if source is not None:
                size, stride, offset, strides = self.window
                self.value = ops.strided_take(self._shown(source), strides, size, stride, offset)
        return self.value

    def write(self, level: Any, tangent: Tensor) -> None:
        """Gives the owner a tangent with this one in the window."""
        source = level.held(self.owner)
        source = ops.zeros_like(self.owner) if source is None else source
        found = _engine.REGISTRY["as_strided_scatter"](self._shown(source), tangent, *self.window)
        if self.around:
            shape, strides = tuple(self.owner.shape), self.owner.stride()
            found = ops.reinterpreted_back(found, shape, strides)
        level.replace(self.owner, found)

    def _shown(self, source: Tensor) -> Tensor:
        """The owner's tangent in the dtype of the view."""
        if not self.around:
            return source
        return ops.reinterpret(_engine.laid_as(source, self.owner.stride()))


# ------------------------------------------------------------------------------- the interpreter


class Tangents(Interpreter):
    """The interpreter of one level of forward mode."""

    hangs = True
    signature: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.given: dict[int, Tensor] = {}  # by their ids the tangents that duals were made of

    # ---- what tensors carry

    def held(self, p: Tensor) -> Any:
        """The tangent of a tensor that is not batched, as its dict has it or as its owner's shows it."""
        tangents = tangents_of(p)
        found = tangents.get(self, _MISSING) if tangents else _MISSING
        if found is _MISSING:
            owner = _engine.seen_owner(p, self)
            if owner is None:
                return None
            found = tangents_of(p, True)[self] = Seen(p, owner)
        return found.now(self) if type(found) is Seen else found

    def tangent(self, x: Any) -> Any:
        """The tangent that a tensor carries at this level, None for none."""
        if not isinstance(x, Tensor):
            return None
        if not isinstance(x, Wrapper):
            return self.held(x)
        found = self.held(bottom(x))
        if found is not None:
            for level in reversed(levels_of(x)):
                found = level.lifted(found)
        return found

    def carry(self, x: Tensor, tangent: Tensor) -> None:
        """Hangs a tangent on a tensor; what the graph saved of it sees it too."""
        while isinstance(x, Wrapper):
            tangent = x.level.front(tangent)
            x = x.physical
        tangents_of(x, True)[self] = tangent

    def share(self, x: Tensor, tangent: Tensor) -> None:
        """Has writes to a dual number reach the tangent that it was made of, if that lies as it does."""
        if type(tangent) is type(x) is Tensor and tangent._layout.strides == x._layout.strides:
            self.given[id(tangent)] = tangent
            self.signature = ("shared",)

    def replace(self, p: Tensor, tangent: Tensor) -> None:
        """Gives a tensor that owns its memory another tangent. One that the user made the dual of is
        written to, where no gradient flows, and stays."""
        before = tangents_of(p, True).get(self)
        given = self.given.get(id(before))
        if given is not None and given is before and not (tangent.requires_grad or before.requires_grad):
            apply_below(_COPY, (before, tangent, False), IN_PLACE)
            tangent = _engine.alias(before)
            self.given[id(tangent)] = tangent
        tangents_of(p)[self] = tangent

    def forget(self, x: Any) -> None:
        """Takes the tangent off a tensor."""
        p = bottom(x)
        if isinstance(p, Tensor) and carries(p, self):
            tangents_of(p, True)[self] = None

    def dual(self, x: Tensor, tangent: Tensor) -> Tensor:
        """A tensor like `x` that carries a tangent: one for each sample if the tangent is batched."""
        for level in levels_of(tangent) if isinstance(tangent, Wrapper) else ():
            if level.spreads and not stack.belongs(x, level):
                x = level.lifted(level.front(x))
        made = same(x)
        self.carry(made, tangent)
        return made

    def carries(self, x: Any) -> bool:
        """Whether a tensor, or one of a list, has a tangent."""
        if isinstance(x, Tensor):
            found: bool = carries(bottom(x), self)
            return found
        return type(x) in (list, tuple) and any(self.carries(item) for item in x)

    def or_zeros(self, x: Any) -> Any:
        """The tangent of an argument, zeros for a tensor without one; indices and others as they are."""
        if type(x) in (list, tuple):
            return type(x)([self.or_zeros(item) for item in x])
        if not isinstance(x, Tensor) or x.dtype.kind not in "fc":
            return x
        found = self.tangent(x)
        return ops.zeros_like(x) if found is None else found

    # ---- what becomes of an op

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op on tensors that may carry tangents."""
        dependent, plain = False, True
        for x in args:
            if type(x) is Tensor:
                dependent = dependent or carries(x, self)
            elif isinstance(x, Tensor) or type(x) in (list, tuple):
                plain, dependent = False, dependent or self.carries(x)
        if out is not None and out is not IN_PLACE and not op.nondiff and (dependent or self.carries(out)):
            raise NotImplementedError(
                f"Trying to use forward AD with {op.__name__}_out that does not support it because it is an "
                "out= function"
            )
        if not dependent:
            return apply_below(op, args, out)
        level = None if plain else stack.topmost(args)
        if level is not None:
            return stack.hoisted(level, self, level.process, op, args, out)
        if op.nondiff:
            return apply_below(op, args, out)
        if out is IN_PLACE:
            before = self._kept(args)
            (tangent,) = outputs_of(self.pushed(op, before, apply_below(op, before)))
            return self._write(op, args, tangent)
        result = apply_below(op, args, out)
        pushed = self.pushed(op, args, result)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        tangents = pushed if isinstance(pushed, (tuple, list)) else (pushed,)
        own = [self.tangent(x) for x in args] if self.given and not op.view else []
        for x, tangent in zip(outputs, tangents, strict=True):
            if tangent is not None:
                if any(tangent is t for t in own):  # it may be the user's
                    tangent = ops.clone(tangent)
                if op.flat_slope is not None and type(x) is type(tangent) is Tensor:
                    tangent = _engine.as_flat_slope(tangent, x)
                self.carry(x, tangent)
                if op.view and not isinstance(x, Wrapper) and _engine.is_view(x):
                    tangents_of(x)[self] = Seen(x, args[0], tangents_of(x)[self], self)
        return result

    def _kept(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of an op in place, of which the graph of the tangent may save the first."""
        target = args[0]
        if not (_engine.grad_enabled() and self._recorded(args)):
            return args
        before = ops.clone(target)
        tangent = self.tangent(target)
        if tangent is not None:
            self.carry(before, tangent)
        return tuple([before if x is target else x for x in args])

    def _write(self, op: Op, args: tuple[Any, ...], tangent: Any) -> Any:
        """The op in place. Tangents are never written to: the target, or the tensor that it is a view
        of, gets a new one, which its views will see."""
        unrecordable("a tangent that changes")
        target = args[0]
        apply_below(op, args, IN_PLACE)
        p = bottom(target)
        if tangent is None:
            tangent = ops.zeros_like(target)
        elif tangent.dtype is not target.dtype:
            tangent = tangent.to(target.dtype)
        for level in levels_of(target):
            tangent = level.front(tangent)
        self.held(p)
        found = tangents_of(p, True).get(self)
        if type(found) is not Seen and (found is not None or p._base is None):
            self.replace(p, tangent)
        else:
            seen = found if type(found) is Seen else Seen(p, p._base)
            seen.write(self, tangent)
            tangents_of(p)[self] = seen
        return target

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function: its own `jvp` gives the tangents."""
        level = stack.topmost(args) if self.carries(args) else None
        if level is not None:
            return stack.hoisted(level, self, level.process_function, cls, args)
        result, ctx = cls._with_context(args)
        if not self.carries(args):
            return result
        given = [self.tangent(x) for x in args]
        if ctx.materialize_grads:
            given = [
                ops.zeros_like(x) if t is None and isinstance(x, Tensor) and x.dtype.kind in "fc" else t
                for x, t in zip(args, given, strict=True)
            ]
        ctx.saved_for_forward, ctx._in_jvp = ctx._for_jvp, True
        try:
            tangents = outputs_of(cls.jvp(ctx, *given))
        finally:
            ctx.saved_for_forward, ctx._in_jvp = (), False
        for x, tangent in zip(outputs_of(result), tangents, strict=True):
            if isinstance(x, Tensor) and tangent is not None:
                _check_kinship(x, tangent, args, given)
                self.carry(x, tangent)
        return result

    # ---- tangent rules

    def pushed(self, op: Op, args: tuple[Any, ...], result: Any) -> Any:
        """The tangent of an op's result: J v, one for each output."""
        if op.jvp_rule is not None:
            return self._by_rule(op, args, result)
        if op.linear or op.view:
            return self._on_tangents(op, args)
        if op.multilinear:
            return self._one_at_a_time(op, args)
        if not op.has_vjp:
            raise NotImplementedError(
                f"Trying to use forward AD with {op.__name__} that does not support it because it has "
                "not been implemented yet."
            )
        if op.elementwise:
            found = self._pointwise(op, args, result)
            if found is not None:
                return found
        return self._transposed(op, args)

    def _by_rule(self, op: Op, args: tuple[Any, ...], result: Any) -> Any:
        """An explicit rule: an input's name asks for its tangent, `<input>_primal` for its value."""
        code = op.jvp_rule.__code__
        known = {name: self.or_zeros(x) for name, x in zip(op.params, args, strict=True)}
        known |= {f"{name}_primal": x for name, x in zip(op.params, args, strict=True)}
        known["result"] = result
        known |= {f"result{i}": y for i, y in enumerate(outputs_of(result))}
        return op.jvp_rule(*(known[name] for name in code.co_varnames[: code.co_argcount]))

    def _on_tangents(self, op: Op, args: tuple[Any, ...]) -> Any:
        """A linear op is its own derivative."""
        kinds = op.kinds
        values = [self.or_zeros(x) if kind in "TNOL" else x for x, kind in zip(args, kinds, strict=True)]
        return apply_below(op, tuple(values))

    def _one_at_a_time(self, op: Op, args: tuple[Any, ...]) -> Any:
        """A multilinear op: the sum over the inputs, each in its turn replaced by its tangent."""
        total = None
        for i, x in enumerate(args):
            items = x if type(x) in (list, tuple) else (x,)
            for j, item in enumerate(items):
                tangent = self.tangent(item)
                if tangent is None:
                    continue
                replaced = tangent if items is not x else [*x[:j], tangent, *x[j + 1 :]]
                term = apply_below(op, (*args[:i], replaced, *args[i + 1 :]))
                total = term if total is None else total + term
        return total

    def _pointwise(self, op: Op, args: tuple[Any, ...], result: Any) -> Any:
        """A real elementwise op: the derivative is a diagonal, so each backward rule is J itself."""
        kind = result.dtype
        if not kind.is_floating_point or op.joint is not None:
            return None
        known = {"result": result, **dict(zip(op.params, args, strict=True))}
        total = None
        for i, x in enumerate(args):
            tangent = self.tangent(x)
            rule = op.rules[i] if tangent is not None else None
            if rule is None:
                continue
            if tangent.dtype is not kind:
                if tangent.dtype.is_complex:
                    return None
                tangent = tangent.to(kind)
            if rule.function == "g":
                term = tangent
            else:
                known["g"] = tangent
                values = []
                for name in rule.names:
                    value = known[name] if name in known else _attribute(name, known)
                    if value is _MISSING:
                        return None
                    values.append(value)
                term = rule.function(*values)
            total = term if total is None else total + term
        if total is not None and total._layout.shape != result._layout.shape:
            total = ops.expand(total, result.shape)
        return total

    def _transposed(self, op: Op, args: tuple[Any, ...]) -> Any:
        """J v from the backward rules: u -> J' u is linear, and its own backward pass from v is J v."""
        recording = _engine.grad_enabled() and self._recorded(args)
        with enable_grad():
            sources: list[Tensor] = []
            tangents: list[Tensor] = []

            def source(x: Any) -> Any:
                if type(x) in (list, tuple):
                    return type(x)([source(item) for item in x])
                tangent = self.tangent(x)
                if tangent is None:
                    return x
                fresh = leaf(x, recording)
                sources.append(fresh)
                tangents.append(tangent)
                return fresh

            results = outputs_of(apply_below(op, tuple([source(x) for x in args])))
            ends = [y for y in results if y.requires_grad]
            starts = [leaf(ops.zeros_like(y), False) for y in ends]
            back = gradients(ends, sources, starts, True, True)
            pairs = [(g, t) for g, t in zip(back, tangents, strict=True) if g is not None]
            pairs = [(g, t.to(g.dtype)) for g, t in pairs if g.requires_grad]
            found: Any = [None] * len(starts)
            if pairs:
                grads, weights = zip(*pairs, strict=True)
                found = gradients(grads, starts, weights, True, recording)
        pushed = iter(found)
        return tuple([next(pushed) if y.requires_grad else None for y in results])

    def _recorded(self, values: Any) -> bool:
        """Whether a value or a tangent among the arguments requires a gradient."""
        for x in values:
            if type(x) in (list, tuple):
                if self._recorded(x):
                    return True
            elif isinstance(x, Tensor):
                tangent = self.tangent(x)
                if x.requires_grad or (tangent is not None and tangent.requires_grad):
                    return True
        return False


_COPY = _engine.REGISTRY["copy"]


def _attribute(name: str, known: dict[str, Any]) -> Any:
    """What a parameter `<input>_shape` or `<input>_dtype` of a backward rule stands for."""
    given, _, what = name.rpartition("_")
    return getattr(known[given], what) if what in ("shape", "dtype") else _MISSING


def _check_kinship(x: Tensor, tangent: Tensor, args: tuple[Any, ...], given: list[Any]) -> None:
    """RuntimeError where an output of a Function is an input, or a view of one, and its tangent is not."""
    for arg, t in zip(args, given, strict=True):
        if arg is x and t is not tangent:
            raise RuntimeError(
                "An inplace custom Function is not modifying the forward mode gradients inplace. If the "
                "forward is modifying an input inplace, then the jvp function must modify the corresponding "
                "gradient inplace."
            )
    bases = [arg if arg._base is None else arg._base for arg in args if isinstance(arg, Tensor)]
    viewed = x._base is not None and any(x._base is base for base in bases)
    if viewed and tangent._base is None and not any(t is tangent for t in given):
        raise RuntimeError(
            "A custom Function's forward is returning a view (or an input as-is) but the jvp is not "
            "returning a view."
        )
