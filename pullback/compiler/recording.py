"""Recording: what a call does to memory, heard from the engine while it runs.

A `Trace` is told of each op below autograd and below all transforms (`Listener` in core/engine/tapes.pxi),
with the loops and runs of plans that the op comes down to (`tap` in core/loops/pointwise.pxi). It knows
memory by its address and keeps all that it has seen alive, so that none is used twice. A tensor of which it
knows no memory is an input, a constant that was made on the way, or from elsewhere: then the call cannot be
recorded. `Refused` says why, whatever it is; what is not understood is refused.

Read `Trace.after`, then `finish`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.compiler.graph import Graph, Memory, Step, Value, values_in
from pullback.core import _engine, _loops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.types import Array

__all__ = ["Refused", "Trace", "user_line"]

HARMLESS = frozenset(
    (
        "grad mode is set",
        "inference mode",
        "a custom Function",
        "history",
        "`.grad`",
        "`.data`",
        "the base of a view",
        "a backward pass",
        "a flat slope",
        "a transform",
        "a tangent that changes",
    )
)
"""What is more than ops, but is seen in memory, or does not depend on more than guards hold."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Refused(Exception):
    """A call cannot be recorded: what it did, and the line of the program that did it."""

    def __init__(self, what: str, line: str = "") -> None:
        super().__init__(what)
        self.what, self.line = what, line


@functools.cache
def _own(file: str) -> bool:
    """Whether a file is this package's."""
    return file.startswith(_PACKAGE)


def user_line() -> str:
    """The line of the program that led here."""
    frame = sys._getframe(1)
    while frame is not None and _own(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def address(a: Array) -> int:
    """Where the first element of an array lies."""
    return int(a.__array_interface__["data"][0])


def bounds(a: Array, start: int | None = None) -> tuple[int, int]:
    """Where the memory of an array begins and ends; `start` is its address, where that is known."""
    low = high = address(a) if start is None else start
    flags = a.flags
    if flags.c_contiguous or flags.f_contiguous:
        return low, low + a.nbytes
    for n, step in zip(a.shape, a.strides, strict=False):
        if step < 0:
            low += (n - 1) * step
        else:
            high += (n - 1) * step
    return low, high + a.itemsize


def owner(a: Array) -> Array:
    """The array whose memory this is."""
    while isinstance(base := a.base, np.ndarray):
        a = base
    return a


def code_of(a: Array) -> int:
    """The code of an array's dtype."""
    return _code_of(a.dtype)


@functools.cache
def _code_of(dtype: Any) -> int:
    return from_numpy_dtype(dtype).code


def tensors_in(x: Any) -> list[Tensor]:
    """The tensors among arguments."""
    if isinstance(x, Tensor):
        return [x]
    if type(x) in (list, tuple):
        return [t for item in x for t in tensors_in(item)]
    return []


class Trace:
    """What a call has done so far to memory; `tensors` are its inputs, those captured among them."""

    def __init__(self, tensors: list[Tensor], names: list[str]) -> None:
        self.tensors = tensors
        self.reason: Refused | None = None
        self.steps: list[Step] = []
        self.held: list[Any] = [tensors]
        self.made_roots: dict[int, Array] = {}
        self.memories: dict[int, list[Memory]] = {}  # by the address of the array that owns them
        self.values: dict[int, Value] = {}  # of arrays, by their addresses; they are held
        self.given: list[Memory] = []
        self.leaves: list[tuple[int, Array | None]] = []
        self.events: list[tuple[Any, ...]] = []
        self.target: Tensor | None = None
        self.out: Any = None
        self.count = 0
        self.facts = [_engine.facts_of(t) for t in tensors]
        for place, (_t, name, facts) in enumerate(zip(tensors, names, self.facts, strict=False)):
            array, _, _, _needed, unusual, history, of_leaf = facts
            if unusual or of_leaf or (history and place >= len(tensors)):
                self.refuse(f"an unusual tensor, {name}")
            self.meet("given", array, name)
        for place, (_t, name, facts) in enumerate(zip(tensors, names, self.facts, strict=False)):
            if facts[3] and not facts[5]:
                grad = facts[1]
                if grad is not None:
                    if type(grad) is not Tensor or grad.requires_grad or _engine.facts_of(grad)[4]:
                        self.refuse(f"an unusual gradient, of {name}")
                        continue
                    self.meet("given", grad._array, f"{name}.grad")
                self.leaves.append((place, None if grad is None else grad._array))
        self.before_call = self.facts

    # ---------------------------------------------------------------------------------- memory

    def refuse(self, what: str) -> None:
        """There will be no recording."""
        if self.reason is None:
            self.reason = Refused(what, user_line())

    def meet(self, home: str, a: Array, name: str) -> Memory:
        """A memory that was not known."""
        start = address(a)
        low, high = bounds(a, start)
        memory = Memory(home, a, start, low, high, len(self.given), name)
        if home == "given":
            self.given.append(memory)
        self.held.append(a)
        self.memories.setdefault(id(owner(a)), []).append(memory)
        return memory

    def find(self, a: Array) -> Value | None:
        """The value that an array is; None if it lies in no known memory."""
        known = self.values.get(id(a))
        if known is not None:
            return known
        near = self.memories.get(id(owner(a)))
        if near is None:
            return None
        found = None
        start = address(a)
        low, high = bounds(a, start)
        for memory in near:
            if (low < memory.high and memory.low < high) or low == high == memory.low:
                if found is not None or low < memory.low or memory.high < high:
                    self.refuse("tensors that share memory")
                    return None
                found = memory
        return None if found is None else self.known(a, found, start - found.start)

    def known(self, a: Array, memory: Memory, offset: int) -> Value:
        """Makes the value of an array that lies in a memory."""
        value = self.values[id(a)] = Value(memory, offset, code_of(a), a.shape, a.strides)
        self.held.append(a)
        return value

    def value(self, t: Tensor) -> Value | None:
        """The value of a tensor, made if the tensor was made on the way; None, and a reason, otherwise."""
        a = t._array
        found = self.find(a)
        if found is None and self.reason is None:
            root = owner(a)
            if id(root) not in self.made_roots:
                self.refuse("a tensor from elsewhere")
                return None
            copy = root.copy("K")
            if copy.strides != root.strides or bounds(root)[1] - bounds(root)[0] != root.nbytes:
                self.refuse("a constant with gaps")
                return None
            self.count += 1
            memory = self.meet("kept", root, f"c{self.count}")
            memory.array = copy
            memory.start = memory.low
            found = self.find(a)
            if found is not None and address(root) != memory.low:
                self.refuse("a constant that lies backwards")
        return found

    def make_anew(self, memory: Memory) -> None:
        """Has a constant that is written to begin as a copy, each time."""
        a = memory.array
        kept = Memory("kept", a, address(a), *bounds(a), 0, f"{memory.name}c")
        memory.home, memory.array = "work", a.copy("K")
        whole = [kept.whole, memory.whole]
        self.steps.insert(0, Step("copy", (whole[0],), whole[:1], whole[1:], ("copy", *whole)))

    # ------------------------------------------------------------------------- what is heard

    def doubt(self, what: str) -> None:
        """More is done or asked for than ops."""
        if what not in HARMLESS:
            self.refuse(what)

    def made(self, t: Tensor) -> None:
        """A tensor was made of what is no tensor."""
        root = owner(t._array)
        self.made_roots[id(root)] = root
        self.held.append(root)

    def before(self, op: Op, args: tuple[Any, ...], in_place: bool, out: Any) -> None:
        """An op is about to be done."""
        if self.reason is not None:
            return
        self.target, self.out = args[0] if in_place else None, out
        for t in tensors_in(args):
            self.value(t)
        for t in tensors_in(out):
            self.value(t)
        self.events = []
        _loops.tap(self.events)

    def after(self, op: Op, args: tuple[Any, ...], result: Any) -> None:
        """It is done."""
        _loops.tap(None)
        if self.reason is not None:
            return
        asked = [kind in "TNOL" for kind in op.kinds]
        numbers_from_tensors = any(
            not tensor and tensors_in(x) for x, tensor in zip(args, asked, strict=False)
        )
        if op.view and self.target is None and self.out is None:
            if numbers_from_tensors:
                self.refuse("a view whose place is in a tensor")
            for t in tensors_in(result):
                if self.find(t._array) is None:
                    self.refuse("a view of unknown memory")
            return
        if op.view:
            self.refuse("a view that is written")
            return
        given = self.substituted(args)
        if self.reason is not None:
            return
        if self.target is not None or self.out is not None:
            written = tensors_in(self.target if self.target is not None else self.out)
            writes = [self.value(t) for t in written]
            for value in writes:
                if value is not None and value.memory.home == "kept":
                    self.make_anew(value.memory)
        else:
            written, writes = tensors_in(result), []
            for t in written:
                a = t._array
                known = self.find(a)
                if known is not None and any(a is x._array for x in tensors_in(args)):
                    if len(written) > 1:
                        self.refuse("an op that returns what it got")
                    return
                if type(t) is not Tensor or known is not None or self.reason is not None:
                    self.refuse("a result in the memory of another, or of a class of its own")
                    return
                writes.append(self.fresh(a))
        self.note(op, args, given, written, writes, numbers_from_tensors)

    def substituted(self, x: Any) -> Any:
        """Arguments with values for tensors."""
        if isinstance(x, Tensor):
            return self.value(x)
        if type(x) in (list, tuple):
            return type(x)([self.substituted(item) for item in x])
        return x

    def note(
        self,
        op: Op,
        args: tuple[Any, ...],
        given: Any,
        written: list[Tensor],
        writes: list[Any],
        numbers_from_tensors: bool,
    ) -> None:
        """Adds a step."""
        if self.reason is not None or any(w is None for w in writes):
            self.refuse("a result in unknown memory")
            return
        act = None
        if len(self.events) == 1 and not numbers_from_tensors and not op.random:
            act = self.act_of(op, args, given, [t._array for t in written], writes, self.events[0])
        if act is None:
            if self.out is not None:
                self.refuse("a result into `out` that is computed elsewhere first")
                return
            in_place = self.target is not None
            act = ("call", functools.partial(_engine.redo, op, in_place), given, [] if in_place else writes)
        firm = op.random or any(w.memory.home == "given" for w in writes)
        reads = values_in(given)
        self.steps.append(Step(op.name, given, reads, writes, act, firm, user_line()))

    def act_of(
        self, op: Op, args: tuple[Any, ...], given: Any, results: list[Array], writes: list[Value], event: Any
    ) -> tuple[Any, ...] | None:
        """What an op came down to: one loop, or one run of a plan; None if it is not all that the op did."""
        if isinstance(event[0], Plan):
            plan, arguments, made = event
            made = made if isinstance(made, tuple) else (made,)
            if len(arguments) != len(args) or not _are(made, results):
                return None
            found = [
                self.operand(x, arg, value) for x, arg, value in zip(arguments, args, given, strict=False)
            ]
            return None if _LOST in found else ("plan", plan, tuple(found), writes)
        table, code, operands, wide, made = event
        if not _are((made,), results):
            return None
        inputs = list(zip(args, given, strict=False))[: len(operands)]
        for order in (inputs, inputs[::-1]):
            found = []
            for x, (arg, value) in zip(operands, order, strict=False):
                if isinstance(x, bytes) != (not isinstance(arg, Tensor)) or (
                    isinstance(arg, Tensor) and arg._array is not x
                ):
                    break
                found.append(x if isinstance(x, bytes) else value)
            else:
                return ("loop", table, code, tuple(found), wide, writes[0])
        return None

    def operand(self, x: Any, arg: Any, value: Any) -> Any:
        """An argument of a plan as values; `_LOST` if it was made of the op's otherwise."""
        if isinstance(arg, Tensor):
            return value if arg._array is x else _LOST
        if isinstance(x, np.ndarray):
            if arg is not None and not tensors_in(arg):
                return self.constant(x)
            return _LOST
        if type(x) in (list, tuple) and any(isinstance(item, np.ndarray) for item in x):
            if type(arg) not in (list, tuple) or len(arg) != len(x):
                return _LOST
            found = [self.operand(*item) for item in zip(x, arg, value, strict=False)]
            return _LOST if _LOST in found else type(x)(found)
        return x

    def constant(self, a: Array) -> Value:
        """A value for an array that follows from numbers."""
        copy = np.ascontiguousarray(a).copy()
        self.count += 1
        memory = Memory("kept", copy, address(copy), *bounds(copy), 0, f"c{self.count}")
        self.held.append(copy)
        return Value(memory, 0, code_of(copy), copy.shape, copy.strides)

    def folded(self, g: Tensor, result: Tensor) -> None:
        """A gradient was summed over its leading dims."""
        if self.reason is not None:
            return
        given, a = self.value(g), result._array
        made = self.fresh(a)
        if given is None or made is None:
            self.refuse("a sum of unknown memory")
            return
        act = ("call", _loops.folded, (given, a.shape), [made])
        self.steps.append(Step("fold", (given, a.shape), [given], [made], act))

    def number(self, t: Tensor, value: Any) -> None:
        """A number is taken out of a tensor: what follows may depend on it."""
        if self.reason is not None:
            return
        if any(step.firm for step in self.steps):
            self.refuse("a number taken out of a tensor after something was written, drawn or stepped")
            return
        given = self.value(t)
        if given is not None and given.memory.home != "kept":
            held = t._array.tobytes()
            self.steps.append(
                Step("check", (given, value), [given], [], ("check", given, held), False, user_line())
            )

    def again(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Does what is to be done anew at each replay, in Python: a step of an optimizer."""
        with _engine.unheard():
            grads, bumps = self.changes()
            result = function(*args, **kwargs)
            self.facts = [_engine.facts_of(t) for t in self.tensors]
        if result is not None or any(callable(x) for x in (*args[1:], *kwargs.values())):
            self.refuse("a step with a closure")
        reads = [value for _, value in grads if value is not None]
        act = ("aside", functools.partial(function, *args, **kwargs), grads, bumps)
        self.steps.append(Step(function.__name__, (), reads, [], act, True, user_line()))
        return result

    # -------------------------------------------------------------------------------- the end

    def changes(self) -> tuple[list[tuple[int, Value | None]], list[tuple[int, int]]]:
        """What of the inputs is not as it was: gradients, and how often each was written to."""
        grads: list[tuple[int, Value | None]] = []
        bumps = []
        for place, (t, before) in enumerate(zip(self.tensors, self.facts, strict=False)):
            now = _engine.facts_of(t)
            if now[0] is not before[0] or now[3:] != before[3:]:
                self.refuse("an input that is changed otherwise than by a write")
                continue
            if now[2] != before[2]:
                bumps.append((place, now[2] - before[2]))
            if now[1] is not before[1]:
                if now[1] is None:
                    grads.append((place, None))
                elif type(now[1]) is not Tensor or now[1].requires_grad:
                    self.refuse("a gradient with a history")
                else:
                    value = self.value(now[1])
                    if value is None or value.memory.home != "work":
                        self.refuse("a gradient that is not new")
                    else:
                        grads.append((place, value))
        return grads, bumps

    def finish(self, result: Any) -> tuple[Graph, Any, list[Tensor]]:
        """The graph, the template of the result, and the tensors among it that are outputs."""
        outputs: list[Tensor] = []
        template = self.template(result, outputs)
        values = [self.seen_in_the_end(t) for t in outputs]
        grads, bumps = self.changes()
        if self.reason is not None:
            raise self.reason
        graph = Graph(self.steps, list(self.given), [v for v in values if v is not None])
        graph.grads, graph.bumps = grads, bumps
        memories = [id(v.memory) for v in graph.kept()]
        if len(set(memories)) != len(memories):
            self.refuse("results that share memory")
        if self.reason is not None:
            raise self.reason
        return graph, template, outputs

    def forget(self) -> None:
        """Lets go of the arrays that the call made, which were held lest memory be used twice."""
        for near in self.memories.values():
            for memory in near:
                if memory.home != "kept":
                    memory.array = None

    def template(self, x: Any, outputs: list[Tensor]) -> Any:
        """How a result is built of outputs, inputs and constants."""
        if isinstance(x, Tensor):
            for place, t in enumerate(self.tensors):
                if t is x:
                    return "input", place
            for place, t in enumerate(outputs):
                if t is x:
                    return place
            if type(x) is not Tensor:
                self.refuse(f"a result of class {type(x).__name__}")
            if x.requires_grad and x.grad_fn is None:
                self.refuse("a leaf is returned")
            outputs.append(x)
            return len(outputs) - 1
        if type(x) is dict:
            return "dict", [(key, self.template(part, outputs)) for key, part in x.items()]
        if type(x) in (list, tuple) or (
            isinstance(x, tuple) and hasattr(type(x), "_fields") and type(x).__base__ is tuple
        ):
            return type(x), [self.template(part, outputs) for part in x]
        if x is None or type(x) in (int, float, bool, str, complex, bytes, type(Ellipsis)):
            return "constant", x
        self.refuse(f"a result of class {type(x).__name__}")
        return "constant", None

    def seen_in_the_end(self, t: Tensor) -> Value | None:
        """The value of an output, in memory that it has for itself."""
        value = self.value(t)
        if value is None:
            return None
        if value.memory.home == "given":
            self.refuse("a view of an input is returned")
        elif value.memory.home == "kept":
            a = t._array.copy("K")
            self.held.append(a)
            if a.strides != t._array.strides:
                self.refuse("a constant with gaps")
            return self.copied(value, a)
        return value

    def fresh(self, a: Array) -> Value | None:
        """The value in memory that is seen for the first time: that of an array which the call made."""
        self.count += 1
        if self.memories.get(id(owner(a))) is None:
            return self.known(a, self.meet("work", a, str(self.count)), 0)
        self.meet("work", a, str(self.count))
        return self.find(a)

    def copied(self, value: Value, a: Array) -> Value:
        """A value in memory of its own, which is that of an array, from a copy that is recorded."""
        copied = self.fresh(a)
        assert copied is not None
        self.steps.append(Step("copy", (value,), [value], [copied], ("copy", value, copied)))
        return copied


_LOST = object()


def _are(made: Any, results: list[Array]) -> bool:
    """Whether these arrays are those."""
    return len(made) == len(results) and all(a is b for a, b in zip(made, results, strict=False))
