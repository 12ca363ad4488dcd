"""Views by index: `x[key]` of ints, slices, None and one Ellipsis; one index, or one range, of a dim.

The arguments of these seldom come twice, so that a plan for each would be kept for nothing. They are read in
C at each call, and what is not plain (an index out of range, a number that is no int) is left to the ops,
which have the words for it.

Each function fills a `Geometry` and says whether it could. The same on `Spec`s are for the ops' own use.
"""

from cpython.object cimport PyObject
from libc.string cimport memcpy
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_BASE, PyArray_BYTES, PyArray_ITEMSIZE, PyArray_NBYTES,
    PyArray_NDIM,
)

import_array()

from pullback.core._loops cimport code_of, view_of
from pullback.core._plans cimport Spec

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int* overflow) except? -1
    ctypedef struct PySliceObject:
        PyObject* start
        PyObject* stop
        PyObject* step


cdef bint _number(object x, npy_intp* n) except -1:
    """Whether an object is an int that fits, which goes to `n`."""
    cdef int overflow = 0
    if type(x) is not int:
        return False
    n[0] = PyLong_AsLongLongAndOverflow(x, &overflow)
    return overflow == 0


cdef inline npy_intp _bound(npy_intp at, npy_intp n) noexcept:
    """The bound of a range in a dim of `n`, by Python's rules."""
    if at < 0:
        at += n
    return 0 if at < 0 else n if at > n else at


cdef bint _add_range(Geometry* g, npy_intp n, npy_intp stride, object start, object stop,
                     object step) except -1:
    """Adds a dim that is a range of one of `n`."""
    cdef npy_intp first = 0, last = n, by = 1
    if start is not None and not _number(start, &first) or stop is not None and not _number(stop, &last) or (
            step is not None and not _number(step, &by)) or by < 1:
        return False
    first, last = _bound(first, n), _bound(last, n)
    g.offset += first * stride
    g.dims[g.nd] = (last - first - 1) // by + 1 if last > first else 0
    g.strides[g.nd] = stride * by
    g.nd += 1
    return True


cdef inline void _add_dims(Geometry* g, npy_intp* dims, npy_intp* strides, int begin, int end) noexcept:
    """Adds the dims from `begin` to `end` as they are."""
    memcpy(&g.dims[g.nd], dims + begin, (end - begin) * sizeof(npy_intp))
    memcpy(&g.strides[g.nd], strides + begin, (end - begin) * sizeof(npy_intp))
    g.nd += end - begin


cdef inline bint _step_to(Geometry* g, npy_intp n, npy_intp stride, npy_intp index) noexcept:
    """Moves to one index of a dim of `n`, which goes away."""
    if index < -n or index >= n:
        return False
    g.offset += (index + n if index < 0 else index) * stride
    return True


cdef bint find_indexed(Geometry* g, int nd, npy_intp* dims, npy_intp* strides, npy_intp item,
                       object key) except -1:
    """`x[key]`; a new dim has the stride of all that comes after it, as in PyTorch."""
    cdef npy_intp index = 0
    cdef int d = 0, taken = 0, rest
    cdef bint dots = False
    g.nd, g.offset = 0, 0
    if type(key) is int:
        if nd == 0 or not _number(key, &index) or not _step_to(g, dims[0], strides[0], index):
            return False
        _add_dims(g, dims, strides, 1, nd)
        return True
    if type(key) is not tuple:
        key = (key,)
    if len(<tuple>key) > 64:
        return False
    for part in <tuple>key:
        if part is Ellipsis:
            if dots:
                return False
            dots = True
        elif part is None:
            g.nd += 1
        elif type(part) is int or type(part) is slice:
            taken += 1
        else:
            return False
    if taken > nd or g.nd + nd > 64:
        return False
    g.nd = 0
    rest = nd - taken
    for part in <tuple>key:
        if part is None:
            g.dims[g.nd], g.strides[g.nd] = 1, dims[d] * strides[d] if d < nd else item
            g.nd += 1
        elif part is Ellipsis:
            _add_dims(g, dims, strides, d, d + rest)
            d += rest
        elif type(part) is int:
            if not _number(part, &index) or not _step_to(g, dims[d], strides[d], index):
                return False
            d += 1
        else:
            if not _add_range(g, dims[d], strides[d], <object>(<PySliceObject*>part).start,
                              <object>(<PySliceObject*>part).stop, <object>(<PySliceObject*>part).step):
                return False
            d += 1
    _add_dims(g, dims, strides, d, nd)
    return True


cdef int _dim(object dim, int nd) except -2:
    """A dim counted from the front, -1 if it is none."""
    cdef npy_intp d = 0
    if not _number(dim, &d) or d < -nd or d >= nd:
        return -1
    return d + nd if d < 0 else d


cdef bint find_selected(Geometry* g, int nd, npy_intp* dims, npy_intp* strides, object dim,
                        object index) except -1:
    """One index of a dim."""
    cdef npy_intp at = 0
    cdef int d = _dim(dim, nd)
    g.nd, g.offset = 0, 0
    if d < 0 or not _number(index, &at) or not _step_to(g, dims[d], strides[d], at):
        return False
    _add_dims(g, dims, strides, 0, d)
    _add_dims(g, dims, strides, d + 1, nd)
    return True


cdef bint find_sliced(Geometry* g, int nd, npy_intp* dims, npy_intp* strides, object dim, object start,
                      object end, object step) except -1:
    """`start:end:step` of a dim."""
    cdef int d = _dim(dim, nd)
    g.nd, g.offset = 0, 0
    if d < 0:
        return False
    _add_dims(g, dims, strides, 0, d)
    if not _add_range(g, dims[d], strides[d], start, end, step):
        return False
    _add_dims(g, dims, strides, d + 1, nd)
    return True


cdef bint find_window(Geometry* g, ndarray a, object size, object stride, object start) except -1:
    """Any shape and strides, in elements, from the element `start` of the memory that the array lies in.

    `start` may be None: from the array's first element on. Elements outside of the memory are not found.
    """
    cdef ndarray root = a
    cdef npy_intp n = 0, step = 0, at = 0, here, last = 0, item = PyArray_ITEMSIZE(a), places
    cdef bint empty = False
    if not isinstance(size, (list, tuple)) or (
            not isinstance(stride, (list, tuple)) or len(size) != len(stride) or len(size) > 64):
        return False
    while PyArray_BASE(root) != NULL and isinstance(<object>PyArray_BASE(root), ndarray):
        root = <ndarray>PyArray_BASE(root)
    here = (PyArray_BYTES(a) - PyArray_BYTES(root)) // item
    places = PyArray_NBYTES(root) // item
    if start is None:
        at = here
    elif not _number(start, &at):
        return False
    g.nd = 0
    for length, by in zip(size, stride):
        if not _number(length, &n) or not _number(by, &step) or n < 0 or step < 0:
            return False
        if n > 1 and step and step > (places - 1 - last) // (n - 1):
            return False
        last += (n - 1) * step if n > 1 else 0
        empty = empty or n == 0
        g.dims[g.nd], g.strides[g.nd] = n, step * item
        g.nd += 1
    if at < 0 or not empty and at + last >= places:
        return False
    g.offset = (at - here) * item
    return True


def window(ndarray a not None, size, stride, start):
    """Where a window begins, in elements from the array's first; None if it is not found."""
    cdef Geometry g
    return g.offset // PyArray_ITEMSIZE(a) if find_window(&g, a, size, stride, start) else None


cdef ndarray show(Geometry* g, ndarray a):
    """The view of an array."""
    return view_of(a, code_of(a), g.nd, g.dims, g.strides, g.offset)


cdef void fill_shown(Geometry* g, char* data, char* element, npy_intp item) noexcept nogil:
    """Writes one element of `item` bytes everywhere in the view of memory that begins at `data`."""
    cdef npy_intp index[64]
    cdef npy_intp i, have, n = 1, step = 0
    cdef int d, last = g.nd - 1
    for d in range(g.nd):
        index[d] = 0
        if g.dims[d] == 0:
            return
    if last >= 0:
        n, step = g.dims[last], g.strides[last]
        while last > 0 and g.strides[last - 1] == n * step:   # dims that run on are one
            last -= 1
            n *= g.dims[last]
    data += g.offset
    while True:
        if step == item and n > 16:   # by doubling
            memcpy(data, element, item)
            have = 1
            while have < n:
                memcpy(data + have * item, data, min(have, n - have) * item)
                have *= 2
        elif item == 4:
            for i in range(n):
                memcpy(data + i * step, element, 4)
        elif item == 8:
            for i in range(n):
                memcpy(data + i * step, element, 8)
        else:
            for i in range(n):
                memcpy(data + i * step, element, item)
        d = last - 1
        while d >= 0:
            index[d] += 1
            data += g.strides[d]
            if index[d] < g.dims[d]:
                break
            data -= g.strides[d] * g.dims[d]
            index[d] = 0
            d -= 1
        if d < 0:
            return


# --------------------------------------------------------------------------------------- on specs

cdef struct Dims:
    npy_intp sizes[64]
    npy_intp strides[64]


cdef int _read(Spec x, Dims* found) except -1:
    cdef int d
    for d in range(len(x.shape)):
        found.sizes[d], found.strides[d] = x.shape[d], x.strides[d]
    return len(x.shape)


cdef Spec _seen(Spec x, Geometry* g):
    return x.seen([g.dims[d] for d in range(g.nd)], [g.strides[d] for d in range(g.nd)], g.offset)


def indexed(Spec x not None, key):
    """`x[key]`, None if the key is not plain or out of range."""
    cdef Geometry g
    cdef Dims found
    cdef int nd = _read(x, &found)
    return _seen(x, &g) if find_indexed(&g, nd, found.sizes, found.strides, x.dtype.itemsize, key) else None


def selected(Spec x not None, dim, index):
    """One index of a dim, None if one of the two is out of range."""
    cdef Geometry g
    cdef Dims found
    cdef int nd = _read(x, &found)
    return _seen(x, &g) if find_selected(&g, nd, found.sizes, found.strides, dim, index) else None


def sliced(Spec x not None, dim, start, end, step):
    """`start:end:step` of a dim, None if there is no such dim, or the step is not positive."""
    cdef Geometry g
    cdef Dims found
    cdef int nd = _read(x, &found)
    return _seen(x, &g) if find_sliced(&g, nd, found.sizes, found.strides, dim, start, end, step) else None
