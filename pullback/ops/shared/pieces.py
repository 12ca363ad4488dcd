"""Ops that copy elements to other places: what goes where is said once, for the kernel and for the plan.

Such an op says in `Pieces` what its result is made of: views of its inputs, each with the key of the result
that it goes to. `assembled` makes the result by NumPy. `pieces_plan` gets the same of arrays that stand for
the inputs and are never read, and turns it into boxes, as kernels/move.h reads them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.strides import contiguous_strides, is_dense, strided_array
from pullback.core.types import Array, Number
from pullback.kernels.moves import RUNS
from pullback.ops.shared.chains import merged, turned

CHUNK = 1 << 16
"""Elements of a long run that are one part of the work."""


class Pieces(NamedTuple):
    """What is copied to which keys of a result of some shape; elsewhere it has `value`.

    For a plan a key may also be a function, which shows a part of the whole.

    Without copies the plan leaves the work to the kernel. `seen` is another shape of the whole, in which the
    keys are meant; `strides` are the result's, in elements, if it is not contiguous.
    """

    shape: Sequence[int]
    copies: Sequence[tuple[Any, Array]] | None
    value: Number | None = None
    seen: Sequence[int] | None = None
    strides: tuple[int, ...] | None = None


def assembled(pieces: Pieces, dtype: Any) -> Array:
    """The result, by NumPy."""
    shape = pieces.shape
    result = strided_array(shape, pieces.strides or contiguous_strides(shape), dtype)
    if pieces.value is not None:
        result[...] = np.asarray(pieces.value).astype(dtype)
    whole = result if pieces.seen is None else result.reshape(pieces.seen)
    for key, piece in pieces.copies or ():
        whole[key] = piece
    return result


def plan_by(describe: Callable[..., Pieces]) -> Callable[..., Plan]:
    """What prepares an op that copies the pieces that `describe` names, of its first tensor's dtype."""

    def plan(*args: Any) -> Plan:
        specs: list[Spec] = []

        def placed(x: Any) -> Any:
            if type(x) is Spec:
                specs.append(x)
                return outline_of(x, len(specs) - 1)
            holds = type(x) is list and any(type(item) is Spec for item in x)
            return [placed(item) for item in x] if holds else x

        pieces = describe(*[placed(x) for x in args])
        kind = specs[0].dtype
        steps = pieces.strides and tuple([step * kind.itemsize for step in pieces.strides])
        result = Spec(kind, tuple(pieces.shape), steps)
        if pieces.copies is None or any(spec.dtype is not kind for spec in specs):
            return Plan(result)
        return pieces_plan(result, pieces, len(specs))

    return plan


class Outline(np.ndarray[Any, Any]):
    """An array that is never read: its views know which input they are of, and where that begins."""

    source: int
    start: int

    def __array_finalize__(self, other: Any) -> None:
        self.source, self.start = getattr(other, "source", -1), getattr(other, "start", 0)


def _address(a: Array) -> int:
    return int(a.__array_interface__["data"][0])


def outline_of(spec: Spec, source: int = -1) -> Outline:
    """An array laid out as a spec says, which stands for the input of that number."""
    one, item = np.empty(1, f"V{spec.dtype.itemsize}"), spec.dtype.itemsize
    steps = spec.strides or [step * item for step in contiguous_strides(spec.shape)]
    place: Outline = np.lib.stride_tricks.as_strided(one, spec.shape, steps).view(Outline)
    place.source, place.start = source, _address(place)
    return place


def part_of(seen: Spec) -> Outline:
    """What a key of a plan's pieces may show: the part of the whole that is a view of it."""
    place = outline_of(seen)
    place.start -= seen.offset or 0
    return place


def plan_scatter(self: Spec, src: Spec, part: Spec, inside: bool = True) -> Plan:
    """The plan of a copy that lies as the tensor does, with another one in the place of a view of it.

    Only a view that is `inside` is known to be none of other memory.
    """
    result = Spec(self.dtype, self.shape, self.strides)
    if not inside or src.dtype is not self.dtype or not _dense(self):
        return Plan(result)
    whole, other = outline_of(self, 0), outline_of(src, 1)
    copies = [(..., whole), (lambda _: part_of(part), np.broadcast_to(other, part.shape, subok=True))]
    return pieces_plan(result, Pieces(self.shape, copies), 2)


def _dense(spec: Spec) -> bool:
    """Whether the elements fill their memory, in some order of dims."""
    return spec.strides is None or is_dense(spec.shape, spec.steps)


def pieces_plan(result: Spec, pieces: Pieces, inputs: int = 1) -> Plan:
    """The plan of what is made of pieces of places."""
    whole = outline_of(result)
    wanted = whole if pieces.seen is None else whole.reshape(pieces.seen)
    copies = pieces.copies or ()
    boxes: list[list[int]] = []
    parts = 0
    if pieces.value is not None:
        nothing = outline_of(Spec(result.dtype, ()))
        for border in _borders(wanted, copies):
            boxes += _boxes(border, nothing)
    for key, piece in copies:
        boxes += _boxes(key(wanted) if callable(key) else wanted[key], piece)
    over = any(callable(key) for key, _ in copies)  # what it shows is written over
    free = not over if pieces.value is None else _disjoint(copies)
    geometry = [inputs, *pattern_of(pieces.value or 0, result.dtype), int(free), len(boxes)]
    for box in boxes:
        geometry += box
        parts += box[3]
    return Plan(result, RUNS["move"][result.dtype.itemsize], tuple(geometry), parts if free else 1)


def pattern_of(value: Number, kind: Dtype) -> list[int]:
    """The bytes of a number, as often as 16 bytes hold them, as two words."""
    element = np.array(value).astype(kind.numpy).tobytes()
    return np.frombuffer(element * (16 // len(element)), np.int64).tolist()


def _disjoint(copies: Sequence[tuple[Any, Any]]) -> bool:
    """Whether the borders of what is copied are known: one piece, of slices without steps."""
    return (
        len(copies) == 1
        and type(copies[0][0]) is tuple
        and all(type(part) is slice and part.step is None for part in copies[0][0])
    )


def _borders(whole: Any, copies: Sequence[tuple[Any, Any]]) -> Iterator[Any]:
    """What the value goes to: around the one piece, or everywhere before several are copied."""
    if not _disjoint(copies):
        yield whole
        return
    key = copies[0][0]
    for d, part in enumerate(key):
        low, high, _ = part.indices(whole.shape[d])
        yield whole[(*key[:d], slice(0, low))]
        yield whole[(*key[:d], slice(max(low, high), None))]


def _boxes(to: Any, piece: Any) -> list[list[int]]:
    """A copy as boxes; nothing for no elements."""
    if not to.size:
        return []
    item = to.itemsize
    sizes = (1,) * (to.ndim - piece.ndim) + piece.shape
    given = (0,) * (to.ndim - piece.ndim) + piece.strides
    if any(n not in (1, m) for n, m in zip(sizes, to.shape, strict=True)):
        raise RuntimeError(f"a piece of shape {list(piece.shape)} does not fit into {list(to.shape)}")
    steps = [0 if n == 1 else step for n, step in zip(sizes, given, strict=True)]
    order = sorted(range(to.ndim), key=lambda d: -abs(to.strides[d]))
    dims = turned(merged((to.shape[d], steps[d], to.strides[d]) for d in order), item)
    start = 0 if piece.source < 0 else _address(piece) - piece.start
    return [
        [piece.source, start + read, _address(to) - to.start + written, parts, len(flat) // 3, *flat]
        for read, written, parts, flat in _cut(dims, item)
    ]


def _cut(dims: list[tuple[int, ...]], item: int) -> Iterator[tuple[int, int, int, list[int]]]:
    """Boxes that can be worked on in parts: a long run becomes rows, and a rest."""
    if len(dims) == 1 and dims[0][0] > CHUNK:
        n, step, out = dims[0]
        rows, rest = divmod(n, CHUNK)
        yield 0, 0, rows, [rows, CHUNK * step, CHUNK * out, CHUNK, step, out]
        if rest:
            yield rows * CHUNK * step, rows * CHUNK * out, 1, [rest, step, out]
        return
    yield 0, 0, dims[0][0] if len(dims) > 1 else 1, list(itertools.chain(*dims))
