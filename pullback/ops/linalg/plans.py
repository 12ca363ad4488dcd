"""Plans of linear algebra: steps of LAPACK, and of NumPy's loops for matrices, on stacks of matrices.

LAPACK works on `packed` stacks: matrices one after another, column by column. What an op is given is copied
into such, which may be a result. NumPy's loops copy by themselves. If a step finds a matrix singular, or what
else depends on numbers, the op's kernel is run once more, to say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from pullback.core._plans import Spec
from pullback.core.dtypes import dtype, int32
from pullback.core.types import Array
from pullback.kernels import factorings, steps
from pullback.ops.shared.chains import CONSTANT, Chain, Operand, Place, Step, merged, operand, words_of

BLOCK = 32
"""The columns that LAPACK's blocked routines take at once."""


class Matrices(Chain):
    """Steps on stacks of matrices whose leading dims broadcast to `stack`."""

    def __init__(self, inputs: int, stack: tuple[int, ...], kind: dtype, results: Any) -> None:
        super().__init__(inputs, results)
        self.kind = kind
        self.leading: dict[Hashable, int] = dict(zip(range(-len(stack), 0), stack, strict=True))
        self.count = math.prod(stack)

    def matrices(self, place: Place, spec: Spec) -> Operand:
        """A tensor as a stack of matrices with the dims i and j."""
        return operand(place, spec, [*range(2 - spec.ndim, 0), "i", "j"])

    def packed(self, rows: int, columns: int, place: Place | None = None) -> Operand:
        """A new stack, in scratch or where a result stands."""
        return self.room(self.kind, {**self.leading, "j": columns, "i": rows}, place)

    def copy(self, x: Operand, to: Operand) -> None:
        """Writes a stack into another."""
        self.pointwise(np.positive, x, to)

    def integers(self, count: int) -> Operand:
        """Room for pivots of each matrix."""
        return self.room(int32, {**self.leading, "i": count})

    def routine(self, name: str, *numbers: int, places: tuple[Place, ...], work: int = 0) -> None:
        """A step that calls LAPACK on each matrix."""
        item = self.kind.itemsize
        geometry = (factorings.routine_of(name, self.kind.name), item, *numbers)
        self.add(Step(factorings.RUNS[name], geometry, self.count, work * item), *places)

    def unit(self, to: Operand) -> None:
        """Unit matrices."""
        geometry = (self.kind.itemsize, to.sizes["i"], to.sizes["j"], *words_of(1, self.kind))
        self.add(Step(factorings.RUNS["unit"], geometry, self.count), to.place, Place(CONSTANT, 24))

    def upper(self, x: Operand, to: Operand) -> None:
        """The upper triangle of the first rows of a stack."""
        geometry = (self.kind.itemsize, to.sizes["i"], to.sizes["j"], x.sizes["i"])
        self.add(Step(factorings.RUNS["upper"], geometry, self.count), x.place, to.place)

    def lu(self, x: Operand, pivots: Place, codes: Place, checked: bool) -> None:
        """Factors a stack in its place."""
        numbers = (x.sizes["i"], x.sizes["j"], int(checked))
        self.routine("getrf", *numbers, places=(x.place, pivots, codes))

    def solve_lu(self, factors: Operand, pivots: Place, x: Operand, way: str = "N") -> None:
        """Solves systems in the place of their right sides: `way` is N, T or C."""
        numbers = (x.sizes["i"], x.sizes["j"], ord(way))
        self.routine("getrs", *numbers, places=(factors.place, pivots, x.place))

    def triangular(self, factor: Operand, x: Operand, upper: bool, left: bool, unit: bool) -> None:
        """Solves systems with triangles in the place of their right sides."""
        flags = [ord(c) for c in ("L" if left else "R", "U" if upper else "L", "N", "U" if unit else "N")]
        numbers = (x.sizes["i"], x.sizes["j"], *flags, *words_of(1, self.kind))
        self.routine("trsm", *numbers, places=(factor.place, x.place, Place(CONSTANT, 64)))

    def check_finite(self, x: Operand) -> None:
        """Ends with a status if there is an infinite number or a NaN."""
        real = self.kind.to_real()
        parts = [(2, real.itemsize)] if x.dtype.is_complex else []
        order = sorted(x.sizes, key=lambda label: -abs(x.steps[label]))
        dims = merged([*((x.sizes[label], x.steps[label]) for label in order), *parts]) or [(1, 0)]
        geometry = (len(dims), *[n for dim in dims for n in dim])
        count = math.prod(size for size, _ in dims[:-1])
        self.add(Step(factorings.RUNS[f"finite_{real.name}"], geometry, count), x.place)

    def poison(self, x: Operand, *results: Operand) -> None:
        """Makes NaN of what came of matrices that are not finite; `x` is packed."""
        real = self.kind.to_real()
        for result in results:
            counts = [
                math.prod(n for label, n in o.sizes.items() if label in ("i", "j")) * (1 + o.dtype.is_complex)
                for o in (x, result)
            ]
            run = factorings.RUNS[f"poison_{real.name}"]
            self.add(Step(run, tuple(counts), self.count), x.place, result.place)

    def loop(self, ufunc: Any, sizes: tuple[int, ...], *operands: Operand) -> None:
        """A loop of NumPy's for matrices, on the dims i, and i and j, of each operand."""
        own = [x.step(label) for x in operands for label in ("i", "j") if label in x.sizes]
        order = sorted(self.leading, key=lambda label: -abs(operands[-1].step(label)))
        leading = merged((self.leading[x], *[o.step(x) for o in operands]) for x in order)
        geometry = [*steps.matrix_loop(ufunc, self.kind.numpy.num), len(operands), len(sizes), len(own)]
        geometry += [*sizes, *own, len(leading), *[n for dim in leading for n in dim]]
        self.add(Step(factorings.RUNS["matrices"], tuple(geometry), self.count), *[x.place for x in operands])

    def vectors(self, place: Place, kind: dtype, count: int | None = None) -> Operand:
        """A stack of vectors, or numbers, where a result stands."""
        return self.room(kind, self.leading if count is None else {**self.leading, "i": count}, place)


def said_by(kernel: Callable[..., Any]) -> Callable[..., Exception | None]:
    """For `refuse`: the exception that the kernel raises for these arrays, if it does."""

    def refuse(status: int, *arrays: Array) -> Exception | None:
        try:
            kernel(*arrays)
        except RuntimeError as error:
            return error
        return None

    return refuse
