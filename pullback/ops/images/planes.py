"""Plans of convolutions without columns: images as planes, and where the taps of a kernel lie in them.

`kernels/convolve.h` says what planes are. `windows` is how a convolution reads them, `spread` how its
transpose does; both give a `Reading`. `convolve` adds the steps of a product of planes with weights to a
chain, `sum_products` those of the product of planes with results that is a weight.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from pullback.core.dtypes import dtype
from pullback.kernels import convolve as kernels
from pullback.ops.shared.chains import Chain, Operand, Place, Step

_BAND = 2048  # places of a long row that are computed at a time, fewer where there are many channels
_COPIED_BAND = 256  # the same where strips are copied
_HELD = 1 << 17  # numbers of planes that stay in the cache meanwhile
_MANY_CHANNELS = 36  # of results, for which it pays to copy what all are sums over
_MANY_PARTS = 8  # from which on parts make their planes themselves, if these stay in the cache
_FEW_PARTS = 4  # below, channels are shared out too
_MOST_UNITS = 20  # of channels whose sums are held together
_AT_ONCE = 8  # multiplications that take about as long as an element of other work
_SHARE = 48  # taps whose sums are held at a time

Sizes = tuple[int, ...]


class Phase(NamedTuple):
    """Every so many places of a result: the taps that they are sums over, where these lie in the planes."""

    taps: Sizes
    offsets: Sizes
    first: Sizes
    places: Sizes


class Reading(NamedTuple):
    """How images become planes, and how results are read from them."""

    size: Sizes  # of an image, padded with `low` zeros before
    low: Sizes
    stride: Sizes
    plane: Sizes
    remainders: list[Sizes]  # of the places modulo the stride: a plane for each
    result: Sizes
    step: Sizes  # of the places of a phase in the result
    phases: list[Phase]

    @property
    def volume(self) -> int:
        """The numbers of all planes of a channel."""
        return len(self.remainders) * math.prod(self.plane)

    @property
    def in_place(self) -> bool:
        """Whether the image is its one plane."""
        return self.plane == self.size and not any(self.low) and max(self.stride) == 1


def _over(count: int, size: int) -> int:
    """How many pieces of a size there are."""
    return -(-count // size)


def _up(count: int, size: int) -> int:
    """The multiple of a size from a number on."""
    return _over(count, size) * size


def _split(numbers: Sizes) -> list[Sizes]:
    return [numbers[i : i + 3] for i in range(0, 18, 3)]


def _offset(shift: Sequence[int], plane: Sizes) -> int:
    return (shift[0] * plane[1] + shift[1]) * plane[2] + shift[2]


@functools.lru_cache(1024)
def windows(numbers: Sizes) -> Reading:
    """The windows of images, for the six numbers of each dim of a `Geometry`."""
    size, kernel, stride, pad, step, count = _split(numbers)
    plane = tuple(n + (k - 1) * d // s for n, k, d, s in zip(count, kernel, step, stride, strict=True))
    places = [[divmod(i * d, s) for i in range(k)] for k, d, s in zip(kernel, step, stride, strict=True)]
    remainders = list(itertools.product(*[sorted({r for _, r in dim}) for dim in places]))
    number = {r: i * math.prod(plane) for i, r in enumerate(remainders)}
    offsets = [
        number[a[1], b[1], c[1]] + _offset((a[0], b[0], c[0]), plane)
        for a, b, c in itertools.product(*places)
    ]
    phase = Phase(tuple(range(len(offsets))), tuple(offsets), (0, 0, 0), count)
    return Reading(size, pad, stride, plane, remainders, count, (1, 1, 1), [phase])


@functools.lru_cache(1024)
def spread(numbers: Sizes) -> Reading:
    """The transpose: at each place of an image the results whose windows have it."""
    size, kernel, stride, pad, step, count = _split(numbers)
    each_dim, low, plane = [], [], []
    for n, k, s, p, d, m in zip(size, kernel, stride, pad, step, count, strict=True):
        found = []
        for r in range(min(s, n)):
            taps = [(i, (r + p - i * d) // s) for i in range(k) if (r + p - i * d) % s == 0]
            found.append((r, _over(n - r, s), taps))
        shifts = [shift for _, _, taps in found for _, shift in taps]
        low.append(max(0, -min(shifts, default=0)))
        plane.append(max([m, *[c + shift for _, c, taps in found for _, shift in taps]]) + low[-1])
        each_dim.append(found)
    room = tuple(plane)
    phases = []
    for dims in itertools.product(*each_dim):
        numbers_of, offsets = [], []
        for at in itertools.product(*[taps for _, _, taps in dims]):
            numbers_of.append((at[0][0] * kernel[1] + at[1][0]) * kernel[2] + at[2][0])
            offsets.append(_offset([shift + n for (_, shift), n in zip(at, low, strict=True)], room))
        first, of = tuple(r for r, _, _ in dims), tuple(c for _, c, _ in dims)
        phases.append(Phase(tuple(numbers_of), tuple(offsets), first, of))
    return Reading(count, tuple(low), (1, 1, 1), room, [(0, 0, 0)], size, stride, phases)


def able(kind: dtype) -> bool:
    """Whether numbers of a dtype are convolved so."""
    return kernels.QUICK and kind.kind == "f"


class Planes(NamedTuple):
    """Planes in memory: elements from channel to channel, from image to image, and how many may be read."""

    place: Place
    of_channel: int
    of_image: int
    readable: int


def _field(reading: Reading, images: int, channels: int) -> list[int]:
    """A `pb_field`."""
    more = [r for remainder in reading.remainders for r in remainder]
    dims = (*reading.size, *reading.low, *reading.stride, *reading.plane)
    return [images, *dims, len(reading.remainders), channels, *more]


def _laid_out(chain: Chain, reading: Reading, x: Operand, images: int, channels: int) -> Planes:
    """The planes of images (images, channels, ...)."""
    if reading.in_place:
        one = math.prod(reading.size)
        return Planes(x.place, one, channels * one, images * channels * one)
    one = reading.volume
    room = chain.room(x.dtype, {"planes": images * channels * one + 2 * kernels.MORE_THAN_A_STRIP})
    run = kernels.RUNS["planes"][x.dtype.name]
    geometry = tuple(_field(reading, images, channels))
    step = Step(run, geometry, images * channels, 0, images * channels * one)
    chain.add(step, x.place, room.place)
    return Planes(room.place, images * one, one, 0)


def convolve(
    chain: Chain,
    reading: Reading,
    x: Operand,
    w: Operand,
    bias: Operand | None,
    out: Operand,
    images: int,
    groups: int,
    transposed: bool,
) -> None:
    """The results of images with weights (groups, o, k), or (groups, k, o) if transposed."""
    taps = math.prod(w.sizes.values()) // (groups * w.sizes["o"] * w.sizes["c"])
    made, channels = (w.sizes[label] for label in ("co" if transposed else "oc"))
    kind, item = x.dtype.name, x.dtype.itemsize
    packed = chain.room(x.dtype, {"w": math.prod(w.sizes.values())})
    of_made, of_channel = (taps, made * taps) if transposed else (channels * taps, taps)
    counts = [len(phase.taps) for phase in reading.phases]
    units = _over(made, kernels.UNIT_ROWS)
    geometry = [groups, channels, made, channels * made * taps, of_channel, of_made, len(counts), *counts]
    geometry += [tap for phase in reading.phases for tap in phase.taps]
    step = Step(
        kernels.RUNS["pack"][kind], tuple(geometry), groups * len(counts) * units, 0, packed.sizes["w"]
    )
    chain.add(step, w.place, packed.place)
    plane, most = reading.plane, channels * max(counts)
    lengths = [_offset([n - 1 for n in phase.places], plane) + 1 for phase in reading.phases]
    copies = made >= _MANY_CHANNELS
    band = _COPIED_BAND if copies else min(_BAND, max(256, _HELD // channels))
    band = _up(_over(max(lengths), _over(max(lengths), band)), kernels.MORE_THAN_A_STRIP)
    bands = _over(max(lengths), band)
    parts = groups * images * len(counts) * bands
    own = channels * reading.volume + 2 * kernels.MORE_THAN_A_STRIP
    local = groups * images >= _MANY_PARTS and own <= _HELD and not reading.in_place
    shares = 1 if local else max(_over(units, _MOST_UNITS), min(units, _FEW_PARTS // parts))
    if local:
        planes = Planes(x.place, reading.volume, 0, 0)
    else:
        planes = _laid_out(chain, reading, x, images, groups * channels)
    held = _over(units, shares) * kernels.UNIT_ROWS if copies else kernels.UNIT_ROWS // 2
    copied = kernels.TAPS * ((band if copies else 0) + kernels.MORE_THAN_A_STRIP)
    geometry = [groups, images, channels, made, planes.of_channel, planes.of_image, planes.readable]
    geometry += [int(bias is not None), *reading.result, *reading.step, plane[2], plane[1] * plane[2]]
    geometry += [len(counts), bands, band, shares, most, held, copied, int(copies), 0]
    field = len(geometry) - 1
    for phase in reading.phases:
        geometry += [len(phase.taps), *phase.first, *phase.places]
    geometry += [offset for phase in reading.phases for offset in phase.offsets]
    if local:
        geometry[field] = len(geometry)
        geometry += _field(reading, images, channels)
    sums = held * (band + kernels.MORE_THAN_A_STRIP)
    scratch = 8 * (most + kernels.TAPS) + (sums + copied + (own if local else 0)) * item
    parts = groups * images if local else parts * shares
    work = images * packed.sizes["w"] * max(lengths) // _AT_ONCE
    step = Step(kernels.RUNS["convolve"][kind], tuple(geometry), parts, scratch, work)
    places = [planes.place, packed.place, out.place]
    chain.add(step, *places, *([] if bias is None else [bias.place]))


def sum_products(
    chain: Chain, reading: Reading, x: Operand, y: Operand, out: Operand, images: int, groups: int
) -> None:
    """The weights (groups, o, c, taps) that images and results (images, groups, o, places) make."""
    made, channels = out.sizes["o"], out.sizes["c"]
    planes = _laid_out(chain, reading, x, images, groups * channels)
    kind, lanes = x.dtype.name, kernels.LANES[x.dtype.name]
    (phase,) = reading.phases
    blocks = _over(made, 2 * lanes)
    last = made - (blocks - 1) * 2 * lanes
    room = ((blocks - 1) * 2 + (2 if last > lanes else 1)) * lanes * images * math.prod(phase.places)
    beside = chain.room(x.dtype, {"y": groups * room})
    pitches = (reading.plane[2], reading.plane[1] * reading.plane[2])
    geometry = [groups, images, channels, made, planes.of_channel, planes.of_image, len(phase.taps)]
    geometry += [*phase.places, *pitches, _SHARE, blocks, lanes, room]
    run = kernels.RUNS["side_by_side"][kind]
    chain.add(Step(run, tuple(geometry), groups * blocks * images, 0, groups * room), y.place, beside.place)
    shares = _over(channels * len(phase.taps), _SHARE)
    scratch = _SHARE * (8 + 2 * lanes * x.dtype.itemsize)
    run = kernels.RUNS["sum_products"][kind]
    work = images * math.prod(out.sizes.values()) * math.prod(phase.places) // _AT_ONCE
    step = Step(run, (*geometry, *phase.offsets), groups * blocks * shares, scratch, work)
    chain.add(step, planes.place, beside.place, out.place)
