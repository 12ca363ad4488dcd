"""`explaining`: the context in which a program's steps are recorded, for `explain` and its kin.

It is one more interpreter on the engine's stack, so that every op passes by, those too that leave no node:
under `no_grad`, of integers, `detach`. Nothing is recorded, and nothing costs, while none is entered. A step
holds no tensor; the numbers that went through are kept as ranges and counts. Backward passes tell theirs by
a hook on each node.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

from pullback.autograd.anomaly import user_frame
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor
from pullback.core.modes import is_grad_enabled, is_inference_mode_enabled
from pullback.core.types import Array
from pullback.face.storage import memory
from pullback.nn.modules._path import ModulePath
from pullback.see.graph import op_name
from pullback.see.steps import Line, Step, below
from pullback.transforms.stack import Interpreter, bottom, entered, operands


def user_line() -> Line | None:
    """The line of the user's program that is running, None where there is none."""
    frame = user_frame()
    return Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame else None


KEPT = 10000
"""So many steps are surely kept of what has no history, and of numbers that left for Python."""


class Recording(Interpreter):
    """The interpreter. `last` is the step whose result the latest backward pass began with."""

    def __init__(self) -> None:
        self.last: Step | None = None
        self.exits: deque[Step] = deque()
        self._made: dict[int, tuple[weakref.ref[Tensor], Step]] = {}
        self._order = 0
        self._pass = -1
        self.modules = ModulePath()

    # ---- which step made a tensor

    def step_of(self, x: Tensor) -> Step | None:
        """The step that made a tensor, None for one that was never seen."""
        held = self._made.get(id(x))
        step = held[1] if held is not None and held[0]() is x else None
        base = x._base
        if base is not None:
            written = self.step_of(base)
            if written is not None and (step is None or written.order > step.order):
                step = self._step("view", [written], [base.requires_grad])
                step.describe(x)
                self._give(x, step)
        return step

    def _known(self, x: Tensor) -> Step:
        step = self.step_of(x)
        if step is None:
            owner = self._owner(x)
            step = (
                self._step("leaf", (), ())
                if owner is None
                else self._step("detach", [owner], [owner.tracked])
            )
            step.describe(x)
            self._give(x, step)
        return step

    def _owner(self, x: Tensor) -> Step | None:
        """The step of a tensor on whose memory an unknown one lies, as `x.data` or what NumPy gives back."""
        memory = memory_of(x)
        for held, step in list(self._made.values()):
            other = held()
            if other is not None and not other.is_meta and memory_of(other) is memory:
                return step
        return None

    def _give(self, x: Tensor, step: Step) -> None:
        key = id(x)
        self._made[key] = weakref.ref(x, lambda _: self._made.pop(key, None)), step

    def _step(self, name: str, inputs: Sequence[Step | None], wanted: Sequence[bool]) -> Step:
        self._order += 1
        step = Step(name, self._order, user_line() if inputs else None, inputs, wanted)
        step.module = self.modules.names()
        while self.exits and self.exits[0].order < self._order - KEPT:
            self.exits.popleft()
        for s in step.inputs:
            if s is not None:
                s.used = name, step.line
        return step

    # ---- the interpreter

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """Does the op one level below, and notes it, but for those of backward passes."""
        if _engine.current_pass() >= 0:
            return _engine.apply_below(op, args, out)
        tensors = operands(op, args)
        inputs = [None if x is None else self._known(x) for x in tensors]
        wanted = [x is not None and x.requires_grad for x in tensors]
        result = _engine.apply_below(op, args, out)
        if out is None:
            self._note(op.__name__, inputs, wanted, result)
        else:
            self._note_write(op.__name__, inputs, wanted, args[0] if out is IN_PLACE else out)
        return result

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function is one step; what it does within is its own."""
        operands = [x if isinstance(x, Tensor) else None for x in args]
        inputs = [None if x is None else self._known(x) for x in operands]
        wanted = [x is not None and x.requires_grad for x in operands]
        result = cls.apply(*args)
        self._note(cls.__name__, inputs, wanted, result)
        return result

    def check_value_access(self, tensor: Tensor, what: str) -> None:
        """Notes that numbers leave the graph for Python or NumPy."""
        if _engine.current_pass() >= 0:
            return
        known = self._known(tensor)
        if what == "data":  # the tensor it gives will be found to lie on this one's memory
            return
        step = self._step(what, [known], [tensor.requires_grad])
        step.result = known.result
        self.exits.append(step)

    def _note(self, name: str, inputs: Sequence[Step | None], wanted: Sequence[bool], result: Any) -> None:
        results = result if isinstance(result, (tuple, list)) else [result]
        results = [x for x in results if isinstance(x, Tensor)]
        if not any(s is not None for s in inputs):
            inputs, wanted = (), ()
        steps = []
        for x in results:
            step = self._step(op_name(x.grad_fn) if x.grad_fn is not None else name, inputs, wanted)
            step.why = _mode()
            step.describe(x)
            self._give(x, step)
            self._bound(step)
            steps.append(step)
        if steps and results[0].grad_fn is not None:
            self._watch(results[0].grad_fn, steps)

    def _bound(self, step: Step) -> None:
        """Forgets what led to a step without history long ago, as to a mean over all batches."""
        if step.tracked or step.leaf:
            return
        step.since = min(s.since for s in step.inputs if s is not None)
        if step.order - step.since > 2 * KEPT:
            first = step.order - KEPT
            for s in below(step):
                if s.order < first and not s.tracked:
                    s.inputs = s.wanted = ()
                s.since = max(s.since, first)

    def _note_write(
        self, name: str, inputs: Sequence[Step | None], wanted: Sequence[bool], target: Any
    ) -> None:
        """A write into a tensor, which is one into its base as well if it is a view.

        A leaf that requires a gradient stays the leaf that it was, with other numbers: an optimizer's step.
        """
        if isinstance(target, Tensor) and target.is_leaf and target.requires_grad:
            self._known(target).describe(target)
            return
        self._note(name, inputs, wanted, target)
        for x in target if isinstance(target, (tuple, list)) else [target]:
            base = x._base if isinstance(x, Tensor) else None
            if base is not None:
                known = [self._known(base), self.step_of(x)]
                self._note(name, known, [s is not None and s.tracked for s in known], base)

    def _watch(self, node: Any, steps: Sequence[Step]) -> None:
        """Has the steps told of the gradients that go through their node."""

        def hook(passed: Any, came: Any) -> None:
            number = _engine.current_pass()
            if number != self._pass:
                self._pass, self.last = number, steps[0]
            for step in steps:
                step.saw(passed, came)

        node.register_hook(hook)
        node.metadata["step"] = steps[0]


def memory_of(x: Tensor) -> Array:
    """The array that owns the memory of a tensor."""
    return memory(bottom(x)._array)


def _mode() -> str | None:
    """The mode that keeps steps from being recorded, if one is on."""
    if is_inference_mode_enabled():
        return "inference_mode"
    return None if is_grad_enabled() else "no_grad"


_latest: Recording | None = None


def latest() -> Recording | None:
    """The recording that was entered last."""
    return _latest


class explaining:
    """Within, each op of the program is noted with its line, so that `explain` can tell what became of a
    gradient, after as well.

    The recording lasts until another is entered. Set the environment variable `PULLBACK_EXPLAINING=1` to
    record a program from its start. An op costs some tens of microseconds within, and nothing outside.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.explaining():
    ...     loss = (x.detach() * 2).sum()
    >>> print(torch.explain(x, loss).cause)
    cut
    """

    def __init__(self) -> None:
        self.recording = Recording()
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Recording:
        global _latest
        _latest = self.recording
        self._context.enter_context(self.recording.modules)
        self._context.enter_context(entered(self.recording))
        return self.recording

    def __exit__(self, *exc: object) -> None:
        self._context.close()
