# Arrays: their dtype codes, their making and keeping, views of them.
#
# `empty` makes every result, `recycle` takes back what a tensor leaves behind: NOTE [Used arrays]. `code_of`
# is asked at every step of every op. Read these three.
#

cdef int KEEPABLE = NPY_ARRAY_OWNDATA | NPY_ARRAY_CARRAY

cdef enum:
    TYPENUMS = 32   # more than NumPy has type numbers of its own

cdef int CODE_OF_TYPENUM[TYPENUMS]
cdef npy_intp ITEMSIZE[NCODES]


cdef _fill_codes():
    cdef int i
    for i in range(TYPENUMS):
        CODE_OF_TYPENUM[i] = NO_DTYPE
    for d in DTYPES:
        ITEMSIZE[<int>d.code] = d.itemsize
        if not d.is_native:
            TYPENUM[d.code] = -1
            continue
        TYPENUM[d.code] = d.numpy.num
        CODE_OF_TYPENUM[TYPENUM[d.code]] = d.code
    # `long` and `long long` (and their unsigned twins) are equal types with two numbers.
    for spelled in (np.dtype("l"), np.dtype("q"), np.dtype("i"), np.dtype("L"), np.dtype("Q"), np.dtype("I")):
        CODE_OF_TYPENUM[<int>spelled.num] = CODE_OF_TYPENUM[<int>np.dtype(spelled.name).num]


_fill_codes()


cdef inline int _known(int typenum) noexcept:
    """The dtype code of a NumPy type number; NumPy gives those of ml_dtypes one when they are first used."""
    cdef int code
    if typenum < TYPENUMS:
        return CODE_OF_TYPENUM[typenum]
    if typenum == TYPENUM[<int>BFLOAT16]:
        return BFLOAT16
    for code in range(COMPLEX128 + 1, NCODES):
        if typenum == TYPENUM[code]:
            return code
    return NO_DTYPE


cdef int code_of(ndarray a) except -1:
    """The dtype code of an array."""
    cdef int code = _known(PyArray_TYPE(a))
    if code != NO_DTYPE:
        return code
    for d in DTYPES:
        if not d.is_native and d.name == a.dtype.name:
            TYPENUM[<int>d.code] = PyArray_TYPE(a)
            return d.code
    raise TypeError(f"no tensor type for NumPy's {a.dtype}")


# NOTE [Used arrays]: a tensor that goes away leaves its array here if nobody else refers to it, and the
# next result of that shape takes it. NumPy's making and freeing of a small array is half the cost of an
# op; the first touch of a large one's fresh pages costs more than the arithmetic.

cdef enum:
    SCALARS = 128   # 0-dim arrays kept of each dtype
    ARRAYS = 12     # others kept of each dtype
    MOST_BYTES = 1 << 26
    ALIGNED_FROM = 1024    # bytes, from which on where an array begins matters: aligned.h

cdef struct Shelf:
    int nscalars, narrays
    PyObject* scalars[SCALARS]
    PyObject* arrays[ARRAYS]

cdef Shelf shelves[NCODES]
cdef npy_intp kept_bytes = 0


cdef inline bint equal(int n, npy_intp* a, npy_intp* b) noexcept:
    cdef int i
    for i in range(n):
        if a[i] != b[i]:
            return False
    return True


cdef ndarray empty(int nd, npy_intp* dims, int code):
    """A C-contiguous array of the dtype with that code, its contents undefined."""
    global kept_bytes
    cdef Shelf* shelf = &shelves[code]
    cdef PyObject* found
    cdef ndarray a
    cdef double size = 1   # a product of any sizes
    cdef int i
    if nd == 0:
        if shelf.nscalars:
            shelf.nscalars -= 1
            a = <ndarray>shelf.scalars[shelf.nscalars]
            Py_DECREF(a)
            return a
    else:
        for i in range(shelf.narrays - 1, -1, -1):
            found = shelf.arrays[i]
            if PyArray_NDIM(<ndarray>found) == nd and equal(nd, PyArray_DIMS(<ndarray>found), dims):
                shelf.narrays -= 1
                memmove(&shelf.arrays[i], &shelf.arrays[i + 1], (shelf.narrays - i) * sizeof(PyObject*))
                a = <ndarray>found
                Py_DECREF(a)
                kept_bytes -= PyArray_NBYTES(a)
                return a
    if TYPENUM[code] < 0:
        return np.empty([dims[i] for i in range(nd)], dtype=DTYPES[code].numpy)
    for i in range(nd):
        size *= dims[i]
    if size * ITEMSIZE[code] < ALIGNED_FROM or _ALIGNED is None:
        return PyArray_EMPTY(nd, dims, TYPENUM[code], 0)
    return _aligned(nd, dims, NULL, PyArray_DescrFromType(TYPENUM[code]))


def new_array(shape, dtype):
    """`np.empty(shape, dtype)`, in memory that was used before if there is some; `shape` is ints."""
    cdef npy_intp[64] dims
    cdef int i, nd = len(shape), code = _known(dtype.num)
    if code == NO_DTYPE or nd > 64:
        return np.empty(shape, dtype)
    for i in range(nd):
        dims[i] = shape[i]
    return empty(nd, dims, code)


cdef ndarray _aligned(int nd, npy_intp* dims, npy_intp* steps, PyArray_Descr* descr):
    """An array in memory of ours (aligned.h), which takes a reference to `descr`."""
    before = PyDataMem_SetHandler(_ALIGNED)
    try:
        return PyArray_NewFromDescr(ndarray, descr, nd, dims, steps, NULL, 0, None)
    finally:
        PyDataMem_SetHandler(before)


cdef object _ALIGNED = pb_aligned_memory()


cdef void recycle(ndarray a) noexcept:
    """Keeps an array that its last tensor lets go of. The caller's is the only reference."""
    global kept_bytes
    cdef int code
    cdef Shelf* shelf
    cdef npy_intp nbytes
    cdef PyObject* oldest
    if not (PyArray_CheckExact(a) and PyArray_CHKFLAGS(a, KEEPABLE)) or has_weakrefs(a):
        return
    code = _known(PyArray_TYPE(a))
    if code == NO_DTYPE or PyArray_TYPE(a) != TYPENUM[code]:
        return
    shelf = &shelves[code]
    if PyArray_NDIM(a) == 0:
        if shelf.nscalars < SCALARS:
            Py_INCREF(a)
            shelf.scalars[shelf.nscalars] = <PyObject*>a
            shelf.nscalars += 1
        return
    nbytes = PyArray_NBYTES(a)
    if nbytes > MOST_BYTES // 2 or nbytes == 0:
        return
    while shelf.narrays and (shelf.narrays == ARRAYS or kept_bytes + nbytes > MOST_BYTES):
        oldest = shelf.arrays[0]
        shelf.narrays -= 1
        memmove(&shelf.arrays[0], &shelf.arrays[1], shelf.narrays * sizeof(PyObject*))
        kept_bytes -= PyArray_NBYTES(<ndarray>oldest)
        Py_DECREF(<object>oldest)
    if kept_bytes + nbytes <= MOST_BYTES:
        Py_INCREF(a)
        shelf.arrays[shelf.narrays] = <PyObject*>a
        shelf.narrays += 1
        kept_bytes += nbytes


def forget_used():
    """Lets go of the used arrays that are kept for results: NOTE [Used arrays]."""
    global kept_bytes
    cdef Shelf* shelf
    cdef int code
    for code in range(NCODES):
        shelf = &shelves[code]
        while shelf.narrays:
            shelf.narrays -= 1
            kept_bytes -= PyArray_NBYTES(<ndarray>shelf.arrays[shelf.narrays])
            Py_DECREF(<object>shelf.arrays[shelf.narrays])


def strided(ndarray a not None, tuple shape, tuple strides, Py_ssize_t offset):
    """An array on the memory of `a`, from `offset` elements after its first on; no bound is checked."""
    cdef npy_intp dims[64]
    cdef npy_intp steps[64]
    cdef npy_intp item = PyArray_ITEMSIZE(a)
    cdef int i, nd = len(shape)
    for i in range(nd):
        dims[i] = shape[i]
        steps[i] = <npy_intp>strides[i] * item
    return _view(a, nd, dims, steps, PyArray_BYTES(a) + offset * item)


cdef ndarray _view(ndarray a, int nd, npy_intp* dims, npy_intp* steps, void* data):
    cdef PyArray_Descr* descr = PyArray_DESCR(a)
    Py_INCREF(<object>descr)
    cdef ndarray view = PyArray_NewFromDescr(ndarray, descr, nd, dims, steps, data,
                                             PyArray_FLAGS(a) & NPY_ARRAY_WRITEABLE, None)
    Py_INCREF(a)
    PyArray_SetBaseObject(view, a)
    return view


cdef npy_intp* steps_of(ndarray a, npy_intp* room) noexcept:
    """The strides of an array in bytes; `room` gets those of a new one without elements: NumPy's are zero."""
    cdef npy_intp step = PyArray_ITEMSIZE(a)
    cdef int d, nd = PyArray_NDIM(a)
    if PyArray_SIZE(a):
        return PyArray_STRIDES(a)
    for d in range(nd):
        if PyArray_STRIDES(a)[d]:
            return PyArray_STRIDES(a)
    for d in range(nd - 1, -1, -1):
        room[d] = step
        step *= max(PyArray_DIMS(a)[d], 1)
    return room


cdef ndarray view_of(ndarray a, int code, int nd, npy_intp* dims, npy_intp* steps, npy_intp offset):
    """An array of a dtype on the memory of `a`, from `offset` bytes after its first element on."""
    cdef PyArray_Descr* descr = PyArray_DESCR(a)
    cdef object kind
    cdef ndarray view
    if code_of(a) != code:
        kind = DTYPES[code].numpy
        descr = <PyArray_Descr*><PyObject*>kind
    Py_INCREF(<object>descr)
    view = PyArray_NewFromDescr(ndarray, descr, nd, dims, steps, PyArray_BYTES(a) + offset,
                                PyArray_FLAGS(a) & NPY_ARRAY_WRITEABLE, None)
    Py_INCREF(a)
    PyArray_SetBaseObject(view, a)
    return view


def add_leading_dims(ndarray a not None, tuple sizes):
    """A view of `a` with further dims before its own, along which it is the same."""
    cdef npy_intp dims[64]
    cdef npy_intp steps[64]
    cdef int i, more = len(sizes), nd = PyArray_NDIM(a)
    for i in range(more):
        dims[i], steps[i] = sizes[i], 0
    memcpy(dims + more, PyArray_DIMS(a), nd * sizeof(npy_intp))
    memcpy(steps + more, PyArray_STRIDES(a), nd * sizeof(npy_intp))
    return _view(a, more + nd, dims, steps, PyArray_BYTES(a))


def first(ndarray a not None):
    """`a[0, ...]`, a view; of no numbers, one that must not be read."""
    return _view(a, PyArray_NDIM(a) - 1, PyArray_DIMS(a) + 1, PyArray_STRIDES(a) + 1, PyArray_BYTES(a))
