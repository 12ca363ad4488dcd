"""Derivatives of what is replayed: one node for all results, whose backward pass is a recording, too.

When a call is recorded whose results require a gradient, the backward pass of its graph is recorded as well,
from gradients that stand for any. What that reads of the call's memory is kept by each replay. A pass that is
itself to be differentiated calls the function again, op by op, and differentiates that. Read `joint_of`, then
`Pass`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.compiler.graph import Graph, Memory, Step, Value
from pullback.compiler.lowering import Lowered
from pullback.compiler.passes import improved
from pullback.compiler.reading import Watch
from pullback.compiler.recording import Refused, Trace
from pullback.core import _engine
from pullback.core._engine import Listener, Node, Tensor, from_array, seen_of
from pullback.core.modes import enable_grad

__all__ = ["Joint", "joint_of"]

_AGAIN = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they "
    "have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)
_CHANGED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "a tensor that a compiled function got or gave was written to before its backward pass"
)


class Joint:
    """Gives the results of a replay their history: a node with a `Pass`.

    `sources` are the inputs that gradients go to, `read` those whose numbers the pass reads. `results` say
    for each source what its gradient is: the number of a value, ("given", place) for a gradient of an output
    as it came, or None. Without a graph there is nothing to run: what the outputs depended on was freed.
    """

    def __init__(self, function: Any, sources: list[int]) -> None:
        self.function, self.sources = function, sources
        self.graph: Graph | None = None
        self.given: list[Memory] = []
        self.read: list[int] = []
        self.results: list[Any] = []
        self.wanted: list[Value] = []
        self.forms: list[tuple[Any, ...]] = []
        self.once = False
        self.template: Any = None
        self.needed: list[int] = []
        self.made: Lowered | None = None

    def ready(self) -> None:
        """Plans the pass."""
        assert self.graph is not None
        self.made = Lowered(self.graph, self.given)
        self.numbers = [self.made.number(v) for v in self.wanted]

    def __call__(
        self, outputs: list[Tensor], inputs: list[Tensor], saved: list[Any], args: Any, kwargs: Any
    ) -> None:
        made = Pass(self, outputs, inputs, saved, args, kwargs)
        _engine.custom_node(made, "CompiledFunctionBackward", [inputs[i] for i in self.sources], outputs)


class Pass:
    """The backward pass of one replay."""

    def __init__(
        self,
        joint: Joint,
        outputs: list[Tensor],
        inputs: list[Tensor],
        saved: list[Any],
        args: Any,
        kwargs: Any,
    ) -> None:
        self.joint = joint
        self.saved: list[Any] | None = saved
        self.inputs, self.call = inputs, (args, kwargs)
        self.versions = _engine.keep_versions([*outputs, *(inputs[i] for i in joint.read)])

    def __call__(self, node: Node, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        joint = self.joint
        if self.saved is None or joint.made is None:
            raise RuntimeError(_AGAIN)
        if not _engine.are_as_kept(self.versions):
            raise RuntimeError(_CHANGED)
        if (
            _engine.grad_enabled()
            or _engine.levels()
            or any(g is not None and (type(g) is not Tensor or g.requires_grad) for g in grads)
        ):
            return self.again(grads)
        given = [_laid(g, form) for g, form in zip(grads, joint.forms, strict=True)]
        made, numbers = joint.made, joint.numbers
        if made.replay.busy:
            assert joint.graph is not None
            made = Lowered(joint.graph, joint.given)
            numbers = [made.number(v) for v in joint.wanted]
        arrays = made.replay([*self.saved, *(self.inputs[i]._array for i in joint.read), *given], numbers)
        found = [from_array(a) for a in arrays]
        return [
            None if r is None else found[r] if type(r) is int else self.passed(grads[r[1]], given[r[1]])
            for r in joint.results
        ]

    def passed(self, g: Tensor | None, a: Any) -> Tensor:
        """The gradient of an output, as it came."""
        return from_array(a) if g is None else g

    def again(self, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The same by calling the function once more: so that the pass has derivatives itself."""
        joint = self.joint
        if joint.once:
            raise RuntimeError(
                "a compiled function that draws random numbers or writes to its inputs "
                "has no second derivatives"
            )
        args, kwargs = self.call
        with enable_grad():
            result = joint.function.function(*args, **kwargs)
        found: dict[int, Tensor] = {}
        _collect(joint.template, result, found)
        pairs = [(found[i], g) for i, g in zip(joint.needed, grads, strict=True) if g is not None]
        sources = [self.inputs[i] for i in joint.sources]
        return _engine.gradients_between(
            [t for t, _ in pairs], sources, [g for _, g in pairs], True, _engine.grad_enabled()
        )

    def release(self, node: Node) -> None:
        """Lets go of what the pass would read."""
        self.saved = None


def joint_of(
    function: Any, trace: Trace, graph: Graph, outputs: list[Tensor], template: Any, needed: list[int]
) -> Joint:
    """What makes the node of some outputs; adds to the graph what the pass reads of it."""
    sources = [i for i, t in enumerate(trace.tensors) if t.requires_grad]
    joint = Joint(function, sources)
    joint.template, joint.needed = template, needed
    joint.once = any(step.firm for step in graph.steps)
    if any(_in_python(t.grad_fn) for t in outputs):
        raise Refused("a gradient that a custom Function computes")  # which would be called once too often
    steps, first = trace.steps, set(map(id, _memories(graph.steps)))
    trace.steps = []
    starts = [from_array(np.ones(t.shape, t._layout.dtype)) for t in outputs]
    begun = [trace.meet("given", seen_of(g._array), f"g{i}") for i, g in enumerate(starts)]
    watch = Watch()
    try:
        with Listener(trace), watch:
            grads = _engine.gradients_between(
                outputs, [trace.tensors[i] for i in sources], starts, True, False
            )
    except RuntimeError as error:
        if not str(error).startswith(_AGAIN[:40]):
            raise Refused(f"its backward pass raises: {error}") from None
        return joint  # the function went backward itself
    if watch.codes.keys() - function.codes.keys():  # of checkpoints it is the code that ran before
        trace.refuse("a backward pass in Python")
    trace.read()
    joint.forms = [(g._array.dtype, g._array.shape, g._array.strides) for g in starts]
    given_by_id = {id(g): i for i, g in enumerate(starts)}
    numbers: dict[int, int] = {}
    for g in grads:
        if g is None:
            joint.results.append(None)
        elif id(g) in given_by_id:
            joint.results.append(("given", given_by_id[id(g)]))
        else:
            if id(g) not in numbers:
                numbers[id(g)] = len(joint.wanted)
                value = trace.value(seen_of(g._array))
                if value is None or trace.reason is not None:
                    break
                joint.wanted.append(own(trace, value, g, first))
            joint.results.append(numbers[id(g)])
    if trace.reason is not None:
        raise trace.reason
    back, trace.steps = trace.steps, steps
    if len({id(v.memory) for v in joint.wanted}) != len(joint.wanted):
        raise Refused("gradients that share memory")
    written = {id(v.memory) for step in back for v in step.writes}
    if written & first or any(step.firm for step in back):
        raise Refused("a backward pass that writes to what was there")
    joint.graph = improved(Graph(back, begun, joint.wanted))
    joint.wanted = joint.graph.outputs
    saved: dict[int, Value] = {}
    read: dict[int, int] = {}
    for step in joint.graph.steps:
        for v in step.reads:
            memory = v.memory
            if id(memory) in written or memory.home == "kept" or memory in begun:
                continue
            if memory.home == "given":
                if memory.place >= len(trace.tensors):
                    raise Refused("a backward pass that reads an earlier gradient")
                read[id(memory)] = memory.place
            elif id(memory) not in saved:
                saved[id(memory)] = memory.whole
    graph.saved = list(saved.values())
    joint.read = list(read.values())
    by_place = {m.place: m for m in trace.given[: len(trace.tensors)]}
    joint.given = [*(v.memory for v in graph.saved), *(by_place[i] for i in joint.read), *begun]
    joint.ready()
    return joint


def own(trace: Trace, value: Value, g: Tensor, first: set[int]) -> Value:
    """The value of a gradient in memory that is its own: that of the pass, or a copy."""
    if value.memory.home == "work" and id(value.memory) not in first:
        return value
    return trace.copied(value, np.empty(g.shape, g._array.dtype))


def _in_python(root: Any) -> bool:
    """Whether Python computes a gradient somewhere behind a node."""
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if hasattr(node, "_forward_cls") or hasattr(type(node), "apply"):
            return True
        waiting += [source for source, _ in node.next_functions]
    return False


def _memories(steps: list[Step]) -> list[Memory]:
    return [v.memory for step in steps for v in (*step.reads, *step.writes)]


def _laid(g: Tensor | None, form: tuple[Any, ...]) -> Any:
    """The array of a gradient as the pass was recorded with it; zeros where there is none."""
    dtype, shape, strides = form
    if g is None:
        return np.zeros(shape, dtype)
    a = g._array
    return a if a.strides == strides and a.dtype == dtype else np.ascontiguousarray(a, dtype).reshape(shape)


def _collect(template: Any, x: Any, found: dict[int, Tensor]) -> None:
    """The outputs of a result, by their places in a template."""
    if type(template) is int:
        found[template] = x
        return
    kind, what = template
    if kind == "dict":
        for key, part in what:
            _collect(part, x[key], found)
    elif kind not in ("input", "constant"):
        for part, item in zip(what, x, strict=True):
            _collect(part, item, found)
