# What is written into whole arrays: copies, one number everywhere, ranges, evenly spaced numbers, places of
# triangles.
#
# Arrays are contiguous. Long ones are written in parts, which threads share: see `in_parts`. A run writes
# whole parts, pieces of memory of FILL_PART bytes or RANGE_PART elements, and what a part begins with follows
# from its number alone.

cdef enum:
    FILL_PART = 1 << 14   # bytes
    RANGE_PART = 1 << 12  # elements


cdef int fill_with(ndarray a, Number* element) noexcept:
    """Writes one element everywhere in a contiguous array."""
    cdef npy_intp item = PyArray_ITEMSIZE(a), total = PyArray_SIZE(a) * item
    cdef int64_t[2] geometry
    cdef char* data[2]
    geometry[0], geometry[1] = total, item
    data[0], data[1] = <char*>PyArray_DATA(a), <char*>element
    in_parts(fill_parts, geometry, data, total, FILL_PART, total // 4)
    return 0


cdef int copy_all_bytes(ndarray source, ndarray to) noexcept:
    """Copies a contiguous array into another of its dtype and number of elements."""
    cdef int64_t[1] geometry
    cdef char* data[2]
    geometry[0] = PyArray_NBYTES(to)
    data[0], data[1] = <char*>PyArray_DATA(to), <char*>PyArray_DATA(source)
    in_parts(copy_parts, geometry, data, geometry[0], FILL_PART, geometry[0] // 4)
    return 0


cdef int copy_parts(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                    char* scratch) noexcept nogil:
    cdef int64_t first = begin * FILL_PART, n = min(end * FILL_PART, geometry[0]) - first
    if n > 0:
        memcpy(data[0] + first, data[1] + first, n)
    return 0


cdef int clear(ndarray a) noexcept:
    """Writes zeros everywhere in a contiguous array."""
    cdef Number nothing
    memset(&nothing, 0, sizeof(nothing))
    return fill_with(a, &nothing)


cdef void in_parts(run_t run, const int64_t* geometry, char** data, int64_t size, int64_t part,
                   int64_t work) noexcept:
    """Does a run on `size` bytes or elements, `part` of which are a part."""
    cdef int64_t parts = (size + part - 1) // part
    if parts < 2:
        run(geometry, data, 0, parts, NULL)
        return
    with nogil:
        cut(run, geometry, data, parts, NULL, 0, work)


cdef int fill_parts(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                    char* scratch) noexcept nogil:
    """Writes one element everywhere. The geometry: bytes, those of the element."""
    cdef int64_t item = geometry[1], total = min(end * FILL_PART, geometry[0]) - begin * FILL_PART
    cdef int64_t have = item, more, i
    cdef char* to = data[0] + begin * FILL_PART
    if total <= 0:
        return 0
    for i in range(item):
        if data[1][i]:
            break
    else:
        memset(to, 0, total)
        return 0
    memcpy(to, data[1], item)
    while have < total:   # by doubling, as long as what is copied stays in the cache
        more = min(min(have, <int64_t>FILL_PART), total - have)
        memcpy(to + have, to, more)
        have += more
    return 0


cdef int ascend(ndarray a, int64_t start, int64_t by) noexcept:
    """Fills a contiguous array of int64 with `start + i * by`."""
    cdef int64_t[3] geometry
    cdef char* data = <char*>PyArray_DATA(a)
    geometry[0], geometry[1], geometry[2] = PyArray_SIZE(a), start, by
    in_parts(ascend_parts, geometry, &data, geometry[0], RANGE_PART, geometry[0])
    return 0


cdef int ascend_parts(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                      char* scratch) noexcept nogil:
    cdef int64_t first = begin * RANGE_PART, n = min(end * RANGE_PART, geometry[0]) - first, i
    cdef int64_t by = geometry[2], x = geometry[1] + first * by
    cdef int64_t* to = <int64_t*>data[0] + first
    for i in range(n):
        to[i] = x
        x += by
    return 0


cdef int step_up(ndarray a, double start, double step) noexcept:
    """Fills a contiguous array of floats with `i * step + start`, computed as doubles."""
    cdef int64_t[3] geometry
    cdef char* data = <char*>PyArray_DATA(a)
    geometry[0] = PyArray_SIZE(a)
    memcpy(&geometry[1], &start, 8)
    memcpy(&geometry[2], &step, 8)
    in_parts(step_up_floats if PyArray_ITEMSIZE(a) == 4 else step_up_doubles, geometry, &data, geometry[0],
             RANGE_PART, geometry[0])
    return 0


ctypedef fused real_t:
    float
    double


cdef inline void step_up_some(real_t* to, int first, int last, const int64_t* numbers) noexcept nogil:
    cdef double start, step
    cdef int i
    memcpy(&start, numbers, 8)
    memcpy(&step, numbers + 1, 8)
    for i in range(first, last):
        to[i] = <real_t>(i * step + start)


cdef int step_up_floats(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                        char* scratch) noexcept nogil:
    step_up_some(<float*>data[0], begin * RANGE_PART, min(end * RANGE_PART, geometry[0]), geometry + 1)
    return 0


cdef int step_up_doubles(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                         char* scratch) noexcept nogil:
    step_up_some(<double*>data[0], begin * RANGE_PART, min(end * RANGE_PART, geometry[0]), geometry + 1)
    return 0


def triangle_indices(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t diagonal, bint upper):
    """The places in a triangle of a matrix row by row, an array (2, count) of int64."""
    cdef npy_intp[2] dims
    cdef npy_intp row, first, last, j
    cdef npy_int64* to
    cdef ndarray a
    dims[0], dims[1] = 2, 0
    for row in range(rows):
        first, last = triangle_row(row, columns, diagonal, upper)
        dims[1] += last - first
    a = empty(2, dims, INT64)
    to = <npy_int64*>PyArray_DATA(a)
    for row in range(rows):
        first, last = triangle_row(row, columns, diagonal, upper)
        for j in range(last - first):
            to[j] = row
            to[dims[1] + j] = first + j
        to += last - first
    return a


cdef inline (npy_intp, npy_intp) triangle_row(npy_intp row, npy_intp columns, npy_intp diagonal,
                                              bint upper) noexcept:
    """The columns of a row that are in the triangle: from the first up to but not including the last."""
    cdef npy_intp edge = min(max(row + diagonal + (not upper), 0), columns), none = 0
    if upper:
        return edge, columns
    return none, edge


cdef extern from *:
    """
    #include "pullback/core/vectors.h"
    static PB_CLONES void pb_step_from(float* x, int64_t begin, int64_t end, int64_t middle, float by,
                                       float at) {
        for (int64_t i = begin; i < end; i++) x[i] = PB_FMA((float)(i - middle), by, at);
    }
    """
    void pb_step_from(float* x, int64_t begin, int64_t end, int64_t middle, float by, float at)


cpdef spread(ndarray a, double start, double end):
    """Fills a contiguous array of floats with evenly spaced numbers, counted from the nearer end."""
    cdef npy_intp n = PyArray_SIZE(a), i
    cdef float* narrow = <float*>PyArray_DATA(a)
    cdef double* wide = <double*>PyArray_DATA(a)
    cdef double step
    cdef float first = <float>start, last = <float>end, by
    if PyArray_ITEMSIZE(a) == 4:
        by = (last - first) / <float>(n - 1) if n > 1 else 0
        i = n // 2 if n > 1 else n
        pb_step_from(narrow, 0, i, 0, by, first)
        pb_step_from(narrow, i, n, n - 1, by, last)
    else:
        step = (end - start) / (n - 1) if n > 1 else 0
        for i in range(n):
            wide[i] = fma(i, step, start) if i < n // 2 or n == 1 else fma(i + 1 - n, step, end)


cdef int spread_powers(ndarray a, double base, double start, double end) except -1:
    """Fills a contiguous array of float32 with powers of evenly spaced numbers, which are doubles."""
    cdef npy_intp n = PyArray_SIZE(a), i
    cdef float* data = <float*>PyArray_DATA(a)
    cdef double step = (end - start) / (n - 1) if n > 1 else 0
    for i in range(n):
        data[i] = <float>c_pow(base, end if i == n - 1 and n > 1 else i * step + start)
    return 0
