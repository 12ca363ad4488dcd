"""Convolution, and its transpose, of images of one, two and three dimensions.

Everything is one product of three factors: images x (N, C, *size), weights w (O, C/groups, *kernel)
and results y (N, O, *places), summed over all places of all windows. Each kernel computes one of them
from the others: `correlate` gives y, `correlate_transposed` x, `correlate_weight` w. So the op
`convolution`, which is the first or the second, and `convolution_weight` have each other as derivatives,
to any order. Plans do floats on planes, in registers (`planes.py`); the rest, and the kernels on arrays, are
products of matrices with tiles of columns (`kernels/columns.pyx`). Read `correlate`, then `_plan`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Iterator
from operator import index
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _loops
from pullback.core._engine import Op, Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import complex32, dtype
from pullback.core.meta import meta_array
from pullback.core.op import op
from pullback.core.types import Array, Ints
from pullback.kernels import columns as columns_kernels
from pullback.kernels.columns import COL2IM, IM2COL
from pullback.ops.images import planes, refusals
from pullback.ops.products.matmul import check_numbers
from pullback.ops.products.plans import multiply
from pullback.ops.shared.batches import affine, channels, folded, of_sample, unchannelled, unfolded
from pullback.ops.shared.chains import Chain, Operand, Place, Step, operand, packed
from pullback.ops.shared.forms import public

_COLUMN_TILE = 1 << 19  # elements of a tile of columns: they stay in the cache until they are multiplied
_FEW = 64  # places in an image: below, the images of a tile share one product
_MANY = 4096  # the same for a weight's gradient, which is summed over the images anyway

Sizes = dict[Hashable, int]

# ---------------------------------------------------------------------------------------- kernels


def _image_tiles(geometry: Any, images: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Parts of the columns that fit into a tile: from image to image, and from row to row of windows."""
    room = max(_COLUMN_TILE // max(height, 1), 1)
    if not geometry.places:
        return
    if geometry.places <= room:
        step = room // geometry.places
        for first in range(0, images, step):
            yield first, min(first + step, images), 0, geometry.rows
        return
    step = max(room // geometry.width, 1)
    for image in range(images):
        for first in range(0, geometry.rows, step):
            yield image, image + 1, first, min(first + step, geometry.rows)


@functools.lru_cache(1024)
def _tiling(geometry: Any, images: int, channels: int, groups: int, few: int) -> tuple[bool, int, list[Any]]:
    """How the columns of a batch are made, tile by tile, in a buffer of a size.

    A tile has its images and places, the shape (images, groups, height, places) and the arguments of
    `im2col`. Where an image has few places, and there is one group, the columns of a tile's images stand
    side by side, (height, images * places): the first result says so.
    """
    height, width = channels * geometry.taps, geometry.width
    joined = geometry.places < few and groups == 1 and images > 1
    tiles, largest = [], 0
    for first, last, row, end in _image_tiles(geometry, images, height):
        count, places = last - first, (end - row) * width
        shape = (height, count * places) if joined else (count, groups, height // groups, places)
        jump, pitch = (places, count * places) if joined else (height * places, places)
        call = (geometry, count, channels, jump, pitch, row, end)
        tiles.append((slice(first, last), slice(row * width, end * width), shape, call))
        largest = max(largest, count * height * places)
    return joined, largest, tiles


def _room(buffer: Array, shape: tuple[int, ...]) -> Array:
    """The beginning of a buffer, in some shape."""
    return buffer[: math.prod(shape)].reshape(shape)


def _group_matrices(w: Array, groups: int) -> Array:
    """The weights as matrices, one for each group."""
    return w.reshape(groups, len(w) // groups, -1) if w.size else w.reshape(groups, len(w) // groups, 0)


def _side_by_side(y: Array) -> Array:
    """(images, 1, channels, places) as the matrix (channels, images * places)."""
    return y.swapaxes(0, 2).reshape(y.shape[2], -1)


def _depthwise(x: Array, w: Array, y: Array, geometry: Any, groups: int, part: str) -> bool:
    """Computes one factor where each channel has weights of its own; False where that is not so."""
    if groups == 1 or w.shape[1] != 1 or x.dtype.char not in "fd" or geometry.stretch > 4:
        return False
    columns_kernels.depthwise(x, w, y, geometry, len(x), groups, len(w) // groups, part)
    return True


def correlate(x: Array, w: Array, geometry: Any, groups: int) -> Array:
    """y: at each place, the sum of the products of a window with the weights."""
    images, channels, places = len(x), x.shape[1], geometry.places
    y = np.empty((images, len(w), *geometry.out), x.dtype)
    if _depthwise(x, w, y, geometry, groups, "y"):
        return y
    whole, weights = y.reshape(images, groups, len(w) // groups, places), _group_matrices(w, groups)
    if geometry.plain:
        np.matmul(weights, x.reshape(images, groups, channels // groups, places), out=whole)
        return y
    joined, size, tiles = _tiling(geometry, images, channels, groups, _FEW)
    buffer = np.empty(size, x.dtype)
    for n, p, shape, call in tiles:
        columns = _room(buffer, shape)
        columns_kernels.im2col(x[n], columns, *call)
        if joined:
            product = _loops.matmul(weights[0], columns)
            whole[n, 0] = product.reshape(len(w), -1, places).swapaxes(0, 1)
        else:
            np.matmul(weights, columns, out=whole[n, :, :, p])
    return y


def correlate_transposed(y: Array, w: Array, geometry: Any, groups: int, size: tuple[int, ...]) -> Array:
    """x: each result, times the weights, added up in the places of its window. `size` is x's."""
    images, channels = len(y), w.shape[1] * groups
    x = np.zeros((images, channels, *size), y.dtype)
    if _depthwise(x, w, y, geometry, groups, "x"):
        return x
    whole = y.reshape(images, groups, len(w) // groups, geometry.places)
    weights = _group_matrices(w, groups).swapaxes(1, 2)
    if geometry.plain:
        return np.matmul(weights, whole).reshape(x.shape)
    joined, largest, tiles = _tiling(geometry, images, channels, groups, _FEW)
    buffer = np.empty(largest, y.dtype)
    for n, p, shape, call in tiles:
        columns = _room(buffer, shape)
        if joined:
            np.matmul(weights[0], _side_by_side(whole[n]), out=columns)
        else:
            np.matmul(weights, whole[n, :, :, p], out=columns)
        columns_kernels.col2im(x[n], columns, *call)
    return x


def correlate_weight(x: Array, y: Array, geometry: Any, groups: int, shape: tuple[int, ...]) -> Array:
    """w: the sum of the products of each result with its window. `shape` is w's."""
    w = np.zeros(shape, x.dtype)
    if _depthwise(x, w, y, geometry, groups, "w"):
        return w
    images, channels = x.shape[:2]
    whole = y.reshape(images, groups, shape[0] // groups, geometry.places)
    total = _group_matrices(w, groups)
    joined, size, tiles = _tiling(geometry, images, channels, groups, _MANY)
    buffer = np.empty(size, x.dtype)
    for n, p, tile, call in tiles:
        columns = _room(buffer, tile)
        columns_kernels.im2col(x[n], columns, *call)
        if joined:
            total[0] += _loops.matmul(_side_by_side(whole[n, :, :, p]), columns.T)
        else:
            total += np.matmul(whole[n, :, :, p], columns.swapaxes(2, 3)).sum(0)
    return w


# --------------------------------------------------------------------------------------- geometry


@functools.lru_cache(4096)
def geometry_of(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> Any:
    """How windows lie in an image."""
    return columns_kernels.Geometry(size, kernel, stride, padding, dilation, out)


@functools.lru_cache(4096)
def _per_dim(dims: int, **options: Ints) -> list[tuple[int, ...]]:
    """Options with one int for each spatial dim; RuntimeError for those with neither one nor as many."""
    expanded = []
    for name, value in options.items():
        values = value if isinstance(value, tuple) else (value,)
        if len(values) not in (1, dims):
            refusals.refuse_conv_list(name, values, dims)
        expanded.append(tuple([index(v) for v in values]) * (dims if len(values) == 1 else 1))
    return expanded


def _options(dims: int, stride: Any, padding: Any, dilation: Any) -> list[tuple[int, ...]]:
    stride, padding, dilation = _as_tuples(stride, padding, dilation)
    return _per_dim(dims, stride=stride, padding=padding, dilation=dilation)


def _as_tuples(*values: Any) -> tuple[Any, ...]:
    """Lists as tuples, by which plans are looked up."""
    return tuple([tuple(v) if type(v) is list else v for v in values])


@functools.lru_cache(4096)
def _plan(
    input: tuple[int, ...],
    weight: tuple[int, ...],
    bias: tuple[int, ...] | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> tuple[Any, tuple[int, ...]]:
    """The geometry of a convolution and the spatial size of its result, after all checks."""
    dims, size, kernel = len(weight) - 2, input[2:], weight[2:]
    if dims < 1:
        raise RuntimeError("weight should have at least three dimensions")
    stride, padding, dilation, extra = _per_dim(
        dims, stride=stride, padding=padding, dilation=dilation, output_padding=output_padding
    )
    refusals.check_conv_numbers(stride, padding, dilation, transposed, extra, groups)
    refusals.check_conv_shapes(input, weight, bias, transposed, groups)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    each_dim = list(zip(size, spans, stride, padding, strict=True))
    if transposed:
        out = tuple((n - 1) * s - 2 * p + m + e for (n, m, s, p), e in zip(each_dim, extra, strict=True))
        refusals.check_conv_transposed(size, out, extra, stride, dilation)
        return geometry_of(out, kernel, stride, padding, dilation, size), out
    refusals.check_conv_kernel(size, kernel, padding, spans)
    out = tuple((n + 2 * p - m) // s + 1 for n, m, s, p in each_dim)
    return geometry_of(size, kernel, stride, padding, dilation, out), out


def _as_operands(*arrays: Array) -> tuple[Array, ...]:
    """Contiguous arrays; integers as int64, whose overflow is that of the others."""
    if arrays[0].dtype.kind in "iu":
        arrays = tuple([a.astype(np.int64) for a in arrays])
    return tuple([a if a.flags.c_contiguous else np.ascontiguousarray(a) for a in arrays])


# -------------------------------------------------------------------------------------------- ops


@op(places="t", layout="F", grad_name="ConvolutionBackward0", allowed="bifch")
def convolution(
    self: Array,
    weight: Array,
    bias: Array | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Array:
    """The convolution of batched images, or its transpose: what `conv2d` and the others call.

    Lists have one int, or one for each spatial dim. RuntimeError for shapes or dtypes that do not fit.
    The gradient of the input is the transposed convolution of `g` with the same weight.

    >>> import pullback as torch
    >>> x, w = torch.ones(1, 1, 3), torch.ones(1, 1, 2)
    >>> torch.convolution(x, w, None, [1], [0], [1], False, [0], 1)
    tensor([[[2., 2.]]])
    """
    geometry, size = _checked(
        self, weight, bias, stride, padding, dilation, transposed, output_padding, groups
    )
    x, w = _as_operands(self, weight)
    if transposed:
        y = correlate_transposed(x, w, geometry, groups, size)
    else:
        y = correlate(x, w, geometry, groups)
    if bias is not None:
        y += bias.reshape(len(bias), *(1,) * len(size))
    return y if y.dtype == self.dtype else y.astype(self.dtype)


@convolution.prepare
def _plan_convolution(
    self: Spec, weight: Spec, bias: Spec | None, stride: Ints, padding: Ints, dilation: Ints,
    transposed: bool, output_padding: Ints, groups: int,
) -> Plan:  # fmt: skip
    geometry, size = _checked(
        self, weight, bias, stride, padding, dilation, transposed, output_padding, groups
    )
    made = weight.shape[1] * groups if transposed else weight.shape[0]
    result = Spec(self.dtype, (self.shape[0], made, *size))
    channels = made if transposed else self.shape[1]
    if self.dtype is complex32:
        return Plan(result)
    if _by_planes(self, weight.shape, result.shape):
        result = _like(self, result.shape)
        return _plan_by_planes(geometry, self, weight, bias, result, transposed, groups)
    if not _at_once(geometry, self, channels, weight.shape, groups):
        return Plan(result)
    chain = Chain(3 - (bias is None), result)
    convolving = Convolving(chain, geometry, self.shape[0], groups, channels, weight.shape[0])
    w = chain.widened(convolving.weights(1, weight))
    if transposed:
        y = chain.widened(convolving.results(chain.contiguous(0, self), self.dtype))
        out = convolving.images(chain.result(), self.dtype)
        done = out if w.dtype is self.dtype else chain.room(w.dtype, out.sizes)
        columns = done if geometry.plain else convolving.columns(w.dtype)
        multiply(chain, w, y, columns)
        if columns is not done:
            convolving.add_up(columns, done)
    else:
        x = chain.widened(convolving.images(chain.contiguous(0, self), self.dtype))
        out = convolving.results(chain.result(), self.dtype)
        done = out if w.dtype is self.dtype else chain.room(w.dtype, out.sizes)
        multiply(chain, w, x if geometry.plain else convolving.laid_out(x), done)
    if bias is not None:
        given = chain.widened(operand(Place(2), bias, "c"))
        flat = chain.labelled(done, {"n": self.shape[0], "c": made, "p": math.prod(size)})
        chain.pointwise(np.add, flat, given, flat)
    if done is not out:
        chain.convert(done, out)
    return chain.plan()


def _by_planes(x: Spec, *shapes: tuple[int, ...]) -> bool:
    """Whether there is something to do, and it is done without columns."""
    return planes.able(x.dtype) and all(math.prod(shape) for shape in (x.shape, *shapes))


def _plan_by_planes(
    geometry: Any, self: Spec, weight: Spec, bias: Spec | None, result: Spec, transposed: bool, groups: int
) -> Plan:
    chain = Chain(3 - (bias is None), result)
    x = chain.widened(chain.flat(0, self))
    first = weight.shape[0] // groups
    sizes: Sizes = {"g": groups, "o": first, "c": weight.shape[1], "t": math.prod(weight.shape[2:])}
    w = chain.widened(chain.room(weight.dtype, sizes, chain.contiguous(1, weight)))
    b = None if bias is None else chain.widened(chain.flat(2, bias))
    out = operand(chain.result(), result, range(result.ndim))
    done = out if x.dtype is result.dtype and result.contiguous else chain.room(x.dtype, out.sizes)
    reading = (planes.spread if transposed else planes.windows)(geometry.numbers)
    planes.convolve(chain, reading, x, w, b, done, self.shape[0], groups, transposed)
    if x.dtype is not result.dtype:
        chain.convert(done, out)
    elif done is not out:
        chain.copy(done, out)
    return chain.plan()


def _like(x: Spec, shape: tuple[int, ...]) -> Spec:
    """Images that lie as others do: with the channels last, or contiguous."""
    last = (0, *range(2, x.ndim), 1)
    turned = Spec(x.dtype, tuple(x.shape[d] for d in last), tuple(x.strides[d] for d in last))
    if x.ndim < 4 or x.contiguous or not turned.contiguous:
        return Spec(x.dtype, shape)
    steps = dict(zip(last, packed([shape[d] for d in last], x.itemsize), strict=True))
    return Spec(x.dtype, shape, tuple(steps[d] for d in range(x.ndim)))


def _checked(
    self: Any, weight: Any, bias: Any, stride: Ints, padding: Ints, dilation: Ints, transposed: bool,
    output_padding: Ints, groups: int,
) -> tuple[Any, tuple[int, ...]]:  # fmt: skip
    """What `_plan` says, after the check of dtypes."""
    options = _as_tuples(stride, padding, dilation, transposed, output_padding)
    found = _plan(self.shape, weight.shape, None if bias is None else bias.shape, *options, groups)
    if (
        self.dtype != weight.dtype
        or self.dtype.kind in "biu"
        or (bias is not None and bias.dtype != self.dtype)
    ):
        refusals.check_conv_dtypes(self, weight, bias, transposed)
    return found


def _at_once(geometry: Any, x: Spec, channels: int, weight: tuple[int, ...], groups: int) -> bool:
    """Whether all columns fit into a tile, and a product of matrices is the way to go."""
    columns = x.shape[0] * channels * geometry.taps * geometry.places
    depthwise = groups > 1 and weight[1] == 1
    return 0 < columns <= _COLUMN_TILE and not depthwise and x.dtype.kind in "fc" and math.prod(weight) > 0


class Convolving:
    """Operands of a convolution: n images, g groups, their o results, k rows of columns, p places."""

    def __init__(
        self, chain: Chain, geometry: Any, images: int, groups: int, channels: int, made: int
    ) -> None:
        self.chain, self.geometry, self.count, self.channels = chain, geometry, images, channels
        self.n: Sizes = {"n": images}
        self.g: Sizes = {"g": groups}
        self.o: Sizes = {"o": made // groups}
        self.k: Sizes = {"k": channels // groups * geometry.taps}
        self.p: Sizes = {"p": geometry.places}

    def weights(self, number: int, spec: Spec) -> Operand:
        """An argument of the op: the weights."""
        return self.chain.room(spec.dtype, self.g | self.o | self.k, self.chain.contiguous(number, spec))

    def results(self, place: Place, kind: dtype) -> Operand:
        """What comes out of windows."""
        return self.chain.room(kind, self.n | self.g | self.o | self.p, place)

    def images(self, place: Place, kind: dtype) -> Operand:
        """The images, as their columns where these are the same."""
        places = math.prod(self.geometry.numbers[:3])
        sizes = self.n | self.g | {"k": self.channels // self.g["g"], "p": places}
        return self.chain.room(kind, sizes, place)

    def columns(self, kind: dtype, images_last: bool = False) -> Operand:
        """Room for the columns, image by image, or those of all images in a row."""
        order = self.g | self.k | self.n | self.p if images_last else self.n | self.g | self.k | self.p
        return self.chain.room(kind, order)

    def laid_out(self, x: Operand, images_last: bool = False) -> Operand:
        """The columns of images."""
        columns = self.columns(x.dtype, images_last)
        self._add(IM2COL, x.dtype.itemsize, images_last, x.place, columns.place)
        return columns

    def add_up(self, columns: Operand, x: Operand) -> None:
        """The columns, image by image, added up to images."""
        self._add(COL2IM, ord(columns.dtype.numpy.char), False, columns.place, x.place)

    def _add(self, run: Any, kind: int, images_last: bool, *places: Place) -> None:
        one = self.geometry.places
        height = self.channels * self.geometry.taps
        jump, pitch = (one, self.count * one) if images_last else (height * one, one)
        geometry = (kind, self.channels, jump, pitch, *self.geometry.numbers)
        self.chain.add(Step(run, geometry, self.count), *places)


def _input_gradient(
    g: Tensor, weight: Tensor, self_shape: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, groups: int,
) -> Tensor:  # fmt: skip
    """The gradient of the input, of that size: the other convolution of `g` with the same weight."""
    size, places, kernel = self_shape[2:], g.shape[2:], weight.shape[2:]
    dims = len(size)
    stride, padding, dilation = _options(dims, stride, padding, dilation)
    extra = (0,) * dims
    if not transposed:
        each_dim = zip(size, places, kernel, stride, padding, dilation, strict=True)
        extra = tuple(n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, k, s, p, d in each_dim)
    whole = convolution(g, conj(weight), None, stride, padding, dilation, not transposed, extra, groups)
    for dim in range(2, dims + 2):  # with an output_padding as large as the stride, there are more
        if whole.shape[dim] > self_shape[dim]:
            whole = ops.narrow(whole, dim, 0, self_shape[dim])
    return whole


def _weight_gradient(
    g: Tensor, self: Tensor, weight_shape: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, groups: int,
) -> Tensor:  # fmt: skip
    x, y = (g, conj(self)) if transposed else (conj(self), g)
    return convolution_weight(x, y, tuple(weight_shape), stride, padding, dilation, groups)


def _bias_gradient(g: Tensor) -> Tensor:
    return ops.sum(g, [0, *range(2, g.ndim)])


convolution.vjp(self=_input_gradient, weight=_weight_gradient, bias=_bias_gradient)


@convolution.batch
def _convolution_batch(
    level: Any, op: Op, self: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:  # fmt: skip
    """The batch joins the samples; where the kernels are batched, the channels, in groups."""
    options = stride, padding, dilation, transposed, output_padding
    if not level.holds(weight):
        inside, after = (None, bias) if level.holds(bias) else (bias, None)
        y = unfolded(level, op(folded(level, self), weight, inside, *options, groups))
        return _with_bias(level, y, after)
    w = weight.physical
    together = groups == 1 and not level.holds(self)
    if together and transposed:
        w = ops.transpose(w, 0, 1)
        w = ops.reshape(w, (w.shape[0], w.shape[1] * w.shape[2], *w.shape[3:]))
    else:
        w = ops.reshape(w, (w.shape[0] * w.shape[1], *w.shape[2:]))
    x = self if together else channels(level, self)
    y = op(x, w, None, *options, 1 if together else groups * level.size)
    return _with_bias(level, unchannelled(level, y), bias)


def _with_bias(level: Any, y: Any, bias: Any) -> Any:
    if bias is None:
        return y
    return level.wrap(affine(level, y.physical, None, bias, (1, y.shape[1], *(1,) * (y.ndim - 2))))


@op(places="", layout="F", grad_name="ConvolutionBackwardBackward0")
def convolution_weight(
    self: Array, other: Array, shape: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Array:
    """The product of images and results, `other`, that is a weight of this shape: a weight's gradient."""
    dims = len(shape) - 2
    stride, padding, dilation = _options(dims, stride, padding, dilation)
    geometry = geometry_of(self.shape[2:], shape[2:], stride, padding, dilation, other.shape[2:])
    x, y = _as_operands(self, other)
    return correlate_weight(x, y, geometry, groups, shape)


@convolution_weight.prepare
def _plan_convolution_weight(
    self: Spec, other: Spec, shape: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Plan:
    dims = len(shape) - 2
    stride, padding, dilation = _options(dims, stride, padding, dilation)
    geometry = geometry_of(self.shape[2:], tuple(shape[2:]), stride, padding, dilation, other.shape[2:])
    result = Spec(self.dtype, tuple(shape))
    depthwise = groups > 1 and shape[1] == 1
    if not depthwise and _by_planes(self, other.shape, tuple(shape)):
        chain = Chain(2, result)
        x, y = (chain.widened(chain.flat(i, spec)) for i, spec in enumerate((self, other)))
        sizes: Sizes = {"g": groups, "o": shape[0] // groups, "c": shape[1], "t": geometry.taps}
        out = chain.room(self.dtype, sizes, chain.result())
        done = out if x.dtype is self.dtype else chain.room(x.dtype, out.sizes)
        reading = planes.windows(geometry.numbers)
        planes.sum_products(chain, reading, x, y, done, self.shape[0], groups)
        if done is not out:
            chain.convert(done, out)
        return chain.plan()
    if not _at_once(geometry, self, self.shape[1], tuple(shape), groups):
        return Plan(result)
    chain = Chain(2, result)
    convolving = Convolving(chain, geometry, self.shape[0], groups, self.shape[1], shape[0])
    x = chain.widened(convolving.images(chain.contiguous(0, self), self.dtype))
    y = chain.widened(convolving.results(chain.contiguous(1, other), self.dtype))
    out = chain.room(self.dtype, convolving.g | convolving.o | convolving.k, chain.result())
    done = out if x.dtype is self.dtype else chain.room(x.dtype, out.sizes)
    multiply(chain, y, x if geometry.plain else convolving.laid_out(x, True), done)
    if done is not out:
        chain.convert(done, out)
    return chain.plan()


convolution_weight.vjp(
    self=lambda g, other, self_shape, stride, padding, dilation, groups: _input_gradient(
        conj(other), conj(g), self_shape, stride, padding, dilation, False, groups
    ),
    other=lambda g, self, other_shape, stride, padding, dilation, groups: _input_gradient(
        conj(self), conj(g), other_shape, stride, padding, dilation, True, groups
    ),
)


@convolution_weight.batch
def _convolution_weight_batch(
    level: Any,
    op: Op,
    self: Any,
    other: Any,
    shape: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    """Where the second factor alone is batched, its channels join; else sample by sample in groups."""
    together = groups == 1 and not level.holds(self)
    whole = (shape[0] * level.size, *shape[1:])
    x = self if together else channels(level, self)
    counted = 1 if together else groups * level.size
    w = op(x, channels(level, other), whole, stride, padding, dilation, counted)
    return level.wrap(ops.reshape(w, (level.size, *shape)))


# ------------------------------------------------------------------------------- what users call


def _padded_by(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints = 0, dilation: Ints = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """A form of the convolutions: padding by numbers."""


def _padded_to(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: str = "valid", dilation: Ints = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Another one: padding to a size."""


def _same_padding(input: Tensor, kernel: Any, stride: Ints, dilation: Ints) -> tuple[Tensor, tuple[int, ...]]:
    """The padding that keeps the size, and the input, padded itself where the two ends differ."""
    stride, _, dilation = _options(len(kernel), stride, 0, dilation)
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if any(t % 2 for t in total):
        input = ops.constant_pad_nd(input, [n for t in reversed(total) for n in (0, t % 2)])
    return input, tuple(t // 2 for t in total)


def _conv(
    dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints | str,
    dilation: Ints, groups: int,
) -> Tensor:  # fmt: skip
    """What conv1d, conv2d and conv3d do."""
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        raise TypeError
    x, batched = input, input.ndim == dims + 2
    if not batched:
        refusals.check_conv_unbatched(f"conv{dims}d", input, dims)
        x = ops.unsqueeze(input, 0)
    if type(padding) is str:
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        kernel = weight.shape[2:]
        if padding == "same" and len(kernel) == dims:
            x, padding = _same_padding(x, kernel, stride, dilation)
        else:
            padding = 0
    if type(stride) is not int:  # of several wrong options, the stride is refused first
        (stride,) = _per_dim(len(weight.shape) - 2, stride=_as_tuples(stride)[0])
    y = convolution(x, weight, bias, stride, padding, dilation, False, 0, groups)
    return y if batched else ops.squeeze(y, 0)


def _conv_transpose(
    dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints,
    output_padding: Ints, groups: int, dilation: Ints,
) -> Tensor:  # fmt: skip
    """What conv_transpose1d, conv_transpose2d and conv_transpose3d do."""
    x, batched = input, input.ndim == dims + 2
    if not batched:
        refusals.check_conv_unbatched(f"conv_transpose{dims}d", input, dims)
        x = ops.unsqueeze(input, 0)
    y = convolution(x, weight, bias, stride, padding, dilation, True, output_padding, groups)
    return y if batched else ops.squeeze(y, 0)


@public(_padded_by, _padded_to, places="t")
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints | str = 0, dilation: Ints = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The convolution of sequences (batch, channels, n), or of one, with `weight`.

    As `conv2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.conv1d(torch.ones(1, 2, 5), torch.ones(4, 2, 3)).shape
    torch.Size([1, 4, 3])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@public(_padded_by, _padded_to, places="t")
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints | str = 0, dilation: Ints = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The convolution of images (batch, channels, height, width), or of one, with `weight`.

    `weight` is (out channels, channels / groups, kernel...), `padding` zeros at both ends, or "same" or
    "valid". RuntimeError for sizes that do not fit. The result has
    `(n + 2 * padding - dilation * (k - 1) - 1) // stride + 1` places in a dim. The gradient of the input is
    `conv_transpose2d(g, weight)`, that of the weight a convolution of the input with `g`.

    >>> import pullback as torch
    >>> torch.nn.functional.conv2d(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3)).shape
    torch.Size([1, 4, 3, 3])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@public(_padded_by, _padded_to, places="t")
def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints | str = 0, dilation: Ints = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The convolution of volumes (batch, channels, depth, height, width), or of one, with `weight`.

    As `conv2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.conv3d(torch.ones(1, 2, 5, 5, 5), torch.ones(4, 2, 3, 3, 3)).shape
    torch.Size([1, 4, 3, 3, 3])
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


@public(places="t")
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints = 0, output_padding: Ints = 0, groups: int = 1, dilation: Ints = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`: each place times `weight`, added up.

    As `conv_transpose2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.conv_transpose1d(torch.ones(1, 2, 3), torch.ones(2, 4, 3)).shape
    torch.Size([1, 4, 5])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public(places="t")
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints = 0, output_padding: Ints = 0, groups: int = 1, dilation: Ints = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv2d`: each place times `weight`, added up.

    `weight` is (channels, out channels / groups, kernel...). The result has
    `(n - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1` places in a dim.
    RuntimeError for sizes that do not fit. The gradient of the input is `conv2d(g, weight)`.

    >>> import pullback as torch
    >>> torch.nn.functional.conv_transpose2d(torch.ones(1, 2, 3, 3), torch.ones(2, 4, 3, 3)).shape
    torch.Size([1, 4, 5, 5])
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public(places="t")
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1,
    padding: Ints = 0, output_padding: Ints = 0, groups: int = 1, dilation: Ints = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv3d`: each place times `weight`, added up.

    As `conv_transpose2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.conv_transpose3d(torch.ones(1, 2, 3, 3, 3), torch.ones(2, 4, 3, 3, 3)).shape
    torch.Size([1, 4, 5, 5, 5])
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


@op(places="t", aliases=("nn.functional.conv_tbc",))
def conv_tbc(self: Array, weight: Array, bias: Array, pad: int = 0) -> Array:
    """The convolution of sequences (time, batch, channels) with weights (kernel, channels, out channels).

    RuntimeError for sizes that do not fit. It is `conv1d` with the dims in another order.

    >>> import pullback as torch
    >>> torch.conv_tbc(torch.ones(5, 2, 3), torch.ones(2, 3, 4), torch.zeros(4)).shape
    torch.Size([4, 2, 4])
    """
    refusals.check_conv_tbc(self, weight, bias)
    check_numbers(self, "addmm_impl_cpu_")
    y = convolution.kernel(
        self.transpose(1, 2, 0), weight.transpose(2, 1, 0), bias, (1,), (pad,), (1,), False, (0,), 1
    )
    return np.ascontiguousarray(y.transpose(2, 0, 1))


@conv_tbc.meta
def _conv_tbc_meta(self: Array, weight: Array, bias: Array, pad: int) -> Array:
    refusals.check_conv_tbc(self, weight, bias)
    x, w = self.transpose(1, 2, 0), weight.transpose(2, 1, 0)
    _, (n,) = _plan(x.shape, w.shape, bias.shape, 1, pad, 1, False, 0, 1)
    return meta_array((n, len(x), len(w)), self.dtype)


conv_tbc.vjp(
    self=lambda g, weight, pad: ops.permute(
        convolution(
            ops.permute(g, (1, 2, 0)), conj(ops.permute(weight, (2, 1, 0))), None, 1, pad, 1, True, 0, 1
        ),
        (2, 0, 1),
    ),
    weight=lambda g, self, weight_shape, pad: ops.permute(
        convolution_weight(
            conj(ops.permute(self, (1, 2, 0))),
            ops.permute(g, (1, 2, 0)),
            tuple(weight_shape[::-1]),
            1,
            pad,
            1,
            1,
        ),
        (2, 1, 0),
    ),
    bias=lambda g: ops.sum(g, (0, 1)),
)


@conv_tbc.batch
@of_sample
def _conv_tbc_by_conv1d(self: Tensor, weight: Tensor, bias: Tensor, pad: int) -> Tensor:
    if (self.ndim, weight.ndim, bias.ndim) != (3, 3, 1):
        return NotImplemented
    y = conv1d(ops.permute(self, (1, 2, 0)), ops.permute(weight, (2, 1, 0)), bias, 1, pad)
    return ops.permute(y, (2, 0, 1))
