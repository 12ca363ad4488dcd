"""The derivatives of a call: gradients, gradients of gradients, tangents.

Each is held against PyTorch's. Where PyTorch has none, or another, central differences decide for the
gradients, and for the tangents the adjoint identity <u, J v> = <J' u, v>.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad as their_forward

import pullback
from pullback.autograd import forward_ad as our_forward

from . import draw
from .calls import AHEAD, SKIP, Call, Differs, as_near, attempt, close, is_tensor, leaves
from .translate import for_ours, for_theirs, mapped, to_numpy


def noise(shape: Any, dtype: Any, number: int) -> np.ndarray:
    """Normal numbers of a dtype, the same for both libraries."""
    rng = np.random.default_rng(number)
    kind = np.dtype(str(dtype).rpartition(".")[2])
    drawn = rng.standard_normal(tuple(shape))
    if kind.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(tuple(shape))
    return np.asarray(drawn, kind)


def real_product(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The sum of Re(conj(a) b)."""
    return float(sum(np.sum(np.conj(x) * y).real for x, y in zip(a, b, strict=True)))


class Side:
    """One library's run of a call for its derivatives: the inputs, the outputs, the gradients."""

    def __init__(self, library: Any, function: Any, translate: Any, call: Call) -> None:
        self.library, self.function, self.call, self.translate = library, function, call, translate
        self.args, self.kwargs = translate(call.args, call.kwargs)
        self.grads: Any = ()
        self.starts: list[Any] = []
        self.inputs = unique(t for t in leaves([self.args, self.kwargs]) if is_tensor(t) and t.requires_grad)

    def run(self) -> list[Any]:
        """The outputs that may have a derivative."""
        self.library.manual_seed(0)
        found = leaves(self.function(*self.args, **self.kwargs))
        return [y for y in found if is_tensor(y) and (y.dtype.is_floating_point or y.dtype.is_complex)]

    def make(self, like: Any, number: int, grad: bool) -> Any:
        made = self.library.from_numpy(noise(like.shape, like.dtype, number))
        return made.requires_grad_(grad)

    def grad(self, ends: list[Any], sources: list[Any], number: int, graph: bool) -> tuple[Any, Any]:
        """Gradients of the ends in random directions, and the directions."""
        starts = [self.make(y, number + i, graph) for i, y in enumerate(ends)]
        found = self.library.autograd.grad(ends, sources, starts, create_graph=graph, allow_unused=True)
        return found, starts

    def moved(self, ends: Any, steps: list[np.ndarray], size: float) -> list[np.ndarray]:
        """The values of `ends` with the inputs moved along `steps`, which are put back."""
        homes = [to_numpy(x).copy() for x in self.inputs]
        for x, home, step in zip(self.inputs, homes, steps, strict=True):
            x.detach().copy_(pullback.from_numpy(np.asarray(home + size * step)))
        found = [to_numpy(y).copy() for y in ends()]  # an output may be an input itself
        for x, home in zip(self.inputs, homes, strict=True):
            x.detach().copy_(pullback.from_numpy(home))
        return found


def unique(things: Any) -> list[Any]:
    """The things in order, each once."""
    return list({id(t): t for t in things}.values())


def dense(grads: Any, sources: Any) -> list[np.ndarray]:
    """Gradients as arrays; none is zero."""
    return [
        np.zeros(tuple(x.shape), noise((), x.dtype, 0).dtype) if g is None else to_numpy(g)
        for g, x in zip(grads, sources, strict=True)
    ]


class Gradients:
    """First and second gradients and the tangents of a call, each against PyTorch's."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.verdict = None
        self.rtol, self.atol = draw.tolerance(call.row, call.dtype)
        if call.dtype is torch.float32:
            self.rtol, self.atol = max(self.rtol, 1e-4), max(self.atol, 1e-4)

    def sides(self) -> tuple[Side, Side]:
        theirs, mine = self.call.differentiated()
        return Side(torch, theirs, for_theirs, self.call), Side(pullback, mine, for_ours, self.call)

    def first(self) -> Any:
        """Gradients of all outputs with a graph."""
        them, us = self.sides()
        expected = attempt(self._first_of, them)
        if expected is None:
            found = attempt(self._first_of, us)
            if found is None or self.call.dtype is torch.float32:
                return SKIP
            return self._ahead(us, found)
        self.verdict = self._settle(us, expected, self._first_of(us))
        return self.verdict

    def _first_of(self, side: Side) -> list[np.ndarray] | None:
        ends = [y for y in side.run() if y.requires_grad]
        if not ends:
            raise Differs("the result has no gradient")
        side.grads, side.starts = side.grad(ends, side.inputs, 10, graph=True)
        return dense(side.grads, side.inputs)

    def second(self) -> Any:
        """Gradients of the gradients, with respect to the inputs and to the first directions."""
        them, us = self.sides()
        expected = attempt(self._second_of, them)
        if expected is None:
            found = attempt(self._second_of, us)
            if found is None:
                return SKIP
            return self._ahead_twice(us, found)
        return self._settle(us, expected, self._second_of(us), twice=True)

    def _second_of(self, side: Side) -> list[np.ndarray]:
        self._first_of(side)
        ends = [g for g in side.grads if g is not None and g.requires_grad]
        if not ends:
            raise Differs("the gradient has no gradient")
        sources = side.inputs + side.starts
        found, _ = side.grad(ends, sources, 50, graph=False)
        return dense(found, sources)

    def _settle(self, us: Side, expected: Any, found: Any, twice: bool = False) -> Any:
        """Equal, or, where the libraries differ, Pullback alone in agreement with differences."""
        try:
            close(expected, found, self.rtol, self.atol)
        except Differs:
            if self.call.dtype is torch.float32:
                return self._by_float64(expected, found)
            judge = self._ahead_twice if twice else self._ahead
            if attempt(judge, us, found) is not AHEAD:
                raise
            if attempt(judge, us, expected) is AHEAD and self.verdict is not AHEAD:
                raise
            return AHEAD
        return None

    def _by_float64(self, expected: Any, found: Any) -> Any:
        """A float32 gradient is as near as PyTorch's to the float64 one, or that is ahead."""
        wide = Gradients(self.call.widened())
        if attempt(wide.first) is AHEAD:
            return AHEAD
        exact = attempt(wide._first_of, wide.sides()[0])
        if exact is None or not as_near(exact, expected, found):
            close(expected, found, self.rtol, self.atol)
        return None

    def _ahead(self, us: Side, grads: list[np.ndarray]) -> Any:
        """Gradients that PyTorch lacks, against central differences along a random direction."""
        return self._differences(us, grads, lambda: [y for y in us.run() if y.requires_grad], 10)

    def _ahead_twice(self, us: Side, grads: list[np.ndarray]) -> Any:
        """The same for the gradients of gradients."""

        def ends() -> list[Any]:
            self._first_of(us)
            return [g for g in us.grads if g is not None and g.requires_grad]

        return self._differences(us, grads[: len(us.inputs)], ends, 50)

    def _differences(self, us: Side, grads: list[np.ndarray], ends: Any, number: int) -> Any:
        """The claimed slope along a random direction, against central differences of two widths."""
        values = list(map(to_numpy, tips := ends()))
        defined = [np.isfinite(v) for v in values]
        finite = [np.isfinite(g) for g in grads]
        whole = all(d.all() for d in defined)
        if whole and not all(f.all() for f in finite):
            raise Differs("gradient is not finite, the values are (PyTorch has none)")
        if any("float16" in str(y.dtype) for y in tips) or not any(a.any() for a in (*defined, *finite)):
            return SKIP  # the steps are below its precision, or nothing has a value
        starts = [np.where(d, noise(d.shape, y.dtype, number + i), 0) for i, (d, y) in places(defined, tips)]
        steps = [np.where(f, noise(f.shape, x.dtype, 90 + i), 0) for i, (f, x) in places(finite, us.inputs)]
        slopes = []
        for width in (1e-6, 5e-7):
            moved = [us.moved(ends, steps, size) for size in (width, -width)]
            high, low = ([np.where(d, v, 0) for d, v in zip(defined, m, strict=True)] for m in moved)
            slopes.append((real_product(starts, high) - real_product(starts, low)) / (2 * width))
        claimed = real_product([np.where(f, g, 0) for f, g in zip(finite, grads, strict=True)], steps)
        if not abs(slopes[0] - slopes[1]) <= 1e-3 * max(1.0, abs(slopes[0])):
            return SKIP  # not smooth enough for differences to tell
        if abs(slopes[0] - claimed) <= 1e-4 * max(1.0, abs(slopes[0]), abs(claimed)):
            return AHEAD
        if not whole:
            return SKIP  # an input also went into a result without a value
        raise Differs(f"gradient {claimed:.6g}, differences give {slopes[0]:.6g} (PyTorch has none)")

    def forward_mode(self) -> Any:
        """Tangents against PyTorch's, or by the adjoint identity where it has none."""
        them, us = self.sides()
        expected = attempt(tangents, them, torch, their_forward)
        if expected is None:
            found = attempt(tangents, us, pullback, our_forward)
            grads = attempt(self._first_of, us)
            if found is None or grads is None:
                return SKIP
            return self._adjoint(us, found, grads)
        found = tangents(us, pullback, our_forward)
        try:
            close(expected, found, self.rtol, self.atol)
        except Differs:
            grads = attempt(self._first_of, us)
            if grads is None or attempt(self._adjoint, us, found, grads) is not AHEAD:
                raise
            if attempt(self._adjoint, us, expected, grads) is AHEAD:
                raise
            return AHEAD
        return None

    def _adjoint(self, us: Side, found: list[np.ndarray], grads: list[np.ndarray]) -> Any:
        directions = [noise(x.shape, x.dtype, 70 + i) for i, x in enumerate(us.inputs)]
        ends = [y.requires_grad for y in us.run()]
        pushed = [t for t, has in zip(found, ends, strict=True) if has]
        left = real_product([noise(t.shape, t.dtype, 10 + i) for i, t in enumerate(pushed)], pushed)
        right = real_product(grads, directions)
        if np.isnan(left) and np.isnan(right):
            return SKIP
        if not abs(left - right) <= 1e-6 * max(1.0, abs(left), abs(right)):
            raise Differs(f"<u, Jv> = {left:.6g}, <J'u, v> = {right:.6g}")
        return AHEAD


def places(*lists: list[Any]) -> Any:
    """Their elements side by side, counted."""
    return enumerate(zip(*lists, strict=True))


def tangents(side: Side, library: Any, forward: Any) -> list[np.ndarray]:
    """The tangents of the outputs for random tangents of the inputs."""
    with forward.dual_level():
        twins = {
            id(x): forward.make_dual(x.detach(), side.make(x, 70 + i, False))
            for i, x in enumerate(side.inputs)
        }
        args, kwargs = mapped((side.args, side.kwargs), lambda x: twins.get(id(x), x))
        library.manual_seed(0)
        outs = [y for y in leaves(side.function(*args, **kwargs)) if is_tensor(y)]
        outs = [y for y in outs if y.dtype.is_floating_point or y.dtype.is_complex]
        found = [forward.unpack_dual(y).tangent for y in outs]
        if library is torch and all(t is None for t in found):
            raise Differs("the result has no tangent")
        return dense(found, outs)
