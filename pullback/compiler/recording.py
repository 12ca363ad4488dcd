"""Recording: what a call does to memory, heard from the engine while it runs.

A `Listener` (core/engine/listening.pxi) notes each op below autograd and below all transforms, with the loops
and runs of plans that the op comes down to (`tap` in core/loops/pointwise.pxi). A `Trace` reads that log. It
knows memory by its address and keeps all that it has seen alive, so that none is used twice. A tensor of
which it knows no memory is an input, a constant that was made on the way, or from elsewhere: then the call
cannot be recorded. `Refused` says why, whatever it is; what is not understood is refused.

Read `Trace.done`, then `finish`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.compiler.graph import Graph, Memory, Step, Value, found_in, values_in
from pullback.core import _engine, _loops
from pullback.core._engine import Op, Seen, Tensor, seen_of
from pullback.core._plans import Plan
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


def tensors_in(x: Any) -> list[Seen]:
    """The tensors among arguments."""
    return found_in(x, Seen)


def said(line: tuple[Any, int] | None) -> str:
    """A line of the program, as the log has it, in words."""
    return "" if line is None else f"{line[0].co_filename}:{line[1]}"


@functools.cache
def takes_tensors(op: Op) -> tuple[bool, ...]:
    """Which parameters of an op are tensors, or lists of them."""
    return tuple(kind in "TNOL" for kind in op.kinds)


class Trace:
    """What a call has done so far to memory; `tensors` are its inputs, those captured among them.

    `log`, `made` and `copies` are what a `Listener` writes while the call runs; `read` makes steps of the
    log.
    """

    harmless = HARMLESS

    def __init__(self, tensors: list[Tensor], names: list[str]) -> None:
        self.tensors = tensors
        self.reason: Refused | None = None
        self.log: list[tuple[Any, ...]] = []
        self.made: dict[int, Array] = {}
        self.copies: dict[int, Array] = {}
        self.steps: list[Step] = []
        self.held: list[Any] = [tensors]
        self.memories: dict[int, list[Memory]] = {}  # by the address of the array that owns them
        self.values: dict[int, Value] = {}  # of arrays, by their addresses; they are held
        self.given: list[Memory] = []
        self.leaves: list[tuple[int, Array | None]] = []
        self.line: tuple[Any, int] | None = None  # that of the op which is read
        self.count = 0
        self.facts = [_engine.facts_of(t) for t in tensors]
        for place, (_t, name, facts) in enumerate(zip(tensors, names, self.facts, strict=False)):
            array, _, _, _needed, unusual, history, of_leaf = facts
            if unusual or of_leaf or (history and place >= len(tensors)):
                self.refuse(f"an unusual tensor, {name}")
            self.meet("given", seen_of(array), name)
        for place, (_t, name, facts) in enumerate(zip(tensors, names, self.facts, strict=False)):
            if facts[3] and not facts[5]:
                grad = facts[1]
                if grad is not None:
                    if type(grad) is not Tensor or grad.requires_grad or _engine.facts_of(grad)[4]:
                        self.refuse(f"an unusual gradient, of {name}")
                        continue
                    self.meet("given", seen_of(grad._array), f"{name}.grad")
                self.leaves.append((place, None if grad is None else grad._array))
        self.before_call = self.facts

    # ---------------------------------------------------------------------------------- memory

    def refuse(self, what: str) -> None:
        """There will be no recording."""
        if self.reason is None:
            self.reason = Refused(what, said(self.line) or user_line())

    def meet(self, home: str, t: Seen, name: str) -> Memory:
        """A memory that was not known."""
        memory = Memory(home, t, len(self.given), name)
        if home == "given":
            self.given.append(memory)
        self.held.append(t)
        self.memories.setdefault(id(t.root), []).append(memory)
        return memory

    def find(self, t: Seen) -> Value | None:
        """The value that a tensor is; None if it lies in no known memory."""
        known = self.values.get(id(t.array))
        if known is not None:
            return known
        near = self.memories.get(id(t.root))
        if near is None:
            return None
        found = None
        low, high = t.low, t.high
        for memory in near:
            if (low < memory.high and memory.low < high) or low == high == memory.low:
                if found is not None or low < memory.low or memory.high < high:
                    self.refuse("tensors that share memory")
                    return None
                found = memory
        return None if found is None else self.known(t, found, t.start - found.start)

    def known(self, t: Seen, memory: Memory, offset: int) -> Value:
        """Makes the value of a tensor that lies in a memory."""
        a = t.array
        value = self.values[id(a)] = Value(memory, offset, t.code, a.shape, a.strides)
        self.held.append(t)
        return value

    def value(self, t: Seen) -> Value | None:
        """The value of a tensor, made if the tensor was made on the way; None, and a reason, otherwise."""
        found = self.find(t)
        if found is None and self.reason is None:
            root = t.root
            if id(root) not in self.made:
                self.refuse("a tensor from elsewhere")
                return None
            whole = seen_of(root)
            copy = self.copies.get(id(root))
            if copy is None:
                copy = root.copy("K")
            if copy.strides != root.strides or whole.high - whole.low != root.nbytes:
                self.refuse("a constant with gaps")
                return None
            self.count += 1
            memory = self.meet("kept", whole, f"c{self.count}")
            memory.array = copy
            memory.start = memory.low
            found = self.find(t)
            if found is not None and whole.start != memory.low:
                self.refuse("a constant that lies backwards")
        return found

    def make_anew(self, memory: Memory) -> None:
        """Has a constant that is written to begin as a copy, each time."""
        kept = Memory("kept", seen_of(memory.array), 0, f"{memory.name}c")
        memory.home, memory.array = "work", memory.array.copy("K")
        whole = [kept.whole, memory.whole]
        self.steps.insert(0, Step("copy", (whole[0],), whole[:1], whole[1:], ("copy", *whole)))

    # ------------------------------------------------------------------------- what is heard

    def doubt(self, what: str) -> None:
        """More is done or asked for than ops."""
        self.refuse(what)

    def read(self) -> None:
        """Makes steps of what was heard so far."""
        log = self.log[:]
        self.log.clear()
        self.held.append(log)
        for entry in log:
            if self.reason is not None:
                return
            self.line = entry[-1]
            if entry[0] is None:
                self.folded(entry[1], entry[2])
            else:
                self.done(*entry[:-1])
        self.line = None

    def done(
        self, op: Op, args: tuple[Any, ...], in_place: bool, target: Any, result: Any, events: tuple[Any, ...]
    ) -> None:
        """An op was done."""
        given = self.substituted(args)
        asked = takes_tensors(op)
        numbers_from_tensors = False
        for x, tensor in zip(args, asked, strict=False):
            if not tensor and (type(x) is Seen or type(x) in (list, tuple)) and tensors_in(x):
                numbers_from_tensors = True
        if self.reason is not None:
            return
        if op.view and target is None:
            if numbers_from_tensors:
                self.refuse("a view whose place is in a tensor")
            for t in tensors_in(result):
                if self.find(t) is None:
                    self.refuse("a view of unknown memory")
            return
        if op.view:
            self.refuse("a view that is written")
            return
        writes: list[Any] = []
        if target is not None:
            written = tensors_in(target)
            for t in written:
                value = self.value(t)
                writes.append(value)
                if value is not None and value.memory.home == "kept":
                    self.make_anew(value.memory)
        else:
            written = tensors_in(result)
            for t in written:
                known = self.find(t)
                if known is not None and any(t.array is x.array for x in tensors_in(args)):
                    if len(written) > 1:
                        self.refuse("an op that returns what it got")
                    return
                if not t.plain or known is not None or self.reason is not None:
                    self.refuse("a result in the memory of another, or of a class of its own")
                    return
                writes.append(self.fresh(t))
        if self.reason is not None or None in writes:
            self.refuse("a result in unknown memory")
            return
        act = None
        if len(events) == 1 and not numbers_from_tensors and not op.random:
            act = self.act_of(args, given, written, writes, events[0])
        if act is None:
            if target is not None and not in_place:
                self.refuse("a result into `out` that is computed elsewhere first")
                return
            act = ("call", functools.partial(_engine.redo, op, in_place), given, [] if in_place else writes)
        firm = op.random or any(w.memory.home == "given" for w in writes)
        self.steps.append(Step(op.name, given, values_in(given), writes, act, firm, said(self.line)))

    def substituted(self, x: Any) -> Any:
        """Arguments with values for tensors."""
        kind = type(x)
        if kind is Seen:
            return self.values.get(id(x.array)) or self.value(x)
        if kind is list:
            return [self.substituted(item) for item in x]
        return tuple([self.substituted(item) for item in x]) if kind is tuple else x

    def act_of(
        self, args: tuple[Any, ...], given: Any, results: list[Seen], writes: list[Value], event: Any
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
                if type(arg) is Seen:
                    if arg.array is not x:
                        break
                    found.append(value)
                elif type(x) is bytes:
                    found.append(x)
                else:
                    break
            else:
                return ("loop", table, code, tuple(found), wide, writes[0])
        return None

    def operand(self, x: Any, arg: Any, value: Any) -> Any:
        """An argument of a plan as values; `_LOST` if it was made of the op's otherwise."""
        if type(arg) is Seen:
            return value if arg.array is x else _LOST
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
        copy = seen_of(np.ascontiguousarray(a).copy())
        self.count += 1
        memory = Memory("kept", copy, 0, f"c{self.count}")
        self.held.append(copy)
        return memory.whole

    def folded(self, g: Seen, result: Seen) -> None:
        """A gradient was summed over its leading dims."""
        given, shape = self.value(g), result.array.shape
        made = self.fresh(result)
        if given is None or made is None:
            self.refuse("a sum of unknown memory")
            return
        act = ("call", _loops.folded, (given, shape), [made])
        self.steps.append(Step("fold", (given, shape), [given], [made], act, False, said(self.line)))

    def number(self, t: Tensor, value: Any) -> None:
        """A number is taken out of a tensor: what follows may depend on it."""
        self.read()
        if self.reason is not None:
            return
        if any(step.firm for step in self.steps):
            self.refuse("a number taken out of a tensor after something was written, drawn or stepped")
            return
        given = self.value(seen_of(t._array))
        if given is not None and given.memory.home != "kept":
            held = t._array.tobytes()
            self.steps.append(
                Step("check", (given, value), [given], [], ("check", given, held), False, user_line())
            )

    def again(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Does what is to be done anew at each replay, in Python: a step of an optimizer."""
        with _engine.unheard():
            self.read()
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
                    value = self.value(seen_of(now[1]._array))
                    if value is None or value.memory.home != "work":
                        self.refuse("a gradient that is not new")
                    else:
                        grads.append((place, value))
        return grads, bumps

    def finish(self, result: Any) -> tuple[Graph, Any, list[Tensor]]:
        """The graph, the template of the result, and the tensors among it that are outputs."""
        self.read()
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
        value = self.value(seen_of(t._array))
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

    def fresh(self, t: Seen) -> Value | None:
        """The value in memory that is seen for the first time: that of an array which the call made."""
        self.count += 1
        alone = id(t.root) not in self.memories
        memory = self.meet("work", t, str(self.count))
        if not alone:
            return self.find(t)
        self.values[id(t.array)] = memory.whole
        return memory.whole

    def copied(self, value: Value, a: Array) -> Value:
        """A value in memory of its own, which is that of an array, from a copy that is recorded."""
        copied = self.fresh(seen_of(a))
        assert copied is not None
        self.steps.append(Step("copy", (value,), [value], [copied], ("copy", value, copied)))
        return copied


_LOST = object()


def _are(made: Any, results: list[Seen]) -> bool:
    """Whether these arrays are those of tensors."""
    return len(made) == len(results) and all(a is t.array for a, t in zip(made, results, strict=True))
