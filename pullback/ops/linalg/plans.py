"""Plans of linear algebra: steps of LAPACK, and of NumPy's loops for matrices, on stacks of matrices.

LAPACK works on `packed` stacks: matrices one after another, column by column. What an op is given is copied
into such, which may be a result. NumPy's loops copy by themselves. If a step finds a matrix singular, or what
else depends on numbers, the op's kernel is run once more, to say so.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pullback.core._plans import Spec
from pullback.core.dtypes import dtype, int32
from pullback.core.settings import blas_threads
from pullback.core.types import Array
from pullback.kernels import factorings, steps
from pullback.kernels.moves import RUNS as MOVES
from pullback.ops.products.plans import readable
from pullback.ops.shared.chains import (
    CONSTANT,
    SCRATCH,
    Chain,
    Operand,
    Place,
    Step,
    merged,
    operand,
    words_of,
)

BLOCK = 32
"""The columns that LAPACK's blocked routines take at once."""


THREADS_FROM = 256 * 256
"""Elements of a matrix from which on OpenBLAS has threads for LAPACK; below they make it slower."""


WORK_OF_ORMQR = 65 * 64
"""Elements of work space that `ormqr` wants besides those for its blocks."""


@functools.cache
def _know_blas() -> None:
    """Tells the kernels, once, how the threads of BLAS are set."""
    for pair in blas_threads():
        get, set_ = (ctypes.cast(f, ctypes.c_void_p).value or 0 for f in pair)
        factorings.know_blas(get, set_)


def is_small(elements: int) -> bool:
    """Whether matrices of at most so many elements are worked on without threads of BLAS."""
    _know_blas()
    return 0 < elements < THREADS_FROM


@contextlib.contextmanager
def alone(elements: int) -> Iterator[None]:
    """Small matrices are worked on without threads of BLAS."""
    small = is_small(elements)
    if small:
        factorings.alone(1)
    try:
        yield
    finally:
        if small:
            factorings.alone(-1)


class Form(NamedTuple):
    """Which system is solved: `op(A) X = B`, or `X op(A) = B` unless `left`; op is the adjoint or nothing."""

    left: bool = True
    adjoint: bool = False

    @property
    def transposed(self) -> bool:
        """Whether the transposed matrix stands on the left once X and B are transposed for `X op(A) = B`."""
        return self.left == self.adjoint


def transposed_operand(x: Operand) -> Operand:
    """A stack of matrices, transposed."""
    return x.renamed({"i": "j", "j": "i"})


def len_of(x: Operand) -> int:
    """The elements of a matrix."""
    return x.sizes["i"] * x.sizes["j"]


def bytes_of(x: Operand, leading: Collection[Hashable]) -> int:
    """The bytes of a matrix, or of its vector, of a packed stack."""
    return math.prod(n for y, n in x.sizes.items() if y not in leading) * x.dtype.itemsize


class Matrices(Chain):
    """Steps on stacks of matrices whose leading dims broadcast to `stack`."""

    def __init__(self, inputs: int, stack: tuple[int, ...], kind: dtype, results: Any) -> None:
        super().__init__(inputs, results)
        self.kind = kind
        self.leading: dict[Hashable, int] = dict(zip(range(-len(stack), 0), stack, strict=True))
        self.count = math.prod(stack)
        self.largest = 0

    def wrapped(self, run: Any, geometry: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        """On small matrices BLAS works without threads."""
        if not is_small(self.largest):
            return run, geometry
        return factorings.RUNS["alone"], (steps.address(run), *geometry)

    def matrices(self, place: Place, spec: Spec) -> Operand:
        """A tensor as a stack of matrices with the dims i and j."""
        self.largest = max(self.largest, math.prod(spec.shape[-2:]))
        return operand(place, spec, [*range(2 - spec.ndim, 0), "i", "j"])

    def packed(self, rows: int, columns: int, place: Place | None = None) -> Operand:
        """A new stack, in scratch or where a result stands."""
        self.largest = max(self.largest, rows * columns)
        return self.room(self.kind, {**self.leading, "j": columns, "i": rows}, place)

    def integers(self, count: int, place: Place | None = None) -> Operand:
        """Room for pivots of each matrix."""
        return self.room(int32, {**self.leading, "i": count}, place)

    def contiguous_vectors(self, place: Place, spec: Spec) -> Operand:
        """A tensor as packed vectors, one for each matrix."""
        x = operand(place, spec, [*range(1 - spec.ndim, 0), "i"])
        return x if spec.contiguous else self.copied(x)

    def pivots(self, place: Place, spec: Spec) -> Operand:
        """A tensor of pivots, those of a matrix one after another."""
        x = operand(place, spec, [*range(1 - spec.ndim, 0), "i"])
        return x if x.step("i") in (0, spec.dtype.itemsize) else self.copied(x)

    def routine(
        self,
        name: str,
        *arguments: int | str | Operand | Place,
        info: Place | None = None,
        checked: bool = False,
        work: int = 0,
    ) -> None:
        """A step that calls LAPACK on each matrix.

        Numbers and letters are constants, a `Place` in scratch is work space, operands are packed. The last
        argument, LAPACK's code, goes to `info`, if anywhere.
        """
        geometry = [factorings.routine_of(name, self.kind.name), int(checked), len(arguments) + 1]
        places: list[Place] = []
        count = 1
        for x in arguments:
            if isinstance(x, Operand):
                geometry += [len(places), bytes_of(x, self.leading)]
                places.append(x.place)
                count = math.prod(n for y, n in x.sizes.items() if y in self.leading)
            elif isinstance(x, Place):
                geometry += [SCRATCH, x.offset]
            else:
                geometry += [CONSTANT, ord(x) if isinstance(x, str) else x]
        geometry += [CONSTANT, 0] if info is None else [len(places), int32.itemsize]
        places += [] if info is None else [info]
        run = factorings.RUNS["lapack"]
        self.add(Step(run, tuple(geometry), count, work * self.kind.itemsize), *places)

    def factored(self, a: Operand) -> tuple[Operand, Operand]:
        """The LU factors and the pivots of a stack, in scratch."""
        n = a.sizes["i"]
        factors, pivots = self.packed(n, a.sizes["j"]), self.integers(min(n, a.sizes["j"]))
        self.copy(a, factors)
        self.lu(factors, pivots, None, False)
        return factors, pivots

    def determinant(self, factors: Operand, pivots: Operand, to: Operand) -> None:
        """Writes the determinants of factored matrices."""
        run = factorings.RUNS[f"determinant_{self.kind.name}"]
        self.add(Step(run, (factors.sizes["i"],), self.count), factors.place, pivots.place, to.place)

    def diagonal(self, x: Operand, number: int = 1) -> None:
        """Writes a number on the diagonals of packed matrices."""
        n, m = x.sizes["i"], x.sizes["j"]
        few, step = min(n, m), x.step("i") + x.step("j")
        geometry = (self.kind.itemsize, n * m, step, few, *words_of(number, self.kind))
        self.add(Step(factorings.RUNS["diagonal"], geometry, self.count), x.place, Place(CONSTANT, 32))

    def unit(self, x: Operand) -> None:
        """Unit matrices."""
        self.zero(x)
        self.diagonal(x)

    def triangle(self, x: Operand, to: Operand, lower: bool, diagonal: int = 0) -> None:
        """Writes triangles of a stack into one that lies row by row, with zeros beside them."""
        rows, columns = to.sizes["i"], to.sizes["j"]
        outer = [n for y in self.leading for n in (self.leading[y], x.step(y))]
        geometry = (int(lower), diagonal, rows, columns, x.step("i"), x.step("j"), len(outer) // 2, *outer)
        run = MOVES["triangle"][self.kind.itemsize]
        self.add(Step(run, geometry, self.count * rows), x.place, to.place)

    def permutation(self, pivots: Operand, to: Operand) -> None:
        """Writes the matrices P, row by row, that belong to pivots."""
        rows = to.sizes["i"]
        leading = self._leading(to, pivots)
        geometry = (self.kind.itemsize, rows, pivots.sizes["i"], *leading)
        one = Place(CONSTANT, 8 * len(geometry))
        run, words = factorings.RUNS["permutation"], words_of(1, self.kind)
        self.add(Step(run, (*geometry, *words), self.count, 8 * rows), pivots.place, to.place, one)

    def _leading(self, by: Operand, *operands: Operand) -> list[int]:
        """The leading dims in the order in which they lie in `by`: how many, {size, step of each operand}."""
        order = sorted((y for y in self.leading if y in by.sizes), key=lambda y: -abs(by.step(y)))
        dims = merged((by.sizes[y], *[x.step(y) for x in operands]) for y in order)
        return [len(dims), *[n for dim in dims for n in dim]]

    def upper(self, x: Operand, to: Operand) -> None:
        """The upper triangle of the first rows of a stack."""
        geometry = (self.kind.itemsize, to.sizes["i"], to.sizes["j"], x.sizes["i"])
        self.add(Step(factorings.RUNS["upper"], geometry, self.count), x.place, to.place)

    def lu(self, x: Operand, pivots: Operand, codes: Place | None, checked: bool) -> None:
        """Factors a stack in its place."""
        m, n = x.sizes["i"], x.sizes["j"]
        if m and n:
            self.routine("getrf", m, n, x, m, pivots, info=codes, checked=checked)
        elif codes is not None:
            self.zero(self.room(int32, {y: k for y, k in x.sizes.items() if y in self.leading}, codes))

    def reflectors(self, x: Operand, scales: Operand) -> None:
        """Makes R and reflectors of a stack in its place."""
        m, n = x.sizes["i"], x.sizes["j"]
        if m and n:
            self.routine("geqrf", m, n, x, m, scales, Place(SCRATCH), n * BLOCK, work=n * BLOCK)

    def reflector_product(self, x: Operand, scales: Operand) -> None:
        """Makes products of a stack's reflectors in its place."""
        m, n, k = x.sizes["i"], x.sizes["j"], scales.sizes["i"]
        if m and n:
            self.routine("orgqr", m, n, k, x, m, scales, Place(SCRATCH), n * BLOCK, work=n * BLOCK)

    def cholesky(self, x: Operand, upper: bool, codes: Place, checked: bool) -> None:
        """Factors a stack in its place; the other half becomes zero."""
        numbers = (self.kind.itemsize, x.sizes["i"], ord("U" if upper else "L"), int(checked))
        geometry = (factorings.routine_of("potrf", self.kind.name), *numbers)
        self.add(Step(factorings.RUNS["potrf"], geometry, self.count), x.place, codes)

    def solve_by(
        self, solve: Callable[[Operand], None], b: Operand, to: Operand, conjugate: bool = False
    ) -> None:
        """Writes into a stack what `solve` makes, in their place, of right sides row by row."""
        lies = merged((to.sizes[y], to.step(y)) for y in "ij") in ([], [(len_of(to), to.dtype.itemsize)])
        x = to if lies else self.room(self.kind, {**self.leading, "i": to.sizes["i"], "j": to.sizes["j"]})
        if conjugate and self.kind.is_complex:
            self.pointwise(np.conjugate, b, x)
        elif x is not b:
            self.copy(b, x)
        solve(x)
        if conjugate and self.kind.is_complex:
            self.pointwise(np.conjugate, x, to)
        elif not lies:
            self.copy(x, to)

    def solve_lu(self, factors: Operand, pivots: Operand, b: Operand, to: Operand, form: Form) -> None:
        """Writes the solutions of `A X = B`, or of what `form` says, A being given by its factors."""

        def solve(x: Operand) -> None:
            if form.transposed:
                self.triangular(transposed_operand(factors), x, False, False)
                self.triangular(transposed_operand(factors), x, True, True)
                self.exchange(pivots, x, True)
            else:
                self.exchange(pivots, x, False)
                self.triangular(factors, x, False, True)
                self.triangular(factors, x, True, False)

        if not form.left:
            b, to = transposed_operand(b), transposed_operand(to)
        self.solve_by(solve, b, to, form.adjoint)

    def solve_cholesky(self, factor: Operand, b: Operand, to: Operand, upper: bool, conjugate: bool) -> None:
        """Writes the solutions of `L L^H X = B`, L the factor or, with `upper`, its transpose.

        With `conjugate` the conjugate of those for the conjugate of B.
        """
        lower = transposed_operand(factor) if upper else factor

        def solve(x: Operand) -> None:
            self.triangular(lower, x, False, False)
            if self.kind.is_complex:
                self.pointwise(np.conjugate, x, x)
            self.triangular(transposed_operand(lower), x, True, False)
            if self.kind.is_complex:
                self.pointwise(np.conjugate, x, x)

        self.solve_by(solve, b, to, conjugate)

    def check_divisors(self, x: Operand) -> None:
        """Ends with a status if there is a zero, or next to it."""
        inverse = self.room(self.kind, x.sizes)
        self.pointwise(np.reciprocal, x, inverse)
        self.check_finite(inverse)

    def diagonal_of(self, x: Operand) -> Operand:
        """The diagonals of matrices."""
        sizes = {**self.leading, "i": min(x.sizes["i"], x.sizes["j"])}
        steps = {y: x.step(y) for y in self.leading} | {"i": x.step("i") + x.step("j")}
        return Operand(x.place, x.dtype, sizes, steps)

    def exchange(self, pivots: Operand, x: Operand, backwards: bool) -> None:
        """Exchanges rows as pivots say, in their place."""
        row = x.sizes["j"] * x.dtype.itemsize
        geometry = (row, x.sizes["i"], pivots.sizes["i"], int(backwards), *self._leading(x, pivots, x))
        self.add(Step(factorings.RUNS["exchange"], geometry, self.count, row), pivots.place, x.place)

    def unpack(self, packed: Operand, L: Operand, U: Operand) -> None:
        """Writes the triangles of the factors in one matrix."""
        self.triangle(packed, L, True, -1)
        self.diagonal(L)
        self.triangle(packed, U, False)

    def triangular(self, a: Operand, x: Operand, upper: bool, unit: bool) -> None:
        """Solves systems with triangles in the place of their right sides, which lie row by row."""
        n, k, item = x.sizes["i"], x.sizes["j"], self.kind.itemsize
        if n > 1 and not readable((n, a.step("i")), (n, a.step("j")), item):
            a = self.copied(a)
        if self.kind.is_complex:
            by_column = n == 1 or a.step("i") == item
            flags = ("UL"[upper != by_column], "NT"[by_column], "NU"[unit])
            lead = max(a.step("i"), a.step("j"), item) // item
            numbers = (n, k, lead, *[ord(c) for c in flags], *words_of(1, self.kind))
            routine, run = "trsm", "trsm"
        else:
            numbers = (n, k, a.step("i"), a.step("j"), int(upper), int(unit))
            routine, run = "gemm", f"solve_{self.kind.name}"
        geometry = (factorings.routine_of(routine, self.kind.name), *numbers, *self._leading(x, a, x))
        self.add(Step(factorings.RUNS[run], geometry, self.count), a.place, x.place)

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
        geometry = [*steps.matrix_loop(ufunc, self.kind.numpy.num), len(operands), len(sizes), len(own)]
        geometry += [*sizes, *own, *self._leading(operands[-1], *operands)]
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
