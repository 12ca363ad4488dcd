# cython: cdivision=True
"""Images sampled at the places of a grid, and all derivatives of that.

A place weighs a few pixels around it with a product of one weight for each dim: a polynomial of how far
it is from the pixel below. A derivative with respect to a coordinate takes the derivative of that dim's
weights. So the same loops serve all orders: `order` says which derivative of each dim is meant. Three
of them: `sample` weighs pixels, `scatter` is its transpose, and `grid_gradient` gives the derivatives to all
coordinates of the product of samples and cotangents. Everything is in (d, h, w); images without depth
have one layer.

All arrays are C-contiguous and of one dtype, float32 or float64: x (batch, channels, *size), the grid
(batch, *places, dims) with its coordinates in the order w, h, d, y (batch, channels, *places). `mode` and
`padding` are numbers in the order of the enums here, `order` has a number for each spatial dim. Nothing is
checked: `ops/images/grid.py` does. Read `Place`, `locate`, then `sample_all`.
"""

from libc.math cimport floor, fabs, fmod, isfinite, nearbyint
from libc.stdint cimport int64_t
from numpy cimport import_array, ndarray, PyArray_DATA

import_array()

ctypedef fused real:
    float
    double

cdef enum:
    LINEAR, NEAREST, CUBIC

cdef enum:
    ZEROS, BORDER, REFLECTION

cdef struct Image:
    Py_ssize_t size[3]     # d, h, w
    Py_ssize_t count       # places for each image
    Py_ssize_t channels
    Py_ssize_t batch
    int dims, mode, padding
    bint corners
    int order[3]           # of the derivative in d, h, w

cdef struct Place:
    Py_ssize_t tap[3][4]   # pixels in each dim, -1 for none
    double weight[3][4]    # of the derivative asked for
    double slope[3][4]     # of the next one
    int taps[3]


cdef inline double reflect(double x, double low, double high, double* sign) noexcept nogil:
    """A coordinate reflected into [low, high], by its ends; the sign of its derivative."""
    cdef double span = high - low, rest, flips
    if span <= 0:
        sign[0] = 0
        return 0
    x -= low
    if x < 0:
        x = -x
        sign[0] = -sign[0]
    flips = floor(x / span)
    rest = x - flips * span
    if fmod(flips, 2) == 0:
        return rest + low
    sign[0] = -sign[0]
    return span - rest + low


cdef inline double padded(double x, Py_ssize_t n, Image* im, double* factor) noexcept nogil:
    """A pixel coordinate after the padding; `factor` is multiplied with its derivative."""
    if im.padding == REFLECTION:
        if im.corners:
            x = reflect(x, 0, n - 1, factor)
        else:
            x = reflect(x, -0.5, n - 0.5, factor)
    if im.padding != ZEROS:
        if not x > 0:
            factor[0] = 0
            return 0
        if x >= n - 1:
            factor[0] = 0
            return n - 1
    return x


cdef inline void linear_weights(double t, int order, double* w) noexcept nogil:
    w[0] = 1 - t if order == 0 else -1 if order == 1 else 0
    w[1] = t if order == 0 else 1 if order == 1 else 0


cdef inline double cubic_near(double x, int order) noexcept nogil:
    """Keys' kernel with a slope of -3/4 at one, and its derivatives, within [0, 1]."""
    cdef double a = -0.75
    if order == 0:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if order == 1:
        return (3 * (a + 2) * x - 2 * (a + 3)) * x
    if order == 2:
        return 6 * (a + 2) * x - 2 * (a + 3)
    return 6 * (a + 2) if order == 3 else 0


cdef inline double cubic_far(double x, int order) noexcept nogil:
    """The same within [1, 2]."""
    cdef double a = -0.75
    if order == 0:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    if order == 1:
        return (3 * a * x - 10 * a) * x + 8 * a
    if order == 2:
        return 6 * a * x - 10 * a
    return 6 * a if order == 3 else 0


cdef inline void cubic_weights(double t, int order, double* w) noexcept nogil:
    cdef double flip = -1 if order & 1 else 1   # two pixels lie on the other side
    w[0] = cubic_far(t + 1, order)
    w[1] = cubic_near(t, order)
    w[2] = flip * cubic_near(1 - t, order)
    w[3] = flip * cubic_far(2 - t, order)


cdef inline void locate(double coordinate, int d, Image* im, Place* p) noexcept nogil:
    """The pixels and weights of one dim at a coordinate in [-1, 1]."""
    cdef Py_ssize_t n = im.size[d], i
    cdef int k, order = im.order[d]
    cdef double factor = (n - 1) / 2.0 if im.corners else n / 2.0
    cdef double scale = factor, power = 1, x, low, unused = 1
    x = (coordinate + 1) * factor if im.corners else ((coordinate + 1) * n - 1) / 2
    if im.mode != CUBIC:
        x = padded(x, n, im, &scale)
    for k in range(order):
        power *= scale
    p.taps[d] = 4 if im.mode == CUBIC else 1 if im.mode == NEAREST else 2
    low = nearbyint(x) if im.mode == NEAREST else floor(x)
    if not isfinite(x) or fabs(x) > 1e15:
        for k in range(p.taps[d]):
            p.tap[d][k] = -1
            p.weight[d][k] = p.slope[d][k] = 0
        return
    if im.mode == NEAREST:
        p.weight[d][0] = 1 if order == 0 else 0
        p.slope[d][0] = 0
    elif im.mode == LINEAR:
        linear_weights(x - low, order, p.weight[d])
        linear_weights(x - low, order + 1, p.slope[d])
    else:
        cubic_weights(x - low, order, p.weight[d])
        cubic_weights(x - low, order + 1, p.slope[d])
    for k in range(p.taps[d]):
        p.weight[d][k] *= power
        p.slope[d][k] *= power * scale
        x = low + k - (1 if im.mode == CUBIC else 0)
        if im.mode == CUBIC:
            x = padded(x, n, im, &unused)
        i = <Py_ssize_t>x
        p.tap[d][k] = i if 0 <= x < n else -1


cdef inline void locate_all(real* grid, Image* im, Place* p) noexcept nogil:
    """Pixels and weights at a place, whose coordinates stand in the order w, h, d."""
    cdef int d
    if im.dims == 2:
        p.taps[0] = 1
        p.tap[0][0] = 0
        p.weight[0][0] = 1
        p.slope[0][0] = 0
    for d in range(3 - im.dims, 3):
        locate(grid[2 - d], d, im, p)


cdef void sample_all(real* x, real* grid, real* y, Image* im) noexcept nogil:
    cdef Py_ssize_t n, o, c, plane = im.size[0] * im.size[1] * im.size[2]
    cdef Py_ssize_t at[64]
    cdef double weight[64]
    cdef double total
    cdef int k, taps
    cdef Place p
    for n in range(im.batch):
        for o in range(im.count):
            locate_all(grid + (n * im.count + o) * im.dims, im, &p)
            taps = gather_taps(&p, im, at, weight)
            for c in range(im.channels):
                total = 0
                for k in range(taps):
                    total += weight[k] * x[(n * im.channels + c) * plane + at[k]]
                y[(n * im.channels + c) * im.count + o] = <real>total


cdef inline int gather_taps(Place* p, Image* im, Py_ssize_t* at, double* weight) noexcept nogil:
    """The pixels inside the image, and the products of their weights."""
    cdef int a, b, c, taps = 0
    for a in range(p.taps[0]):
        if p.tap[0][a] < 0:
            continue
        for b in range(p.taps[1]):
            if p.tap[1][b] < 0:
                continue
            for c in range(p.taps[2]):
                if p.tap[2][c] >= 0:
                    at[taps] = (p.tap[0][a] * im.size[1] + p.tap[1][b]) * im.size[2] + p.tap[2][c]
                    weight[taps] = p.weight[0][a] * p.weight[1][b] * p.weight[2][c]
                    taps += 1
    return taps


cdef void scatter_all(real* x, real* grid, real* y, Image* im) noexcept nogil:
    cdef Py_ssize_t n, o, c, plane = im.size[0] * im.size[1] * im.size[2]
    cdef Py_ssize_t at[64]
    cdef double weight[64]
    cdef real value
    cdef int k, taps
    cdef Place p
    for n in range(im.batch):
        for o in range(im.count):
            locate_all(grid + (n * im.count + o) * im.dims, im, &p)
            taps = gather_taps(&p, im, at, weight)
            for c in range(im.channels):
                value = y[(n * im.channels + c) * im.count + o]
                for k in range(taps):
                    x[(n * im.channels + c) * plane + at[k]] += <real>weight[k] * value


cdef void grid_gradient_all(real* x, real* grid, real* y, real* out, Image* im) noexcept nogil:
    cdef Py_ssize_t n, o, c, at, plane = im.size[0] * im.size[1] * im.size[2], pixels = plane * im.channels
    cdef double sums[3]
    cdef double dot
    cdef int i, j, k, d
    cdef Place p
    cdef real* image
    cdef real* g
    for n in range(im.batch):
        for o in range(im.count):
            locate_all(grid + (n * im.count + o) * im.dims, im, &p)
            sums[0] = sums[1] = sums[2] = 0
            g = y + n * im.channels * im.count + o
            for i in range(p.taps[0]):
                for j in range(p.taps[1]):
                    for k in range(p.taps[2]):
                        if p.tap[0][i] < 0 or p.tap[1][j] < 0 or p.tap[2][k] < 0:
                            continue
                        at = (p.tap[0][i] * im.size[1] + p.tap[1][j]) * im.size[2] + p.tap[2][k]
                        image = x + n * pixels + at
                        dot = 0
                        for c in range(im.channels):
                            dot += image[c * plane] * g[c * im.count]
                        sums[0] += p.slope[0][i] * p.weight[1][j] * p.weight[2][k] * dot
                        sums[1] += p.weight[0][i] * p.slope[1][j] * p.weight[2][k] * dot
                        sums[2] += p.weight[0][i] * p.weight[1][j] * p.slope[2][k] * dot
            for d in range(im.dims):
                out[(n * im.count + o) * im.dims + d] = <real>sums[2 - d]


cdef Image image_of(ndarray x, ndarray grid, int mode, int padding, bint corners, tuple order) except *:
    cdef Image im
    cdef tuple shape = (<object>x).shape
    cdef int d, dims = len(shape) - 2
    im.batch, im.channels, im.dims = shape[0], shape[1], dims
    im.count = grid.size // max(im.batch * dims, 1)
    im.mode, im.padding, im.corners = mode, padding, corners
    for d in range(3):
        im.size[d] = shape[d - 3] if d >= 3 - dims else 1
        im.order[d] = order[d - 3] if d >= 3 - dims else 0
    return im


def sample(ndarray x, ndarray grid, ndarray y, int mode, int padding, bint corners, tuple order):
    """Fills y with the derivative of this order of x at the grid's places."""
    cdef Image im = image_of(x, grid, mode, padding, corners, order)
    if x.itemsize == 4:
        sample_all(<float*>PyArray_DATA(x), <float*>PyArray_DATA(grid), <float*>PyArray_DATA(y), &im)
    else:
        sample_all(<double*>PyArray_DATA(x), <double*>PyArray_DATA(grid), <double*>PyArray_DATA(y), &im)


def scatter(ndarray x, ndarray grid, ndarray y, int mode, int padding, bint corners, tuple order):
    """Adds y into the pixels of x that it would be sampled from: the transpose of `sample`."""
    cdef Image im = image_of(x, grid, mode, padding, corners, order)
    if x.itemsize == 4:
        scatter_all(<float*>PyArray_DATA(x), <float*>PyArray_DATA(grid), <float*>PyArray_DATA(y), &im)
    else:
        scatter_all(<double*>PyArray_DATA(x), <double*>PyArray_DATA(grid), <double*>PyArray_DATA(y), &im)


def grid_gradient(ndarray x, ndarray grid, ndarray y, ndarray out, int mode, int padding, bint corners,
                  tuple order):
    """Fills out, like the grid, with the sums over channels of y times the samples' derivatives."""
    cdef Image im = image_of(x, grid, mode, padding, corners, order)
    if x.itemsize == 4:
        grid_gradient_all(<float*>PyArray_DATA(x), <float*>PyArray_DATA(grid), <float*>PyArray_DATA(y),
                          <float*>PyArray_DATA(out), &im)
    else:
        grid_gradient_all(<double*>PyArray_DATA(x), <double*>PyArray_DATA(grid), <double*>PyArray_DATA(y),
                          <double*>PyArray_DATA(out), &im)
