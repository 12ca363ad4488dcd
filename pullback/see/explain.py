"""`explain`: why a gradient is None, zero, NaN, infinite, huge or tiny, and which line of the program did it.

It looks at the steps of the program (`steps.py`): those that `explaining` noted, or those of the graph below
the loss, through which it sends one more backward pass to see what goes where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pullback.core._engine import Tensor
from pullback.see.graph import node_of, steps_of, watch
from pullback.see.recording import Recording, latest
from pullback.see.remedies import BREAKS, VANISHES
from pullback.see.steps import Line, Numbers, Step, below, between, numbers_of, path
from pullback.transforms.leaves import gradients
from pullback.transforms.stack import bottom

LARGE, SMALL = 1e4, 1e-6
"""From which mean size on a gradient counts as huge, and up to which as tiny."""

Cause = Literal[
    "fine", "zero", "partly zero", "nan", "infinite", "huge", "tiny",
    "cut", "left", "unused", "no gradient required", "integers", "not computed", "unknown",
]  # fmt: skip


@dataclass
class Explanation:
    """What `explain` found: `text` for people, the rest for programs.

    `cause` is one of "fine", "zero", "partly zero", "nan", "infinite", "huge", "tiny", "cut" (an op keeps
    no history), "left" (numbers left the graph for NumPy or Python), "unused", "no gradient required",
    "integers", "not computed" (no backward pass yet, or reset since), "unknown". `op` and `line` are the
    step to blame, `path` the steps from the loss to the tensor, `fraction` the part of the gradient that
    is zero, `gradient` its numbers in short.
    """

    cause: Cause
    text: str
    op: str | None = None
    line: Line | None = None
    fraction: float = 0.0
    gradient: Numbers | None = None
    path: list[Step] = field(default_factory=list)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def explain(tensor: Tensor, loss: Tensor | None = None) -> Explanation:
    """Says in a paragraph what is the matter with the gradient of a tensor, or that all is well.

    `loss` is the tensor whose gradient is meant. Under `explaining` it need not be given: it is then what
    the latest backward pass began with, and the answer has the lines of the program; without, the graph
    below `loss` is asked, which must not have been freed (`backward(retain_graph=True)`, or before it).

    >>> import pullback as torch
    >>> x = torch.tensor([-1.0, -2.0], requires_grad=True)
    >>> loss = x.relu().sum()
    >>> found = torch.explain(x, loss)
    >>> found.cause, found.op
    ('zero', 'relu')
    """
    for name, given in (("tensor", tensor), ("loss", loss)):
        if not isinstance(given, Tensor) and (name == "tensor" or given is not None):
            raise TypeError(f"explain(): argument '{name}' must be Tensor, not {type(given).__name__}")
    tensor, loss = bottom(tensor), bottom(loss)
    record = latest()
    if tensor.dtype.kind not in "fc":
        return Explanation(
            "integers",
            f"{_called(tensor)} holds {tensor.dtype}, and only floating point and "
            "complex numbers have gradients. Convert it with .float() before requires_grad_().",
        )
    target = record.step_of(tensor) if record is not None else None
    if not tensor.requires_grad:
        return _not_required(tensor, target)
    last = _root(record, loss)
    if record is not None and target is not None and last is not None:
        found = _by_record(record, tensor, target, last, loss)
        if found is not None:
            return found
    if loss is None and last is not None:
        return Explanation("unused", f"{_called(tensor)} was used by no op that was recorded.")
    if loss is None:
        return Explanation(
            "not computed",
            f"{_called(tensor)} requires a gradient, and no backward pass was seen. Give the loss, as in "
            "explain(x, loss), or run the program within `with torch.explaining():`.",
        )
    return _by_graph(tensor, loss)


def _called(tensor: Tensor) -> str:
    return f"The {'leaf' if tensor.is_leaf else 'tensor'} of shape {list(tensor.shape)}"


def _root(record: Recording | None, loss: Tensor | None) -> Step | None:
    if record is None:
        return None
    return record.last if loss is None else record.step_of(loss)


# ------------------------------------------------------------------------------- no way to the loss


def _not_required(tensor: Tensor, target: Step | None) -> Explanation:
    cut = _nearest_cut(target) if target is not None else None
    if cut is not None:
        return Explanation("cut", f"{_called(tensor)} has no history: {_cut_by(cut)}", cut.name, cut.line)
    return Explanation(
        "no gradient required",
        f"{_called(tensor)} does not require a gradient, and nothing that it was computed from does: call "
        "requires_grad_() on what you differentiate with respect to, before it is used.",
    )


def _nearest_cut(last: Step) -> Step | None:
    """The latest step that got a tensor with history and gave one without."""
    return next((s for s in below(last) if not s.tracked and any(s.wanted)), None)


def _cut_by(step: Step) -> str:
    """Why a step keeps no history."""
    if step.name == "detach":
        code = step.line.text if step.line is not None else ""
        what = ".data" if ".data" in code else "torch.tensor(x)" if "tensor(" in code else "detach()"
        reason = f"{what} gives the numbers without their history"
    elif step.why is not None:
        reason = f"'{step.name}' ran under {step.why}, where nothing is recorded"
    elif step.dtype is not None and step.dtype.kind not in "fc":
        reason = f"'{step.name}' gives {step.dtype}, which has no gradient"
    else:
        reason = f"'{step.name}' has no derivative"
    return f"{reason}{_at(step)}."


def _at(step: Step) -> str:
    return f" ({step.line})" if step.line is not None else ""


def _no_way(record: Recording, tensor: Tensor, target: Step, last: Step) -> Explanation:
    """The loss does not lead to the tensor: what cut the way."""
    start = f"No gradient reaches the {'leaf' if tensor.is_leaf else 'tensor'}"
    way = path(last, target, only_wanted=False)
    if way is not None:
        cut = next((s for s in reversed(way) if not s.tracked and any(s.wanted)), None)
        if cut is not None:
            return Explanation("cut", f"{start}: {_cut_by(cut)}", cut.name, cut.line, path=way)
    exits = [s for s in record.exits if s.order < last.order and path(s, target, only_wanted=False)]
    if exits:
        step = _likeliest(exits, last)
        text = (
            f"{start}: numbers computed from it left the graph by {step.name}(){_at(step)}, and the loss "
            "knows them as constants. Keep to tensors between it and the loss."
        )
        return Explanation("left", text, step.name, step.line)
    text = f"{start}: the loss was not computed from it."
    if target.used is None:
        return Explanation("unused", text)
    name, line = target.used
    text += (
        f" It was last used by '{name}'{f' ({line})' if line else ''}, whose result the loss does not use."
    )
    return Explanation("unused", text, name, line)


def _likeliest(exits: Sequence[Step], last: Step) -> Step:
    """Of the places where numbers left, the one whose numbers came back as a leaf; else the latest."""
    back = [s.result for s in below(last) if s.leaf]
    return next((s for s in reversed(exits) if s.result in back), exits[-1])


# ------------------------------------------------------------------------------ what came to the tensor


def _by_record(
    record: Recording, tensor: Tensor, target: Step, last: Step, loss: Tensor | None
) -> Explanation | None:
    """The answer from what was recorded; None where a pass has to be sent through the graph first."""
    way = path(last, target, only_wanted=True)
    if way is None:
        return _no_way(record, tensor, target, last)
    steps = between(last, target)
    grad = tensor.grad if tensor.is_leaf else None
    if last is not target and last.gradient is None:
        grad = None if loss is None else _send(tensor, loss)
        if grad is None:
            text = f"{_called(tensor)} has a way to the loss, which no pass has gone yet: call backward()."
            return Explanation("not computed", text, path=way)
    return _judge(tensor, target, steps, way, grad)


def _send(tensor: Tensor, loss: Tensor) -> Tensor | None:
    """A backward pass from the loss that keeps the graph; None if it cannot be had."""
    if not loss.requires_grad:
        return None
    try:
        ones = loss.detach().clone().fill_(1)
        found: Tensor | None = gradients([loss], [tensor], [ones], True, False)[0]
    except RuntimeError:  # the graph has been freed
        return None
    return found


def _by_graph(tensor: Tensor, loss: Tensor) -> Explanation:
    """The answer from the graph below the loss alone."""
    if not loss.requires_grad:
        text = (
            "The loss has no history: nothing it was computed from required a gradient, or a no_grad "
            "block, a detach() or a NumPy round trip cut it. Run the program within `with "
            "torch.explaining():` to see which."
        )
        return Explanation("cut", text)
    steps = steps_of(loss)
    target = steps.get(node_of(tensor))
    if target is None:
        text = (
            f"No gradient reaches the {'leaf' if tensor.is_leaf else 'tensor'}: the graph of the loss does "
            "not lead to it. Either it was not used, or a detach(), a no_grad block, integers or a NumPy "
            "round trip cut the way. Run the program within `with torch.explaining():` to see the line."
        )
        return Explanation("unused", text)
    last = next(iter(steps.values()))
    way = path(last, target, only_wanted=True) or []
    handles = watch(steps)
    try:
        grad = _send(tensor, loss)
    finally:
        for handle in handles:
            handle.remove()
    if grad is None:
        text = "The graph of the loss has been freed: call explain before backward(), use "
        text += "backward(retain_graph=True), or run the program within `with torch.explaining():`."
        return Explanation("unknown", text, path=way)
    last.gradient = last.gradient or Numbers(1, 0, 0, 0, 1.0, 1.0, 1.0)
    last.result = numbers_of(loss)
    return _judge(tensor, target, between(last, target), way, grad)


def _judge(
    tensor: Tensor, target: Step, steps: list[Step], way: list[Step], grad: Tensor | None
) -> Explanation:
    """What is the matter with a gradient whose way is known. `steps` are all between loss and tensor."""
    came = numbers_of(grad) if grad is not None else _sum_of_passed(steps, target)
    found = _explained(target, steps, way, came)
    found.path, found.gradient = way, came
    if not tensor.is_leaf and not tensor.retains_grad:
        found.text += (
            " It is no leaf, so its .grad stays None unless retain_grad() is called before the pass."
        )
    elif grad is None and tensor.is_leaf:
        found.cause = "not computed" if found.cause == "fine" else found.cause
        found.text += (
            " Its .grad is None all the same: it has been reset since, as zero_grad() does, or was computed "
            "by autograd.grad, which sets no .grad."
        )
    return found


def _sum_of_passed(steps: Sequence[Step], target: Step) -> Numbers | None:
    """The numbers of what was sent to a step; of several the one of the largest norm stands for all."""
    sent = [
        n for s in steps for i, n in zip(s.inputs, s.passed, strict=False) if i is target and n is not None
    ]
    return max(sent, key=lambda n: (not n.finite, n.norm), default=None)


def _explained(target: Step, steps: list[Step], way: list[Step], came: Numbers | None) -> Explanation:
    if came is None:
        return Explanation("unknown", "A way leads from the loss to it, but the pass sent nothing along it.")
    if not came.finite:
        return _broken(target, steps, came)
    if came.vanished:
        return _vanished(target, steps, came)
    if came.mean_size >= LARGE or came.mean_size <= SMALL:
        return _sized(steps, came)
    part = came.zeros / came.count if came.count else 0.0
    text = f"The gradient arrives by {len(way) - 1} ops, with norm {came.norm:.4g} (values {came})."
    if part < 0.5:
        return Explanation("fine", text, fraction=part)
    step = _most_zeros(steps)
    text += f" {part:.0%} of it is zero."
    if step is not None:
        text += f" Most of that comes from '{step.name}'{_at(step)}. {VANISHES.get(step.name, '')}"
    return Explanation("partly zero", text.rstrip(), *_blamed(step), part)


def _edges(steps: Sequence[Step], target: Step | None) -> list[tuple[Step, int, Numbers]]:
    """What each step sent along the ways to the tensor."""
    inside = {*steps, target}
    return [
        (s, i, n)
        for s in steps
        for i, n in enumerate(s.passed)
        if n is not None and i < len(s.inputs) and s.inputs[i] in inside
    ]


def _broken(target: Step, steps: list[Step], came: Numbers) -> Explanation:
    """A gradient with NaN or infinities: the first step that made them, forward or backward."""
    cause: Cause = "nan" if came.nans else "infinite"
    kind = "NaN" if came.nans else "infinite"
    amount = f"{came.nans or came.infinities} of {came.count} numbers of the gradient are {kind}"
    forward = sorted(below(steps[0]) if steps else (), key=lambda s: s.order)
    if came.nans:
        for s in forward:
            if s.result is not None and s.result.nans and not any(n.nans for n in _operands(s)):
                return _broken_forward(cause, amount, s)
    for s, i, n in _edges(steps, target):
        if not n.finite and (s.gradient is None or s.gradient.finite):
            operand = s.inputs[i]
            ranges = f" at values of {operand.result}" if operand is not None and operand.result else ""
            text = (
                f"{amount}. The slope of '{s.name}'{_at(s)} is not finite{ranges}. {BREAKS.get(s.name, '')}"
            )
            return Explanation(cause, text.rstrip(), s.name, s.line)
    for s in forward:
        if s.result is not None and not s.result.finite and all(n.finite for n in _operands(s)):
            return _broken_forward(cause, amount, s)
    return Explanation(cause, f"{amount}; they were in the gradient that the pass began with.")


def _blamed(step: Step | None) -> tuple[str | None, Line | None]:
    return (None, None) if step is None else (step.name, step.line)


def _operands(step: Step) -> list[Numbers]:
    return [s.result for s in step.inputs if s is not None and s.result is not None]


def _broken_forward(cause: Cause, amount: str, step: Step) -> Explanation:
    if step.leaf:
        where = f"an input of shape {list(step.shape)} holds {step.result}"
    else:
        where = f"'{step.name}'{_at(step)} gives {step.result} from {'; '.join(map(str, _operands(step)))}"
    text = f"{amount}. They come from the forward pass: {where}. {BREAKS.get(step.name, '')}"
    return Explanation(cause, text.rstrip(), step.name, step.line)


def _vanished(target: Step, steps: list[Step], came: Numbers) -> Explanation:
    """A gradient of zeros: the first step that let nothing through."""
    for s, i, n in _edges(steps, target):
        if n.vanished and (s.gradient is None or not s.gradient.vanished):
            operand = s.inputs[i]
            ranges = (
                f", whose input lies within {operand.result}"
                if operand is not None and operand.result
                else ""
            )
            text = f"The gradient is zero: the slope of '{s.name}'{_at(s)}{ranges}, vanished on all of it. "
            return Explanation("zero", (text + VANISHES.get(s.name, "")).rstrip(), s.name, s.line, 1.0)
    step = _most_zeros(steps)
    text = "The gradient is zero: no single op lets nothing through, but together they do, or parts cancel."
    return Explanation("zero", text, *_blamed(step), 1.0)


def _most_zeros(steps: Sequence[Step]) -> Step | None:
    """The step that made the largest part of what came to it zero."""

    def made(s: Step) -> float:
        came = s.gradient.zeros / s.gradient.count if s.gradient and s.gradient.count else 0.0
        parts = [n.zeros / n.count for n in s.passed if n is not None and n.count]
        return max(parts, default=0.0) - came

    worst = max(steps, key=made, default=None)
    return worst if worst is not None and made(worst) > 0 else None


def _sized(steps: list[Step], came: Numbers) -> Explanation:
    """A huge or tiny gradient: its norms along the way, and the step that changed it most."""
    huge = came.mean_size >= LARGE

    def growth(s: Step) -> float:
        sizes = [n.norm for n in s.passed if n is not None]
        if not sizes or s.gradient is None or not s.gradient.norm or not max(sizes):
            return 1.0
        return max(sizes) / s.gradient.norm

    ranked = sorted(steps, key=growth, reverse=huge)
    worst = ranked[0] if ranked else None
    sizes = [f"{s.name} {s.gradient.norm:.3g}" for s in steps if s.gradient is not None]
    if len(sizes) > 8:
        sizes = [*sizes[:4], "...", *sizes[-3:]]
    text = f"The gradient is {'huge' if huge else 'tiny'}: norm {came.norm:.4g}. Norms on the way from the "
    text += f"loss: {', '.join(sizes)}."
    if worst is not None:
        text += f" '{worst.name}'{_at(worst)} changes it most, by a factor of {growth(worst):.3g}."
    if huge:
        text += " clip_grad_norm_, a smaller initial scale or a normalisation layer help."
    else:
        text += " A larger initial scale, residual connections or a normalisation layer help."
    return Explanation("huge" if huge else "tiny", text, *_blamed(worst))
