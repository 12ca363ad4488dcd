# cython: cdivision=True
"""Columns of windows, and depthwise convolution.

`im2col` lays each window of an image out as a column, so that a convolution is a product of matrices;
`col2im` is its transpose: it adds the columns back into the image. Images have three spatial dims here
(of size one where there are fewer) and `Geometry` says how windows lie in them. The depthwise kernels
work without columns: NOTE [Long rows]. All arrays are C-contiguous; nothing is checked here:
`ops/images/convolution.py` and `ops/images/im2col.py` do.

In names, a tap is one place of the kernel, `step` the dilation, `count` how many windows there are along each
dim. Read `Geometry`, `valid_range`, `fill_columns`; the depthwise part from its NOTE on.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from numpy cimport import_array, ndarray, PyArray_DATA

from pullback.core._plans cimport capsule_of, run_t

import_array()

ctypedef fused item:  # what is only copied, by its size
    char
    short
    int
    long long
    double complex

ctypedef fused number:
    int
    long long
    float
    double
    float complex
    double complex

ctypedef fused real:
    float
    double


cdef struct Lattice:    # how windows lie in an image, for each of three spatial dims
    int64_t size[3]
    int64_t kernel[3]
    int64_t stride[3]
    int64_t pad[3]
    int64_t step[3]
    int64_t count[3]


cdef class Geometry:
    """How windows lie in an image: five numbers for each of three spatial dims, and how many they are.

    Dims that the image lacks come first, with one place. `numbers` are those of a `Lattice`.
    """

    cdef Lattice lattice
    cdef readonly tuple numbers
    cdef Py_ssize_t size[3]
    cdef Py_ssize_t kernel[3]
    cdef Py_ssize_t stride[3]
    cdef Py_ssize_t pad[3]
    cdef Py_ssize_t step[3]
    cdef Py_ssize_t count[3]
    cdef readonly Py_ssize_t taps, places, rows, width  # width: places in a row
    cdef readonly tuple out
    cdef readonly Py_ssize_t stretch  # of the places, by the strides
    cdef readonly bint plain   # the columns are the image itself

    def __init__(self, tuple size, tuple kernel, tuple stride, tuple padding, tuple dilation, tuple out):
        cdef int d, k, first = 3 - len(size)
        for d in range(3):
            k = d - first
            self.size[d] = size[k] if k >= 0 else 1
            self.kernel[d] = kernel[k] if k >= 0 else 1
            self.stride[d] = stride[k] if k >= 0 else 1
            self.pad[d] = padding[k] if k >= 0 else 0
            self.step[d] = dilation[k] if k >= 0 else 1
            self.count[d] = out[k] if k >= 0 else 1
        each = (self.size, self.kernel, self.stride, self.pad, self.step, self.count)
        self.numbers = tuple([<object>n for part in each for n in part])
        for d in range(18):
            (<int64_t*>&self.lattice)[d] = self.numbers[d]
        self.taps = self.kernel[0] * self.kernel[1] * self.kernel[2]
        self.rows = self.count[0] * self.count[1]
        self.width = self.count[2]
        self.places = self.rows * self.width
        self.out = out
        self.stretch = self.stride[0] * self.stride[1] * self.stride[2]
        self.plain = self.taps == 1 and all(s == 1 for s in stride) and not any(padding) and out == size


cdef inline void valid_range(Py_ssize_t size, Py_ssize_t start, Py_ssize_t stride, Py_ssize_t count,
                             Py_ssize_t* low, Py_ssize_t* high) noexcept nogil:
    """The places [low, high) whose position `start + place * stride` is inside of `size`."""
    low[0] = 0 if start >= 0 else (stride - 1 - start) // stride
    high[0] = 0 if start >= size else (size - 1 - start) // stride + 1
    low[0] = min(low[0], count)
    high[0] = max(min(high[0], count), low[0])


cdef void fill_wide(item* image, item* to, Lattice* g, Py_ssize_t k0, Py_ssize_t k1, Py_ssize_t first,
                    Py_ssize_t last, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    """One row of columns, of windows without strides, as many as the image is wide: planes are copied as they
    lie, shifted, and their ends [0, low) and [high, width) set to zero after.
    """
    cdef Py_ssize_t width = g.count[2], p, r = first, end, rows, i0, i1, top, bottom, i, j
    while r < last:
        p = r // g.count[1]
        end = min(last, (p + 1) * g.count[1])
        rows = end - r
        i0 = p * g.stride[0] - g.pad[0] + k0 * g.step[0]
        i1 = r - p * g.count[1] - g.pad[1] + k1 * g.step[1]
        top = min(max(-i1, 0), rows)
        bottom = max(min(g.size[1] - i1, rows), top)
        if i0 < 0 or i0 >= g.size[0] or low >= high:
            top = bottom = rows
        memset(to, 0, top * width * sizeof(item))
        if bottom > top:
            memcpy(to + top * width + low, image + (i0 * g.size[1] + i1 + top) * width + low,
                   ((bottom - top - 1) * width + high - low) * sizeof(item))
            for j in range(top, bottom):
                for i in range(low):
                    to[j * width + i] = 0
                for i in range(high, width):
                    to[j * width + i] = 0
        memset(to + bottom * width, 0, (rows - bottom) * width * sizeof(item))
        to += rows * width
        r = end


cdef void fill_columns(item* image, item* columns, Lattice* g, Py_ssize_t channels, Py_ssize_t pitch,
                       Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """The columns of one image, for the rows of windows [first, last); a row of them every `pitch`."""
    cdef Py_ssize_t plane = g.size[0] * g.size[1] * g.size[2], width = g.count[2], stride = g.stride[2]
    cdef Py_ssize_t c, k0, k1, k2, r, p, q, i0, i1, start, low = 0, high = 0, j
    cdef Py_ssize_t p0 = first // max(g.count[1], 1), q0 = first % max(g.count[1], 1)
    cdef item* row = columns
    cdef item* to
    cdef item* source
    cdef bint wide = stride == 1 and g.stride[1] == 1 and width == g.size[2]
    for c in range(channels):
        for k0 in range(g.kernel[0]):
            for k1 in range(g.kernel[1]):
                for k2 in range(g.kernel[2]):
                    start = k2 * g.step[2] - g.pad[2]
                    valid_range(g.size[2], start, stride, width, &low, &high)
                    if wide:
                        fill_wide(image + c * plane + start, row, g, k0, k1, first, last, low, high)
                        row += pitch
                        continue
                    to, p, q = row, p0, q0 - 1
                    for r in range(first, last):
                        q += 1
                        if q == g.count[1]:
                            p, q = p + 1, 0
                        i0 = p * g.stride[0] - g.pad[0] + k0 * g.step[0]
                        i1 = q * g.stride[1] - g.pad[1] + k1 * g.step[1]
                        if i0 < 0 or i0 >= g.size[0] or i1 < 0 or i1 >= g.size[1]:
                            memset(to, 0, width * sizeof(item))
                            to += width
                            continue
                        source = image + c * plane + (i0 * g.size[1] + i1) * g.size[2] + start
                        for j in range(low):
                            to[j] = 0
                        if stride == 1:
                            memcpy(to + low, source + low, (high - low) * sizeof(item))
                        else:
                            for j in range(low, high):
                                to[j] = source[j * stride]
                        for j in range(high, width):
                            to[j] = 0
                        to += width
                    row += pitch


cdef void add_columns(number* image, number* columns, Lattice* g, Py_ssize_t channels, Py_ssize_t pitch,
                      Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Adds columns into the image that they were taken from: the transpose of `fill_columns`."""
    cdef Py_ssize_t plane = g.size[0] * g.size[1] * g.size[2], width = g.count[2], stride = g.stride[2]
    cdef Py_ssize_t c, k0, k1, k2, r, p, q, i0, i1, start, low = 0, high = 0, j
    cdef Py_ssize_t p0 = first // max(g.count[1], 1), q0 = first % max(g.count[1], 1)
    cdef number* row = columns
    cdef number* source
    cdef number* to
    for c in range(channels):
        for k0 in range(g.kernel[0]):
            for k1 in range(g.kernel[1]):
                for k2 in range(g.kernel[2]):
                    start = k2 * g.step[2] - g.pad[2]
                    valid_range(g.size[2], start, stride, width, &low, &high)
                    p, q = p0, q0 - 1
                    for r in range(first, last):
                        q += 1
                        if q == g.count[1]:
                            p, q = p + 1, 0
                        i0 = p * g.stride[0] - g.pad[0] + k0 * g.step[0]
                        i1 = q * g.stride[1] - g.pad[1] + k1 * g.step[1]
                        if i0 < 0 or i0 >= g.size[0] or i1 < 0 or i1 >= g.size[1]:
                            continue
                        source = row + (r - first) * width
                        to = image + c * plane + (i0 * g.size[1] + i1) * g.size[2] + start
                        if stride == 1:
                            for j in range(low, high):
                                to[j] = to[j] + source[j]
                        elif stride == 2:
                            for j in range(low, high):
                                to[j * 2] = to[j * 2] + source[j]
                        else:
                            for j in range(low, high):
                                to[j * stride] = to[j * stride] + source[j]
                    row += pitch


cdef void all_columns(item* image, item* columns, Lattice* g, Py_ssize_t images, Py_ssize_t channels,
                      Py_ssize_t jump, Py_ssize_t pitch, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t n, size = channels * g.size[0] * g.size[1] * g.size[2]
    for n in range(images):
        fill_columns(image + n * size, columns + n * jump, g, channels, pitch, first, last)


def im2col(ndarray image, ndarray columns, Geometry g, Py_ssize_t images, Py_ssize_t channels,
           Py_ssize_t jump, Py_ssize_t pitch, Py_ssize_t first, Py_ssize_t last):
    """Fills the columns of images, for the rows of windows [first, last).

    `image` is (images, channels, *spatial) of any dtype, `columns` of the same dtype and, where these are all
    windows, (images, channels * taps, places). The columns of one image follow those of the last after
    `jump` elements, a row of them after `pitch`.
    """
    cdef void* a = PyArray_DATA(image)
    cdef void* b = PyArray_DATA(columns)
    cdef Py_ssize_t size = image.itemsize
    with nogil:
        if size == 4:
            all_columns(<int*>a, <int*>b, &g.lattice, images, channels, jump, pitch, first, last)
        elif size == 8:
            all_columns(<long long*>a, <long long*>b, &g.lattice, images, channels, jump, pitch, first, last)
        elif size == 16:
            all_columns(<double complex*>a, <double complex*>b, &g.lattice, images, channels, jump, pitch,
                        first, last)
        elif size == 2:
            all_columns(<short*>a, <short*>b, &g.lattice, images, channels, jump, pitch, first, last)
        else:
            all_columns(<char*>a, <char*>b, &g.lattice, images, channels, jump, pitch, first, last)


cdef void all_images(number* image, number* columns, Lattice* g, Py_ssize_t images, Py_ssize_t channels,
                     Py_ssize_t jump, Py_ssize_t pitch, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t n, size = channels * g.size[0] * g.size[1] * g.size[2]
    for n in range(images):
        add_columns(image + n * size, columns + n * jump, g, channels, pitch, first, last)


def col2im(ndarray image, ndarray columns, Geometry g, Py_ssize_t images, Py_ssize_t channels,
           Py_ssize_t jump, Py_ssize_t pitch, Py_ssize_t first, Py_ssize_t last):
    """Adds columns into images, laid out as for `im2col`; of float32, float64, complex or int32 or int64."""
    cdef void* a = PyArray_DATA(image)
    cdef void* b = PyArray_DATA(columns)
    cdef str code = image.dtype.char
    if code == "f":
        all_images(<float*>a, <float*>b, &g.lattice, images, channels, jump, pitch, first, last)
    elif code == "d":
        all_images(<double*>a, <double*>b, &g.lattice, images, channels, jump, pitch, first, last)
    elif code == "F":
        all_images(<float complex*>a, <float complex*>b, &g.lattice, images, channels, jump, pitch, first,
                   last)
    elif code == "D":
        all_images(<double complex*>a, <double complex*>b, &g.lattice, images, channels, jump, pitch, first,
                   last)
    elif image.itemsize == 4:
        all_images(<int*>a, <int*>b, &g.lattice, images, channels, jump, pitch, first, last)
    else:
        all_images(<long long*>a, <long long*>b, &g.lattice, images, channels, jump, pitch, first, last)


# As steps of plans: an image is a part. The geometry: bytes of an element or the letter of its type,
# channels, jump, pitch, then a Lattice.

cdef int im2col_run(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                    char* scratch) noexcept nogil:
    cdef int64_t size = geometry[0], channels = geometry[1], jump = geometry[2], pitch = geometry[3]
    cdef Lattice* g = <Lattice*>(geometry + 4)
    cdef int64_t rows = g.count[0] * g.count[1], n = end - begin
    cdef char* a = data[0] + begin * channels * g.size[0] * g.size[1] * g.size[2] * size
    cdef char* b = data[1] + begin * jump * size
    if size == 4:
        all_columns(<int*>a, <int*>b, g, n, channels, jump, pitch, 0, rows)
    elif size == 8:
        all_columns(<long long*>a, <long long*>b, g, n, channels, jump, pitch, 0, rows)
    elif size == 16:
        all_columns(<double complex*>a, <double complex*>b, g, n, channels, jump, pitch, 0, rows)
    elif size == 2:
        all_columns(<short*>a, <short*>b, g, n, channels, jump, pitch, 0, rows)
    else:
        all_columns(a, b, g, n, channels, jump, pitch, 0, rows)
    return 0


cdef int col2im_run(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                    char* scratch) noexcept nogil:
    cdef int64_t code = geometry[0], channels = geometry[1], jump = geometry[2], pitch = geometry[3]
    cdef Lattice* g = <Lattice*>(geometry + 4)
    cdef int64_t size = 4 if code == c'f' else 16 if code == c'D' else 8
    cdef int64_t rows = g.count[0] * g.count[1], n = end - begin
    cdef int64_t image = channels * g.size[0] * g.size[1] * g.size[2] * size
    cdef char* a = data[1] + begin * image
    cdef char* b = data[0] + begin * jump * size
    memset(a, 0, n * image)
    if code == c'f':
        all_images(<float*>a, <float*>b, g, n, channels, jump, pitch, 0, rows)
    elif code == c'd':
        all_images(<double*>a, <double*>b, g, n, channels, jump, pitch, 0, rows)
    elif code == c'F':
        all_images(<float complex*>a, <float complex*>b, g, n, channels, jump, pitch, 0, rows)
    else:
        all_images(<double complex*>a, <double complex*>b, g, n, channels, jump, pitch, 0, rows)
    return 0


IM2COL, COL2IM = capsule_of(im2col_run), capsule_of(col2im_run)


# NOTE [Long rows]: a channel is copied into a padded plane, and its results get a plane of the same pitch,
# in which window (i, j) stands at (stride * i, stride * j). Then a tap of the kernel is one offset between
# the two planes, and works on a plane as on one long row, whatever the dims: a loop that compilers make
# vector code of. What is computed between the results is left out when they are copied.

cdef struct Planes:
    Py_ssize_t rows, pitch, layers   # of the padded plane
    Py_ssize_t length                # of the long row: from the first result to the last


cdef inline Py_ssize_t padded_size(Geometry g, int d) noexcept nogil:
    """The length of one dim with its padding, and with whatever the last window reaches beyond it."""
    return max(g.size[d] + 2 * g.pad[d], (g.count[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.step[d] + 1)


cdef Planes planes_of(Geometry g) noexcept nogil:
    cdef Planes p
    p.layers, p.rows, p.pitch = padded_size(g, 0), padded_size(g, 1), padded_size(g, 2)
    p.length = (((g.count[0] - 1) * g.stride[0] * p.rows + (g.count[1] - 1) * g.stride[1]) * p.pitch
                + (g.count[2] - 1) * g.stride[2] + 1)
    return p


cdef void move_image(real* image, real* padded, Geometry g, Planes p, bint back) noexcept nogil:
    """Copies a channel into the middle of its padded plane, or adds the middle to the channel."""
    cdef Py_ssize_t i0, i1, j, width = g.size[2]
    cdef real* here
    cdef real* there
    for i0 in range(g.size[0]):
        for i1 in range(g.size[1]):
            here = image + (i0 * g.size[1] + i1) * width
            there = padded + ((i0 + g.pad[0]) * p.rows + i1 + g.pad[1]) * p.pitch + g.pad[2]
            if back:
                for j in range(width):
                    here[j] += there[j]
            else:
                memcpy(there, here, width * sizeof(real))


cdef void move_results(real* results, real* spread, Geometry g, Planes p, bint back) noexcept nogil:
    """Copies results to their places in the long row, or from there."""
    cdef Py_ssize_t o0, o1, j, width = g.count[2], stride = g.stride[2]
    cdef real* here
    cdef real* there
    for o0 in range(g.count[0]):
        for o1 in range(g.count[1]):
            here = results + (o0 * g.count[1] + o1) * width
            there = spread + (o0 * g.stride[0] * p.rows + o1 * g.stride[1]) * p.pitch
            if back:
                for j in range(width):
                    here[j] = there[j * stride]
            else:
                for j in range(width):
                    there[j * stride] = here[j]


cdef inline void add_scaled(real* to, real* source, real w, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        to[j] += w * source[j]


cdef inline void add_three(real* to, real* a, real* b, real* c, real u, real v, real w,
                           Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        to[j] += u * a[j] + v * b[j] + w * c[j]


cdef inline real product_sum(real* a, real* b, Py_ssize_t n) noexcept nogil:
    """A dot product in eight sums, which vector code can keep side by side."""
    cdef real sums[8]
    cdef Py_ssize_t j, k
    for k in range(8):
        sums[k] = 0
    for j in range(0, n - 7, 8):
        for k in range(8):
            sums[k] += a[j + k] * b[j + k]
    for j in range(n - n % 8, n):
        sums[0] += a[j] * b[j]
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


cdef int depthwise_work(real* x, real* w, real* y, Geometry g, Py_ssize_t images, Py_ssize_t channels,
                        Py_ssize_t times, char part) except -1 nogil:
    """Computes y ("y"), or adds into x ("x") or w ("w"), from the other two."""
    cdef Planes p = planes_of(g)
    cdef Py_ssize_t plane = g.size[0] * g.size[1] * g.size[2], n, o, k, c
    cdef real* padded = <real*>calloc(p.layers * p.rows * p.pitch, sizeof(real))
    cdef real* spread = <real*>calloc(p.length, sizeof(real))
    cdef Py_ssize_t* offset = <Py_ssize_t*>calloc(g.taps, sizeof(Py_ssize_t))
    cdef real* taps
    if padded == NULL or spread == NULL or offset == NULL:
        free(padded)
        free(spread)
        free(offset)
        with gil:
            raise MemoryError
    for k in range(g.taps):
        c = k // g.kernel[2]
        offset[k] = ((c // g.kernel[1] * g.step[0] * p.rows + c % g.kernel[1] * g.step[1]) * p.pitch
                     + k % g.kernel[2] * g.step[2])
    for n in range(images):
        for c in range(channels):
            if part == c'x':
                memset(padded, 0, p.layers * p.rows * p.pitch * sizeof(real))
            else:
                move_image(x + (n * channels + c) * plane, padded, g, p, False)
            for o in range(c * times, (c + 1) * times):
                taps = w + o * g.taps
                if part == c'y':
                    memset(spread, 0, p.length * sizeof(real))
                    k = 0
                    while k + 3 <= g.taps:
                        add_three(spread, padded + offset[k], padded + offset[k + 1], padded + offset[k + 2],
                                  taps[k], taps[k + 1], taps[k + 2], p.length)
                        k += 3
                    while k < g.taps:
                        add_scaled(spread, padded + offset[k], taps[k], p.length)
                        k += 1
                    move_results(y + (n * channels * times + o) * g.places, spread, g, p, True)
                    continue
                move_results(y + (n * channels * times + o) * g.places, spread, g, p, False)
                for k in range(g.taps):
                    if part == c'x':
                        add_scaled(padded + offset[k], spread, taps[k], p.length)
                    else:
                        taps[k] += product_sum(padded + offset[k], spread, p.length)
            if part == c'x':
                move_image(x + (n * channels + c) * plane, padded, g, p, True)
    free(padded)
    free(spread)
    free(offset)
    return 0


def depthwise(ndarray x, ndarray w, ndarray y, Geometry g, Py_ssize_t images, Py_ssize_t channels,
              Py_ssize_t times, str part):
    """The convolution of each channel with `times` kernels of its own.

    Of x (images, channels, *spatial), w (channels * times, taps) and y (images, channels * times, places),
    of float32 or float64, `part` names the one to compute from the others by the transposed products; x and w
    must be zero before.
    """
    cdef char which = ord(part)
    if not g.places or not images * channels:
        return
    if x.itemsize == 4:
        depthwise_work(<float*>PyArray_DATA(x), <float*>PyArray_DATA(w), <float*>PyArray_DATA(y), g, images,
                       channels, times, which)
    else:
        depthwise_work(<double*>PyArray_DATA(x), <double*>PyArray_DATA(w), <double*>PyArray_DATA(y), g,
                       images, channels, times, which)
