"""Formulas: elementwise rules for lists of tensors, written once, run by ops or as one compiled program.

    @formula
    def momentum(param, grad, buffer, *, factor, rate):
        buffer = buffer * factor + grad
        return param - buffer * rate, None, buffer

    momentum([params, grads, buffers], {"factor": 0.9, "rate": 0.1})

A formula takes tensors of one shape and dtype, numbers by keyword, and flags. It returns what each tensor is
to become, None for one that stays. The call writes that into the tensors of all lists: in one pass over
memory, by a program of elementwise steps (kernels/programs.h), which the formula is traced to with stand-ins
for its tensors and numbers; or, where ops are recorded or tensors are unusual, by the ops themselves. Both
give the same bits: a step is what the op does, rounded where the op rounds.

So that it can be traced, a formula uses only the operators and methods that `Traced` has, numbers enter only
in operations with tensors, and branches depend on flags alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Program, Tensor, grad_enabled, run_program
from pullback.kernels.programs import REGISTERS, RUNS, STEPS


class Traced:
    """What stands for a tensor or a number while a formula is traced: a value with a number of its own."""

    __slots__ = ("is_number", "trace")

    def __init__(self, trace: Trace, is_number: bool = False) -> None:
        self.trace, self.is_number = trace, is_number

    def __add__(self, other: Any) -> Traced:
        return self.trace.step("add", self, other)

    def __radd__(self, other: Any) -> Traced:
        return self.trace.step("add", other, self)

    def __sub__(self, other: Any) -> Traced:
        return self.trace.step("sub", self, other)

    def __rsub__(self, other: Any) -> Traced:
        return self.trace.step("sub", other, self)

    def __mul__(self, other: Any) -> Traced:
        return self.trace.step("mul", self, other)

    def __rmul__(self, other: Any) -> Traced:
        return self.trace.step("mul", self, other)

    def __truediv__(self, other: Any) -> Traced:
        if self.is_number:
            return self.trace.quotient(self, other)
        return self.trace.step("div", self, other)

    def __rtruediv__(self, other: Any) -> Traced:
        return self.trace.quotient(other, self)

    def __neg__(self) -> Traced:
        return self.trace.step("neg", self)

    def __gt__(self, other: Any) -> Traced:
        return self.trace.step("gt", self, other)

    def __lt__(self, other: Any) -> Traced:
        return self.trace.step("lt", self, other)

    def abs(self) -> Traced:
        return self.trace.step("abs", self)

    def sign(self) -> Traced:
        return self.trace.step("sign", self)

    def sqrt(self) -> Traced:
        return self.trace.step("sqrt", self)

    def maximum(self, other: Any) -> Traced:
        return self.trace.step("maximum", self, other)

    def clamp(self, min: Any, max: Any) -> Traced:
        return self.trace.step("minimum", self.trace.step("maximum", self, min), max)

    def where(self, condition: Any, other: Any) -> Traced:
        return self.trace.step("where", condition, self, other)

    def masked_fill(self, mask: Any, value: Any) -> Traced:
        return self.trace.step("where", mask, value, self)

    def lerp(self, end: Any, weight: Any) -> Traced:
        return self.trace.step("lerp", self, end, number=weight)

    def add(self, other: Any, *, alpha: Any) -> Traced:
        return self.trace.step("add_scaled", self, other, number=alpha)

    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Any) -> Traced:
        return self.trace.step("addcmul", self, tensor1, tensor2, number=value)

    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: Any) -> Traced:
        return self.trace.step("addcdiv", self, tensor1, tensor2, number=value)


class Trace:
    """The steps of a formula, in order."""

    def __init__(self) -> None:
        self.steps: list[Any] = []  # (kind, result, three operands, number or None)
        self.constants: dict[float, Traced] = {}

    def value(self, x: Any) -> Traced:
        """An operand: a traced value, or a number that the formula itself holds."""
        if isinstance(x, Traced):
            return x
        return self.constants.setdefault(float(x), Traced(self, True))

    def step(self, kind: str, *operands: Any, number: Any = None) -> Traced:
        """One step more; its result."""
        values = [self.value(x) for x in operands]
        if all(value.is_number for value in values):
            raise TypeError(f"a formula computes with tensors: {kind} of numbers belongs before its call")
        result = Traced(self)
        last = None if number is None else self.value(number)
        self.steps.append((kind, result, values + [values[0]] * (3 - len(values)), last))
        return result

    def quotient(self, number: Any, tensor: Any) -> Traced:
        """A number over a tensor: that times the reciprocal, as by the op."""
        return self.step("mul", self.step("div", 1.0, tensor), number)

    def program(
        self, tensors: Sequence[Traced], numbers: Sequence[Traced], results: Sequence[Any], name: str
    ) -> Program:
        """The program that makes `results` of the tensors; constants stand behind the other numbers.

        Profilers call it by `name`.
        """
        written = [r is not None and r is not t for t, r in zip(tensors, results, strict=True)]
        pairs = [(t, r) for t, r, changes in zip(tensors, results, written, strict=True) if changes]
        pairs.sort(key=lambda pair: pair[1] not in tensors)  # those that take over another tensor come first
        steps = _folded([*self.steps, *(("copy", t, [r] * 3, None) for t, r in pairs)], set(tensors))
        given = [*tensors, *numbers, *self.constants.values()]
        place = {value: k for k, value in enumerate(given)}
        last = {x: k for k, (_, _, operands, _) in enumerate(steps) for x in operands}
        free: list[int] = []
        most = len(given)
        words: list[int] = []
        for k, (kind, to, operands, number) in enumerate(steps):
            read = [place[x] for x in operands]
            for x in dict.fromkeys(operands):
                if last[x] == k and place[x] >= len(given):
                    free.append(place[x])
            if to not in place:
                place[to] = free.pop() if free else most
                most = max(most, place[to] + 1)
            words += [STEPS[kind], place[to], *read, 0 if number is None else place[number] - len(tensors)]
        if most > REGISTERS:
            raise ValueError(f"a formula of {most} values; {REGISTERS} is the most")
        head = [len(tensors), len(given) - len(tensors), most, len(steps)]
        return Program([*head, *map(int, written), *words], RUNS, name)


def _folded(steps: list[Any], tensors: set[Traced]) -> list[Any]:
    """The steps with those that only copy a result into a tensor left out, where nothing is read between.

    The step that makes the result writes it into the tensor itself, and later steps read it there.
    """
    for k in reversed(range(len(steps))):
        kind, tensor, (source, *_), _ = steps[k]
        if kind != "copy" or source in tensors:
            continue
        made = next(j for j in range(k) if steps[j][1] is source)
        if any(tensor in operands or to is tensor for _, to, operands, _ in steps[made + 1 : k]):
            continue
        steps[made] = (steps[made][0], tensor, *steps[made][2:])
        del steps[k]
        for j in range(made + 1, len(steps)):
            name, to, operands, number = steps[j]
            steps[j] = (name, to, [tensor if x is source else x for x in operands], number)
    return steps


class Formula:
    """A rule for lists of tensors; see the head of the file."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.__doc__, self.__name__ = function, function.__doc__, function.__name__
        self.programs: dict[Any, tuple[Program, tuple[float, ...]]] = {}

    def __call__(self, lists: Sequence[list[Any]], numbers: dict[str, Any], **flags: bool) -> None:
        """Writes what the formula gives for the first tensors of `lists`, for the second, ..., into them.

        Numbers may be 0-dim tensors; those that require a gradient are recorded.
        """
        key = (len(lists), *flags.values())
        found = self.programs.get(key)
        if found is None:
            found = self.programs[key] = self.trace(len(lists), list(numbers), flags)
        program, constants = found
        if grad_enabled():
            left = list(range(len(lists[0])))
        else:
            left = run_program(program, tuple(lists), (*numbers.values(), *constants))
        for i in left:
            self.by_ops([tensors[i] for tensors in lists], numbers, flags)

    def by_ops(self, tensors: list[Tensor], numbers: dict[str, Any], flags: dict[str, bool]) -> None:
        """The formula on one tensor of each list, by ops, which are recorded if grad mode is on."""
        tensors = [ops.view_as_real(t) if t.is_complex() else t for t in tensors]
        # what the graph saves of a tensor is not to be what is written to
        given = [t.clone() for t in tensors] if grad_enabled() else tensors
        results = self.function(*given, **numbers, **flags)
        for t, before, result in zip(tensors, given, results, strict=True):
            if result is not None and result is not before:
                t.copy_(result)

    def trace(
        self, count: int, numbers: list[str], flags: dict[str, bool]
    ) -> tuple[Program, tuple[float, ...]]:
        """The program for so many lists and these flags, and the numbers that the formula itself holds."""
        trace = Trace()
        tensors = [Traced(trace) for _ in range(count)]
        given = [Traced(trace, True) for _ in numbers]
        results = self.function(*tensors, **dict(zip(numbers, given, strict=True)), **flags)
        return trace.program(tensors, given, results, self.__name__), tuple(trace.constants)


def formula(function: Callable[..., Any]) -> Formula:
    """A formula made of its function; see the head of the file."""
    return Formula(function)


@functools.cache
def one_step(kind: str, tensors: int, numbers: int) -> Program | None:
    """The program of a single step, into the first of its tensors; None if its operands do not fit it."""
    fused = kind in ("addcmul", "addcdiv", "lerp")
    trace = Trace()
    given = [Traced(trace) for _ in range(tensors)]
    more = [Traced(trace, True) for _ in range(numbers)]
    if fused and numbers != 1:
        return None
    result = trace.step(kind, *given, *more[: numbers - fused], number=more[-1] if fused else None)
    return trace.program(given, more, [result] + [None] * (tensors - 1), kind)


def plus_scaled(x: Any, other: Any, value: Any) -> Any:
    """`x + value * other`; gradients flow to a `value` that is a tensor."""
    return x + value * other if isinstance(value, Tensor) else x.add(other, alpha=value)


def plus_product(x: Any, tensor1: Any, tensor2: Any, value: Any) -> Any:
    """`x + value * tensor1 * tensor2`; gradients flow to a `value` that is a tensor."""
    if isinstance(value, Tensor):
        return x + value * tensor1 * tensor2
    return x.addcmul(tensor1, tensor2, value=value)


def plus_quotient(x: Any, tensor1: Any, tensor2: Any, value: Any) -> Any:
    """`x + value * tensor1 / tensor2`; gradients flow to a `value` that is a tensor."""
    if isinstance(value, Tensor):
        return x + value * tensor1 / tensor2
    return x.addcdiv(tensor1, tensor2, value=value)


def mean_of(x: Any, end: Any, weight: Any) -> Any:
    """`x + weight * (end - x)`; gradients flow to a `weight` that is a tensor."""
    return x + weight * (end - x) if isinstance(weight, Tensor) else x.lerp(end, weight)
