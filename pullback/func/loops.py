"""`scan`: a loop of known body, differentiable within a bound on memory.

What the backward pass needs of n steps is n times what one step saves. Checkpoints cut that: cut the
loop into b parts and keep the state between them only, and cut the parts in the same way, d deep. Then
b^(d+1) >= n steps need d b states and what b steps save, for at most d more runs of each step. `_least_plan`
picks the least d that fits. Read `scan` first.

The idea: Griewank, "Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
differentiation" (1992); Chen et al., "Training deep nets with sublinear memory cost" (2016).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from pullback import ops
from pullback.autograd.graph import saved_tensors_hooks
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.utils._pytree import tree_flatten, tree_unflatten
from pullback.utils.checkpoint import checkpoint

__all__ = ["scan"]


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    memory: int | None = None,
) -> tuple[Any, Any]:
    """Runs `carry, y = f(carry, x)` over the first dim of `xs`; the last carry and the y's, stacked.

    `init`, `xs`, the carry and y are tensors or nested containers of them, or None; the carry keeps its
    structure, shapes and dtypes. Without `xs`, f gets None, `length` times. With `reverse` the last x
    comes first, and the y's stay in the order of the x's. `memory` bounds, in bytes, what the graph keeps
    for the backward pass: checkpoints are set to stay below it, at the price of running steps again; a
    UserWarning says if even the leanest plan is above. TypeError if the carry changes; ValueError if
    lengths differ or are 0.

    >>> import pullback as torch
    >>> step = lambda total, x: (total + x, total * x)
    >>> torch.func.scan(step, torch.tensor(0.0), torch.tensor([1.0, 2.0, 3.0]))
    (tensor(6.), tensor([0., 2., 9.]))
    """
    leaves, form = tree_flatten(xs)
    lengths = {x.shape[0] for x in leaves if isinstance(x, Tensor)} | (
        {length} if length is not None else set()
    )
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"scan: the lengths of the loop must be one, and not 0: {sorted(lengths)}")
    (count,) = lengths
    columns = [x.unbind(0) if isinstance(x, Tensor) else (x,) * count for x in leaves]
    places = range(count - 1, -1, -1) if reverse else range(count)
    inputs = [tree_unflatten([c[i] for c in columns], form) for i in places]
    loop = _Loop(f, init)
    if memory is None or not _engine.grad_enabled():
        carry, outputs = loop.run(init, inputs)
    else:
        carry, outputs = loop.run_within(init, inputs, memory)
    if reverse:
        outputs.reverse()
    return carry, _stacked_steps(outputs)


class _Plan(NamedTuple):
    """How a loop is cut: `depth` times into `parts`."""

    depth: int
    parts: int


def _least_plan(count: int, state: int, step: int, memory: int) -> _Plan:
    """The plan of least recomputation whose peak of memory is within the bound, else the leanest.

    `state` and `step` are the bytes of a carry and of what a step saves.
    """
    best: tuple[float, _Plan] | None = None
    for depth in range(max(count.bit_length(), 1)):
        parts = count if depth == 0 else _whole_root(count, depth + 1)
        peak = parts * step + depth * parts * state
        if best is None or peak < best[0]:
            best = peak, _Plan(depth, parts)
        if peak <= memory:
            return _Plan(depth, parts)
    assert best is not None
    warnings.warn(
        f"scan: the leanest plan keeps about {int(best[0])} bytes, which is above the bound of {memory}",
        stacklevel=4,
    )
    return best[1]


def _whole_root(count: int, n: int) -> int:
    """The least b with b^n >= count."""
    b = max(1, int(count ** (1 / n)) - 1)
    while b**n < count:
        b += 1
    return b


class _Loop:
    """A body and the form of its carry."""

    def __init__(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any) -> None:
        self.f = f
        leaves, self.form = tree_flatten(init)
        self.looks = [_carry_form(x) for x in leaves]

    def run(self, carry: Any, inputs: list[Any]) -> tuple[Any, list[Any]]:
        """The steps one by one."""
        outputs = []
        for x in inputs:
            carry, y = self.step(carry, x)
            outputs.append(y)
        return carry, outputs

    def step(self, carry: Any, x: Any) -> tuple[Any, Any]:
        """One step; TypeError if it changes the form of the carry."""
        carry, y = self.f(carry, x)
        leaves, form = tree_flatten(carry)
        looks = [_carry_form(leaf) for leaf in leaves]
        if form != self.form or looks != self.looks:
            raise TypeError(f"scan: the carry changed from {self.looks} to {looks}")
        return carry, y

    def run_within(self, carry: Any, inputs: list[Any], memory: int) -> tuple[Any, list[Any]]:
        """The steps with checkpoints, as many as `memory` calls for."""
        state = sum(x.numel() * x.element_size() for x in tree_flatten(carry)[0] if isinstance(x, Tensor))
        plan = _least_plan(len(inputs), state, self.measure(carry, inputs), memory)
        return self.cut(carry, inputs, plan.depth, plan.parts)

    def measure(self, carry: Any, inputs: list[Any]) -> int:
        """The bytes that a step saves: what the third step adds, for constants are saved once for all,
        and the first carry may need no gradient."""
        sizes: dict[int, int] = {}

        def pack(x: Tensor) -> Tensor:
            sizes[x.data_ptr()] = x.numel() * x.element_size()
            return x

        held, before = [carry], 0  # kept, so that no memory of them is used again
        with saved_tensors_hooks(pack, lambda x: x), ops.fork_rng():
            for x in inputs[:3]:
                before = sum(sizes.values())
                held.extend(self.step(held[-1], x)[::-1])
        return sum(sizes.values()) - before

    def cut(self, carry: Any, inputs: list[Any], depth: int, parts: int) -> tuple[Any, list[Any]]:
        """The steps in parts, each a checkpoint, `depth` deep."""
        if depth == 0:
            return self.run(carry, inputs)
        size = max(1, -(-len(inputs) // parts))
        leaves, form = tree_flatten(carry)
        outputs: list[Any] = []
        for start in range(0, len(inputs), size):
            given, shape = tree_flatten(inputs[start : start + size])

            def part(*tensors: Any, shape: Any = shape, form: Any = form, n: int = len(leaves)) -> Any:
                end, ys = self.cut(
                    tree_unflatten(list(tensors[:n]), form),
                    tree_unflatten(list(tensors[n:]), shape),
                    depth - 1,
                    parts,
                )
                return tree_flatten(end)[0], ys

            leaves, ys = checkpoint(part, *leaves, *given, use_reentrant=False)
            outputs.extend(ys)
        return tree_unflatten(leaves, form), outputs


def _carry_form(x: Any) -> Any:
    return (tuple(x.shape), x.dtype) if isinstance(x, Tensor) else type(x)


def _stacked_steps(outputs: list[Any]) -> Any:
    """The outputs of all steps as one, each tensor with a new first dim."""
    columns = [tree_flatten(y) for y in outputs]
    form = columns[0][1]
    rows = [leaves for leaves, _ in columns]
    joined = [ops.stack(c) if isinstance(c[0], Tensor) else c[0] for c in zip(*rows, strict=True)]
    return tree_unflatten(joined, form)
