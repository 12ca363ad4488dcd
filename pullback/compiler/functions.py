"""Compiled functions: when a call is run, recorded, replayed, or left to Python.

A call whose signature has no recording is run and recorded, between a reading of all that the code may ask of
Python, and a comparison with it: what is not the same afterwards was a side effect. Which code runs is known
from the calls before; at the first one it is guessed from what the function refers to, and where the guess is
wrong, or something is made ready at the first call, the second one is recorded. Where anything cannot be
recorded faithfully, the function runs in Python from then on, and that is said once. Read
`CompiledFunction.missed`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import types
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

from pullback.compiler import native
from pullback.compiler.gradients import Joint, joint_of
from pullback.compiler.lowering import Lowered, block_size
from pullback.compiler.passes import improved
from pullback.compiler.reading import Reading, Watch
from pullback.compiler.recording import Refused, Trace
from pullback.core import _engine, _loops
from pullback.core._engine import Compiled, Listener, Recording, Tensor
from pullback.core.dtypes import get_default_dtype

__all__ = ["CompiledFunction", "Explanation", "forget_all"]

MOST_RECORDINGS = 8
"""Of one signature: what comes then drives out the oldest."""
MOST_SIGNATURES = 64
MOST_LEFT = 16
"""Signatures that are left to Python, after which all are."""
MOST_FAILURES = 12
"""Recordings that did not hold, after which a function is left to Python."""

_all: weakref.WeakSet[CompiledFunction] = weakref.WeakSet()


class Explanation:
    """What became of a compiled function."""

    def __init__(
        self, name: str, parts: list[dict[str, Any]], refused: Refused | None, events: list[str]
    ) -> None:
        self.name, self.parts, self.refused, self.events = name, parts, refused, events

    def __repr__(self) -> str:
        lines = [f"{self.name}: {len(self.parts)} recording{'s' * (len(self.parts) != 1)}"]
        if self.refused is not None:
            lines.append(f"left to Python: {self.refused.what}, {self.refused.line}")
        for part in self.parts:
            lines.append(
                f"  {part['steps']} ops, {part['acts']} kernels; memory {part['planned']} bytes planned, "
                f"{part['eager']} op by op; {part['guards']} guards; {part['runs']} replays"
            )
        return "\n".join(lines + [f"  {event}" for event in self.events])


class CompiledFunction(Compiled):
    """A function whose calls are recorded and replayed."""

    def __init__(self, function: Any, fullgraph: bool = False, limit: int = MOST_RECORDINGS) -> None:
        self.function, self.fullgraph, self.limit = function, fullgraph, limit
        self.recordings = {}
        self.on = True
        self.codes: dict[types.CodeType, dict[str, Any]] = {}
        self.watched = False
        self.left: set[bytes] = set()
        self.refused: Refused | None = None
        self.failures = 0
        self.events: list[str] = []
        self._torchdynamo_orig_callable = function
        self.__name__ = type(function).__name__
        functools.update_wrapper(self, function, updated=())
        _all.add(self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def missed(self, key: bytes | None, tensors: tuple[Tensor, ...], args: Any, kwargs: Any) -> Any:
        """A call for which there is no recording."""
        if key is None or key in self.left or sys.getprofile() is not None:
            return self.function(*args, **kwargs)
        first = not self.watched
        self.watched = True
        try:
            reading = self.reading((args, kwargs), first)
            known = {id(t) for t in tensors}
            found = zip(reading.tensors, reading.names, strict=True)
            more = [(t, name) for t, name in found if id(t) not in known]
            captured = [t for t, _ in more]
            names = [*(f"x{i}" for i in range(len(tensors))), *(_short(name) for _, name in more)]
            trace = Trace([*tensors, *captured], names)
            if trace.reason is not None:
                raise trace.reason
        except Refused as refused:
            if first:
                return self.watch(args, kwargs)
            self.give_up(refused, key)
            return self.function(*args, **kwargs)
        watch = Watch()
        before = _modes()
        with Listener(trace), watch:
            result = self.function(*args, **kwargs)
        new = watch.codes.keys() - reading.codes.keys()
        self.codes.update(watch.codes)
        try:
            if new:
                return result  # its globals were not compared: the next call is recorded
            if watch.reported:
                raise Refused("it prints or warns")
            if not reading.guards.holds():
                raise Refused(f"it changes {reading.guards.broken}")
            if _modes() != before:
                raise Refused("a mode is changed")
            with collector_paused():
                recording = self.recording(trace, reading, tensors, captured, result)
        except Refused as refused:
            if not first:
                self.give_up(refused, key)
            return result
        self.keep(key, recording)
        return result

    def reading(self, arguments: Any, first: bool) -> Reading:
        """What a call may read. Of the first it is not known which code will run: all functions that are
        found are taken for it.
        """
        roots = [("the function", self.function), ("the arguments", _things(arguments))]
        codes = dict(self.codes)
        while True:
            reading = Reading(roots, codes)
            if not first or reading.met.keys() <= codes.keys():
                return reading
            codes.update(reading.met)

    def watch(self, args: Any, kwargs: Any) -> Any:
        """Runs a call, and notes which code ran."""
        watch = Watch()
        with watch:
            result = self.function(*args, **kwargs)
        self.codes.update(watch.codes)
        return result

    def recording(
        self, trace: Trace, reading: Reading, tensors: tuple[Tensor, ...], captured: list[Tensor], result: Any
    ) -> Recording:
        """The recording of a call that has returned."""
        graph, template, outputs = trace.finish(result)
        needed = [i for i, t in enumerate(outputs) if t.requires_grad]
        joint: Joint | None = None
        if needed:
            joint = joint_of(self, trace, graph, [outputs[i] for i in needed], template, needed)
        before = len(graph.steps)
        eager = block_size(graph)
        graph = improved(graph)
        made = Lowered(graph)
        written = {w.memory.place for step in graph.steps for w in step.writes if w.memory.home == "given"}
        recording = Recording(
            made.replay,
            reading.guards,
            [facts[5] for facts in trace.before_call[: len(tensors)]],
            captured,
            trace.leaves,
            made.grads(),
            graph.bumps,
            made.firm,
            [made.number(v) for v in graph.outputs],
            template,
            written,
            joint,
            needed,
            [made.number(v) for v in graph.saved],
        )
        trace.forget()
        _loops.forget_used()  # the call's arrays, which no replay asks for
        replays = [made.replay] if joint is None or joint.made is None else [made.replay, joint.made.replay]
        recording.often = functools.partial(native.often, replays)
        recording.story = {
            "steps": before,
            "acts": len(graph.steps),
            "planned": made.size,
            "eager": eager,
            "guards": reading.guards.count(),
            "graph": graph,
            "keeps": reading.seen,
        }
        return recording

    def keep(self, key: bytes, recording: Recording) -> None:
        """Adds a recording; old ones go."""
        if key not in self.recordings and len(self.recordings) >= MOST_SIGNATURES:
            self.recordings.pop(next(iter(self.recordings)))
        found = self.recordings.setdefault(key, [])
        if found:
            self.failures += 1
            broken = found[0].guards.broken
            self.events.append(f"recorded again: {broken or 'other tensors'}, {self.line()}")
            if self.failures > MOST_FAILURES:
                self.give_up(Refused(f"it depends on what changes from call to call: {broken}"), key)
                return
        found.insert(0, recording)
        del found[self.limit :]

    def give_up(self, refused: Refused, key: bytes) -> None:
        """From now on calls of this signature run in Python, which is said once of a function."""
        refused.line = refused.line or self.line()
        self.recordings.pop(key, None)
        self.left.add(key)
        self.on = len(self.left) < MOST_LEFT
        self.events.append(f"left to Python: {refused.what}, {refused.line}")
        message = f"{self.__name__}() runs in Python: {refused.what} ({refused.line})"
        if self.fullgraph:
            raise RuntimeError(message)
        if self.refused is None:
            self.refused = refused
            warnings.warn(message, stacklevel=4)

    def line(self) -> str:
        """Where the function stands."""
        code = getattr(getattr(self.function, "forward", self.function), "__code__", None)
        return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def graph(self) -> Any:
        """The steps of the latest recording, None before the first."""
        found = [r for entry in self.recordings.values() for r in entry]
        return found[-1].story["graph"] if found else None

    def explain(self) -> Explanation:
        """What was recorded: ops, kernels, memory, guards, and why anything was not, or was again."""
        parts = [{**r.story, "runs": r.runs} for entry in self.recordings.values() for r in entry]
        return Explanation(self.__name__, parts, self.refused, self.events)

    def reset(self) -> None:
        """Forgets all recordings."""
        self.recordings.clear()
        self.codes.clear()
        self.left.clear()
        self.events.clear()
        self.watched = False
        self.refused, self.on, self.failures = None, True, 0


def forget_all() -> None:
    """Forgets the recordings of all functions."""
    for function in list(_all):
        function.reset()


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Python's collector off: a recording is made of many objects that stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _things(x: Any) -> list[Any]:
    """The arguments that have no key of their own."""
    if isinstance(x, dict):
        return [thing for item in x.values() for thing in _things(item)]
    if type(x) in (list, tuple):
        return [thing for item in x for thing in _things(item)]
    return [] if isinstance(x, Tensor) else [x]


def _short(name: str) -> str:
    """A name as programs show it."""
    for words in ("the function.", "the function"):
        name = name.removeprefix(words)
    return (
        name.replace("_parameters['", "")
        .replace("_modules['", "")
        .replace("_buffers['", "")
        .replace("']", "")
    )


def _modes() -> tuple[Any, ...]:
    """What of the thread's state a function may not leave changed."""
    return _engine.grad_enabled(), _engine.inference_enabled(), get_default_dtype()
