"""NumPy's inner loops, called directly.

A ufunc object holds one C function per signature of types; the cost of `np.multiply` on small arrays is
all in finding it. Here it is found once, at the op's first use, and then called with plain pointers.
This is the only file that looks into `PyUFuncObject`, and the only one that knows the traps: of equal
signatures the first is the vectorised one; inputs must be aligned, in native byte order, and not
partly overlap the output. Whatever does not fit goes to the public ufunc, which gives the same bits.
`PULLBACK_LOOPS=0` in the environment sends everything there.

Read `Loops`, then `pointwise`; `add_reduce` and `matmul` are the same idea for two other shapes of work.
"""

import os

import numpy as np

from cpython.contextvars cimport PyContextVar_Set, PyContextVar_Reset
from cpython.mem cimport PyMem_Malloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memcpy, memmove, memset
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_DIMS, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS,
    PyArray_NDIM, PyArray_SIZE, PyArray_STRIDES, PyArray_TYPE, PyArray_ITEMSIZE, PyArray_ISBEHAVED_RO,
    npy_bool, npy_int8, npy_int16, npy_int32, npy_int64, npy_uint8, npy_uint16, npy_uint32, npy_uint64,
    npy_float, npy_double, PyArray_CheckExact, PyArray_CHKFLAGS, PyArray_NBYTES, NPY_ARRAY_OWNDATA,
    NPY_ARRAY_CARRAY, NPY_FLOAT, NPY_DOUBLE,
)

import_array()

from pullback.core.dtypes import DTYPES

cdef extern from "Python.h":
    object PyObject_Vectorcall(object callable, PyObject** args, size_t nargsf, PyObject* kwnames)

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr
    PyArray_Descr* PyArray_DESCR(ndarray)
    char* PyArray_BYTES(ndarray)
    int PyArray_FLAGS(ndarray)
    ndarray PyArray_NewFromDescr(type, PyArray_Descr*, int, npy_intp*, npy_intp*, void*, int, object)
    int PyArray_SetBaseObject(ndarray, object base) except -1
    int NPY_ARRAY_WRITEABLE

cdef extern from "numpy/ufuncobject.h":
    ctypedef struct PyUFuncObject:
        int nin
        int nout
        int ntypes
        void** functions
        void** data
        char* types

cdef extern from *:
    """
    #define has_weakrefs(a) (((PyArrayObject_fields*)(a))->weakreflist != NULL)
    """
    bint has_weakrefs(ndarray)

cdef int KEEPABLE = NPY_ARRAY_OWNDATA | NPY_ARRAY_CARRAY
cdef bint USE_LOOPS = os.environ.get("PULLBACK_LOOPS", "1") != "0"
cdef npy_intp SMALL = 8192  # up to so many elements a repeated row is laid out in full

cdef int CODE_OF_TYPENUM[32]
cdef int BFLOAT16 = 10
cdef npy_intp ITEMSIZE[NCODES]


cdef _fill_codes():
    cdef int i
    for i in range(32):
        CODE_OF_TYPENUM[i] = -1
    for d in DTYPES:
        ITEMSIZE[<int>d.code] = d.itemsize
        if d.name == "bfloat16":
            TYPENUM[d.code] = -1
            continue
        TYPENUM[d.code] = d.numpy.num
        CODE_OF_TYPENUM[TYPENUM[d.code]] = d.code
    # `long` and `long long` (and their unsigned twins) are equal types with two numbers.
    for spelled in (np.dtype("l"), np.dtype("q"), np.dtype("i"), np.dtype("L"), np.dtype("Q"), np.dtype("I")):
        CODE_OF_TYPENUM[<int>spelled.num] = CODE_OF_TYPENUM[<int>np.dtype(spelled.name).num]


_fill_codes()


cdef int code_of(ndarray a) except -1:
    """The dtype code of an array."""
    cdef int typenum = PyArray_TYPE(a)
    cdef int code = CODE_OF_TYPENUM[typenum] if typenum < 32 else -1
    if code >= 0:
        return code
    if a.dtype.name == "bfloat16":
        return BFLOAT16
    raise TypeError(f"no tensor type for NumPy's {a.dtype}")


# NOTE [Used arrays]: a tensor that goes away leaves its array here if nobody else refers to it, and the
# next result of that shape takes it. NumPy's making and freeing of a small array is half the cost of an
# op; the first touch of a large one's fresh pages costs more than the arithmetic.

cdef enum:
    SCALARS = 128   # 0-dim arrays kept of each dtype
    ARRAYS = 12     # others kept of each dtype
    MOST_BYTES = 1 << 26

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
    if code == BFLOAT16:
        return np.empty([dims[i] for i in range(nd)], dtype=DTYPES[code].numpy)
    return PyArray_EMPTY(nd, dims, TYPENUM[code], 0)


cdef void recycle(ndarray a) noexcept:
    """Keeps an array that its last tensor lets go of. The caller's is the only reference."""
    global kept_bytes
    cdef int code
    cdef Shelf* shelf
    cdef npy_intp nbytes
    cdef PyObject* oldest
    if not (PyArray_CheckExact(a) and PyArray_CHKFLAGS(a, KEEPABLE)) or has_weakrefs(a):
        return
    code = CODE_OF_TYPENUM[PyArray_TYPE(a)] if PyArray_TYPE(a) < 32 else -1
    if code < 0 or PyArray_TYPE(a) != TYPENUM[code]:
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


cdef int code_of_type(int typenum) except -1:
    """The dtype code of one of NumPy's own type numbers."""
    return CODE_OF_TYPENUM[typenum]


cdef class Loops:
    """The inner loops of one ufunc, one per dtype code; NULL where it has none."""

    def __init__(self, ufunc):
        self.ufunc = ufunc
        self.nin = ufunc.nin
        cdef PyUFuncObject* table = <PyUFuncObject*><PyObject*>ufunc
        cdef int code, row, j, width = table.nin + table.nout
        cdef char* types
        for code in range(NCODES):
            self.fn[code] = NULL
            if table.nout != 1 or TYPENUM[code] < 0:
                continue
            for row in range(table.ntypes):
                types = table.types + row * width
                for j in range(table.nin):
                    if types[j] != TYPENUM[code]:
                        break
                else:
                    self.fn[code] = <loop_t>table.functions[row]
                    self.data[code] = table.data[row] if table.data != NULL else NULL
                    self.out_type[code] = types[table.nin]
                    break


cdef int store_number(object number, int code, char* where) except -1:
    """Writes a Python number as one element of that dtype; integers wrap as in C."""
    if code == 11:
        (<npy_float*>where)[0] = <npy_float><double>number
    elif code == 12:
        (<npy_double*>where)[0] = <double>number
    elif code == 5:
        (<npy_int64*>where)[0] = <npy_int64>(number if -(1 << 63) <= number < (1 << 63) else _wrap(number))
    elif code == 13:
        (<npy_float*>where)[0] = <npy_float><double>number.real
        (<npy_float*>where)[1] = <npy_float><double>number.imag
    elif code == 14:
        (<npy_double*>where)[0] = <double>number.real
        (<npy_double*>where)[1] = <double>number.imag
    elif code == 0:
        (<npy_bool*>where)[0] = 1 if number else 0
    elif code == 9 or code == BFLOAT16:
        data = np.array(number, dtype=DTYPES[code].numpy)
        memcpy(where, PyArray_DATA(<ndarray>data), 2)
    else:
        _store_int(number, code, where)
    return 0


cdef object _wrap(object number):
    if not -(1 << 63) <= number < (1 << 64):
        raise OverflowError("int too big to convert")
    return ((int(number) + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


cdef int _store_int(object number, int code, char* where) except -1:
    cdef npy_int64 value = <npy_int64>_wrap(number)
    # Little and big endian alike: assign through the type, never through memory.
    if code == 1:
        (<npy_uint8*>where)[0] = <npy_uint8>value
    elif code == 2:
        (<npy_int8*>where)[0] = <npy_int8>value
    elif code == 3:
        (<npy_int16*>where)[0] = <npy_int16>value
    elif code == 4:
        (<npy_int32*>where)[0] = <npy_int32>value
    elif code == 6:
        (<npy_uint16*>where)[0] = <npy_uint16>value
    elif code == 7:
        (<npy_uint32*>where)[0] = <npy_uint32>value
    else:
        (<npy_uint64*>where)[0] = <npy_uint64>value
    return 0


cdef bint cast_element(ndarray a, int source, int code, char* where) noexcept:
    """Writes the element of a 0-dim array, of dtype `source`, as one of dtype `code`; False if that is left to NumPy."""
    cdef char* data = <char*>PyArray_DATA(a)
    cdef npy_int64 whole = 0
    cdef npy_double real = 0, imag = 0
    if not PyArray_ISBEHAVED_RO(a):
        return False
    if source == 0 or source == 1:
        whole = (<npy_uint8*>data)[0]
    elif source == 2:
        whole = (<npy_int8*>data)[0]
    elif source == 3:
        whole = (<npy_int16*>data)[0]
    elif source == 4:
        whole = (<npy_int32*>data)[0]
    elif source == 5:
        whole = (<npy_int64*>data)[0]
    elif source == 11 or source == 13:
        real = (<npy_float*>data)[0]
        imag = (<npy_float*>data)[1] if source == 13 else 0
    elif source == 12 or source == 14:
        real = (<npy_double*>data)[0]
        imag = (<npy_double*>data)[1] if source == 14 else 0
    else:
        return False
    if source < 6:
        real = <npy_double>whole
    if code == 11 or code == 13:   # from an integer at once: by way of a double it would be rounded twice
        (<npy_float*>where)[0] = <npy_float>whole if source < 6 else <npy_float>real
        if code == 13:
            (<npy_float*>where)[1] = <npy_float>imag
    elif code == 12 or code == 14:
        (<npy_double*>where)[0] = real
        if code == 14:
            (<npy_double*>where)[1] = imag
    elif code == 5 and source < 6:
        (<npy_int64*>where)[0] = whole
    else:
        return False
    return True


cdef ndarray number_array(char* where, int code):
    """A 0-dim array of one element stored at `where`."""
    cdef ndarray a = empty(0, NULL, code)
    memcpy(PyArray_DATA(a), where, PyArray_ITEMSIZE(a))
    return a


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


def repeated(ndarray a not None, tuple sizes):
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


# NumPy warns of overflow and division by zero, PyTorch does not. The switch is a context variable:
# setting it to a prepared value costs 60 ns, `np.errstate` 700.
try:
    from numpy._core.umath import _extobj_contextvar as _errstate, _make_extobj

    _QUIET = _make_extobj(all="ignore")
except ImportError:
    _errstate = None


cdef object quiet_call(object function, PyObject** args, Py_ssize_t n):
    """A call with `n` arguments without NumPy's floating-point warnings."""
    if _errstate is None:
        with np.errstate(all="ignore"):
            return PyObject_Vectorcall(function, args, n, NULL)
    token = PyContextVar_Set(_errstate, _QUIET)
    try:
        return PyObject_Vectorcall(function, args, n, NULL)
    finally:
        PyContextVar_Reset(_errstate, token)


cdef object quietly(object function, tuple args):
    """The same for a tuple of arguments."""
    cdef PyObject* argv[MAX_IN]
    cdef Py_ssize_t i
    for i in range(len(args)):
        argv[i] = <PyObject*>args[i]
    return quiet_call(function, argv, len(args))


cdef bint _overlaps(ndarray a, char* out, npy_intp nbytes) noexcept:
    """Whether contiguous `a` shares memory with `nbytes` at `out` without starting where it starts."""
    cdef char* start = <char*>PyArray_DATA(a)
    cdef char* end = start + PyArray_SIZE(a) * PyArray_ITEMSIZE(a)
    return start != out and start < out + nbytes and out < end


def _call_into(ufunc, inputs, out):
    return ufunc(*inputs) if out is None else ufunc(*inputs, out=out)


cdef ndarray _public(Loops table, int code, int n, PyObject** arrays, char* numbers, ndarray out):
    """The ufunc itself: any strides, any overlap."""
    inputs = []
    cdef int i
    for i in range(n):
        inputs.append(number_array(numbers + 16 * i, code) if arrays[i] == NULL else <object>arrays[i])
    result = quietly(_call_into, (table.ufunc, inputs, out))
    return result if isinstance(result, ndarray) else np.asarray(result)


cdef ndarray pointwise(Loops table, int code, int n, PyObject** arrays, char* numbers, ndarray out):
    """Runs a ufunc's loop on `n` inputs of the dtype with that code, broadcast against each other.

    `arrays[i]` is a borrowed array, or NULL for a number whose element stands at `numbers + 16 * i`.
    The result is new, or `out`, which must have the shape and dtype of the result.
    """
    cdef loop_t fn = table.fn[code]
    cdef int nd = 0, i, j
    cdef npy_intp size = 1
    cdef npy_intp* dims = NULL
    cdef ndarray a
    cdef char* args[MAX_IN + 1]
    cdef npy_intp steps[MAX_IN + 1]
    if not USE_LOOPS:
        return _public(table, code, n, arrays, numbers, out)
    if out is None:
        for i in range(n):
            if arrays[i] == NULL:
                args[i] = numbers + 16 * i
                steps[i] = 0
            elif PyArray_NDIM(<ndarray>arrays[i]) == 0 and PyArray_ISBEHAVED_RO(<ndarray>arrays[i]):
                args[i] = <char*>PyArray_DATA(<ndarray>arrays[i])
                steps[i] = ITEMSIZE[code]
            else:
                break
        else:
            out = empty(0, NULL, CODE_OF_TYPENUM[table.out_type[code]])
            args[n] = <char*>PyArray_DATA(out)
            steps[n] = PyArray_ITEMSIZE(out)
            fn(args, &size, steps, table.data[code])
            return out
    for i in range(n):
        if arrays[i] == NULL:
            args[i] = numbers + 16 * i
            steps[i] = 0
            continue
        a = <ndarray>arrays[i]
        args[i] = <char*>PyArray_DATA(a)
        if PyArray_NDIM(a) == 0:
            steps[i] = 0
            if not PyArray_ISBEHAVED_RO(a):
                return _public(table, code, n, arrays, numbers, out)
            continue
        if not (PyArray_IS_C_CONTIGUOUS(a) and PyArray_ISBEHAVED_RO(a)):
            return _strided(table, code, n, arrays, numbers, out)
        if dims == NULL:
            nd = PyArray_NDIM(a)
            dims = PyArray_DIMS(a)
        elif PyArray_NDIM(a) != nd or not equal(nd, PyArray_DIMS(a), dims):
            return _strided(table, code, n, arrays, numbers, out)
        steps[i] = PyArray_ITEMSIZE(a)
    for j in range(nd):
        size *= dims[j]
    if out is None:
        out = empty(nd, dims, CODE_OF_TYPENUM[table.out_type[code]])
    else:
        if not (PyArray_IS_C_CONTIGUOUS(out) and PyArray_TYPE(out) == table.out_type[code]) or PyArray_NDIM(out) != nd or (
                not equal(nd, PyArray_DIMS(out), dims)):
            return _strided(table, code, n, arrays, numbers, out)
        for i in range(n):
            if arrays[i] != NULL and (_overlaps(<ndarray>arrays[i], <char*>PyArray_DATA(out), size * PyArray_ITEMSIZE(out))
                                      or (steps[i] == 0 and size > 1 and args[i] == <char*>PyArray_DATA(out))):
                return _public(table, code, n, arrays, numbers, out)
    args[n] = <char*>PyArray_DATA(out)
    steps[n] = PyArray_ITEMSIZE(out)
    if size > 32768:
        with nogil:
            fn(args, &size, steps, table.data[code])
    else:
        fn(args, &size, steps, table.data[code])
    return out


# NOTE [Order of dims]: a result's dims lie in memory as the operands' do. Dims are sorted by the first
# operand whose strides tell them apart, as in PyTorch; so the result of transposed operands is transposed.

cdef enum:
    MAX_DIMS = 16

cdef struct Walk:
    int nd
    npy_intp dims[MAX_DIMS]                    # the operands' shapes, broadcast
    npy_intp strides[MAX_IN + 1][MAX_DIMS]     # in bytes, 0 where an operand is repeated
    int order[MAX_DIMS]                        # the dims, fastest first


cdef int _slower(Walk* walk, int first, int operands, int left, int right) noexcept:
    """1 if dim `left` is slower than `right`, -1 if faster, 0 if no operand tells."""
    cdef npy_intp a, b
    cdef int k
    for k in range(first, operands):
        a, b = walk.strides[k][left], walk.strides[k][right]
        if a == 0 or b == 0:
            continue
        if a != b:
            return 1 if a > b else -1
        if walk.dims[left] > walk.dims[right]:
            return 1
    return 0


cdef void _sort_dims(Walk* walk, int first, int operands) noexcept:
    """Sorts the dims by the strides of the operands from `first` on; what they do not tell stays in C order."""
    cdef int i, at, before, verdict
    for i in range(walk.nd):
        walk.order[i] = walk.nd - 1 - i
    for i in range(1, walk.nd):
        at = i
        for before in range(i - 1, -1, -1):
            verdict = _slower(walk, first, operands, walk.order[before], walk.order[at])
            if verdict > 0:
                walk.order[before], walk.order[at] = walk.order[at], walk.order[before]
                at = before
            elif verdict < 0:
                break


cdef bint _lay_out(Walk* walk, int n, PyObject** arrays, ndarray out) except -1:
    """Broadcasts shapes and strides; False if the arrays are not for loops: unaligned, or of many dims."""
    cdef int i, j, lead
    cdef npy_intp extent
    cdef ndarray a
    walk.nd = PyArray_NDIM(out) if out is not None else 0
    for i in range(n):
        if arrays[i] != NULL:
            if not PyArray_ISBEHAVED_RO(<ndarray>arrays[i]):
                return False
            walk.nd = max(walk.nd, PyArray_NDIM(<ndarray>arrays[i]))
    if walk.nd > MAX_DIMS:
        return False
    for j in range(walk.nd):
        walk.dims[j] = 1
    for i in range(n):
        lead = walk.nd if arrays[i] == NULL else walk.nd - PyArray_NDIM(<ndarray>arrays[i])
        for j in range(lead, walk.nd):
            extent = PyArray_DIMS(<ndarray>arrays[i])[j - lead]
            if extent != 1:
                if walk.dims[j] != 1 and walk.dims[j] != extent:
                    _mismatch(n, arrays, j, walk.nd)
                walk.dims[j] = extent
    for i in range(n):
        lead = walk.nd if arrays[i] == NULL else walk.nd - PyArray_NDIM(<ndarray>arrays[i])
        for j in range(walk.nd):
            if j < lead or (PyArray_DIMS(<ndarray>arrays[i])[j - lead] == 1 and walk.dims[j] != 1):
                walk.strides[i][j] = 0
            else:
                walk.strides[i][j] = PyArray_STRIDES(<ndarray>arrays[i])[j - lead]
    return True


cdef void _result_strides(Walk* walk, int n, PyObject** arrays, npy_intp* steps, npy_intp item) noexcept:
    """The strides of a result: those of operands that are dense and alike, else by the sorted dims."""
    cdef int i, j, channels, last = -1
    cdef bint alike = True, c_order = True, dense = True
    for i in range(n):
        if arrays[i] == NULL:
            alike = False   # a number is an operand of another shape
            continue
        c_order = c_order and PyArray_IS_C_CONTIGUOUS(<ndarray>arrays[i])
        alike = alike and PyArray_NDIM(<ndarray>arrays[i]) == walk.nd and (
            equal(walk.nd, PyArray_DIMS(<ndarray>arrays[i]), walk.dims))
        if last >= 0:
            dense = dense and equal(walk.nd, walk.strides[i], walk.strides[last])
        last = i
    if alike and c_order:
        for j in range(walk.nd):
            walk.order[j] = walk.nd - 1 - j
    else:
        _sort_dims(walk, 0, n)
    _fill_strides(walk, steps, item)
    if not alike or c_order or not dense or last < 0:
        return
    for j in range(walk.nd):
        if walk.dims[j] != 1 and steps[j] != walk.strides[last][j]:
            return
    channels = 0 if walk.nd != 4 else <int>walk.dims[1]
    if channels and (channels == 1 or steps[1] == item) and (walk.dims[3] == 1 or steps[3] == channels * item) and (
            walk.dims[2] == 1 or steps[2] == channels * walk.dims[3] * item):   # the format "channels last"
        walk.order[0], walk.order[1], walk.order[2], walk.order[3] = 1, 3, 2, 0
        _fill_strides(walk, steps, item)
    else:
        memcpy(steps, walk.strides[last], walk.nd * sizeof(npy_intp))


cdef void _fill_strides(Walk* walk, npy_intp* steps, npy_intp item) noexcept:
    """Dense strides in the walk's order."""
    cdef npy_intp step = item
    cdef int i
    for i in range(walk.nd):
        steps[walk.order[i]] = step
        step *= max(walk.dims[walk.order[i]], 1)


cdef ndarray _new_result(Walk* walk, int n, PyObject** arrays, int code):
    """A dense array in the order of dims that the operands give it."""
    cdef npy_intp steps[MAX_DIMS]
    cdef npy_intp step = ITEMSIZE[code]
    cdef PyArray_Descr* descr
    cdef int i
    _result_strides(walk, n, arrays, steps, step)
    for i in range(walk.nd - 1, -1, -1):
        if steps[i] != step:
            descr = PyArray_DESCR(<ndarray>np.empty(0, DTYPES[code].numpy))
            Py_INCREF(<object>descr)
            return PyArray_NewFromDescr(ndarray, descr, walk.nd, walk.dims, steps, NULL, 0, None)
        step *= max(walk.dims[i], 1)
    return empty(walk.nd, walk.dims, code)


def ordered_like(arrays, ndarray result not None):
    """A result of a kernel in the order of dims that these operands give it: itself, or a copy."""
    cdef Walk walk
    cdef PyObject* found[MAX_IN]
    cdef int n = 0, j
    cdef ndarray out
    for a in arrays:
        if isinstance(a, ndarray):
            found[n] = <PyObject*>a
            n += 1
    if PyArray_NDIM(result) < 2 or not _lay_out(&walk, n, found, None) or walk.nd != PyArray_NDIM(result):
        return result
    for j in range(walk.nd):
        if walk.dims[j] != PyArray_DIMS(result)[j]:
            return result
    out = _new_result(&walk, n, found, code_of(result))
    if (<object>out).strides == (<object>result).strides:
        return result
    np.copyto(out, result)
    return out


cdef bint _meets(ndarray a, ndarray out) except -1:
    """Whether an input's memory may overlap the output's in another way than element on element."""
    cdef int j
    if PyArray_DATA(a) == PyArray_DATA(out) and PyArray_NDIM(a) == PyArray_NDIM(out):
        for j in range(PyArray_NDIM(a)):
            if PyArray_DIMS(a)[j] != PyArray_DIMS(out)[j] or PyArray_STRIDES(a)[j] != PyArray_STRIDES(out)[j]:
                break
        else:
            return False
    return np.may_share_memory(a, out)


cdef char scratch[8192 * 16]   # for operands repeated; used with the GIL held


cdef void _repeat(char* row, npy_intp nbytes, npy_intp total) noexcept:
    """Fills the scratch memory with copies of a row, by doubling."""
    cdef npy_intp have = nbytes
    memcpy(scratch, row, nbytes)
    while have < total:
        memcpy(scratch + have, scratch, min(have, total - have))
        have *= 2


cdef ndarray _strided(Loops table, int code, int n, PyObject** arrays, char* numbers, ndarray out):
    """Operands of any shapes and strides: dims sorted and merged, then the loop along the fastest."""
    cdef Walk walk
    cdef npy_intp dims[MAX_DIMS]
    cdef npy_intp steps[MAX_IN + 1][MAX_DIMS]
    cdef char* start[MAX_IN + 1]
    cdef npy_intp size = 1, item
    cdef int i, j, d, nd = 0, row = -1
    cdef bint merges, plain = True
    if not _lay_out(&walk, n, arrays, out):
        return _public(table, code, n, arrays, numbers, out)
    for j in range(walk.nd):
        size *= walk.dims[j]
    if out is None:
        out = _new_result(&walk, n, arrays, CODE_OF_TYPENUM[table.out_type[code]])
    else:
        if PyArray_TYPE(out) != table.out_type[code] or not PyArray_ISBEHAVED_RO(out) or PyArray_NDIM(out) != walk.nd:
            return _public(table, code, n, arrays, numbers, out)
        for j in range(walk.nd):
            if PyArray_DIMS(out)[j] != walk.dims[j]:
                return _public(table, code, n, arrays, numbers, out)
        for i in range(n):
            if arrays[i] != NULL and _meets(<ndarray>arrays[i], out):
                return _public(table, code, n, arrays, numbers, out)
    if size == 0:
        return out
    for j in range(walk.nd):
        walk.strides[n][j] = PyArray_STRIDES(out)[j]
    _sort_dims(&walk, n, n + 1)
    start[n] = <char*>PyArray_DATA(out)
    for i in range(n):
        start[i] = numbers + 16 * i if arrays[i] == NULL else <char*>PyArray_DATA(<ndarray>arrays[i])
    for j in range(walk.nd):   # merge each dim into the one before it where every operand steps on evenly
        d = walk.order[j]
        if walk.dims[d] == 1:
            continue
        merges = nd > 0
        for i in range(n + 1):
            merges = merges and walk.strides[i][d] == steps[i][nd - 1] * dims[nd - 1]
        if merges:
            dims[nd - 1] *= walk.dims[d]
            continue
        dims[nd] = walk.dims[d]
        for i in range(n + 1):
            steps[i][nd] = walk.strides[i][d]
        nd += 1
    if nd == 0:
        nd, dims[0] = 1, 1
        for i in range(n + 1):
            steps[i][0] = 0
    if nd == 2 and size <= SMALL and dims[0] <= 256:
        # One operand is a short row that is repeated, as a bias is: it is laid out once, for one run of the loop.
        item = ITEMSIZE[code]
        for i in range(n + 1):
            if i < n and row < 0 and steps[i][1] == 0 and steps[i][0] == item:
                row = i
            elif steps[i][1] != steps[i][0] * dims[0]:
                plain = False
        if plain and row >= 0:
            _repeat(start[row], dims[0] * item, size * item)
            start[row], nd, dims[0] = scratch, 1, size
    if size > 32768:
        with nogil:
            _walk(table.fn[code], table.data[code], n, nd, dims, steps, start)
    else:
        _walk(table.fn[code], table.data[code], n, nd, dims, steps, start)
    return out


cdef void _walk(loop_t fn, void* data, int n, int nd, npy_intp* dims, npy_intp[MAX_DIMS]* steps, char** start) noexcept nogil:
    """The loop along the first dim, for each place in the others."""
    cdef npy_intp index[MAX_DIMS]
    cdef npy_intp inner[MAX_IN + 1]
    cdef char* args[MAX_IN + 1]
    cdef int i, j
    for i in range(n + 1):
        inner[i] = steps[i][0]
    for j in range(nd):
        index[j] = 0
    while True:
        for i in range(n + 1):
            args[i] = start[i]
        fn(args, dims, inner, data)
        j = 1
        while j < nd:
            index[j] += 1
            for i in range(n + 1):
                start[i] += steps[i][j]
            if index[j] < dims[j]:
                break
            for i in range(n + 1):
                start[i] -= steps[i][j] * dims[j]
            index[j] = 0
            j += 1
        if j >= nd:
            return


cdef _mismatch(int n, PyObject** arrays, int j, int nd):
    sizes = []
    cdef int i, lead
    for i in range(n):
        if arrays[i] != NULL:
            lead = nd - PyArray_NDIM(<ndarray>arrays[i])
            if j >= lead and PyArray_DIMS(<ndarray>arrays[i])[j - lead] != 1:
                sizes.append(PyArray_DIMS(<ndarray>arrays[i])[j - lead])
    other = next(s for s in sizes if s != sizes[0])
    raise RuntimeError(
        f"The size of tensor a ({sizes[0]}) must match the size of tensor b ({other}) "
        f"at non-singleton dimension {j}"
    )


cdef Loops _ADD = Loops(np.add)


def add_reduce(ndarray a not None, object axes, bint keepdim):
    """The sum over `axes` (a tuple of non-negative ints, or None for all), in the dtype of `a`.

    Contiguous float32, float64, complex and int64 arrays reduced over leading, trailing or all axes go
    straight to the addition loop, which sums pairwise along a row; the rest to `np.add.reduce`.
    """
    cdef int code = code_of(a), nd = PyArray_NDIM(a), j, kept = 0, first = -1, last = -1
    cdef npy_intp dims[16]
    cdef npy_intp rows = 1, columns = 1
    cdef bint reduced[16]
    cdef bint leading, trailing
    if (nd > 16 or not (code == 5 or code >= 11) or not PyArray_IS_C_CONTIGUOUS(a) or PyArray_SIZE(a) == 0
            or not USE_LOOPS):
        return _reduce_public(a, axes, keepdim)
    for j in range(nd):
        reduced[j] = axes is None
    if axes is not None:
        for axis in axes:
            reduced[<int>axis] = True
    for j in range(nd):
        if reduced[j]:
            first = j if first < 0 else first
            last = j
            if keepdim:
                dims[kept] = 1
                kept += 1
        else:
            dims[kept] = PyArray_DIMS(a)[j]
            kept += 1
    if first < 0:
        return _reduce_public(a, axes, keepdim)
    for j in range(first, last + 1):
        if not reduced[j]:
            return _reduce_public(a, axes, keepdim)
    leading, trailing = first == 0, last == nd - 1
    if not (leading or trailing):
        return _reduce_public(a, axes, keepdim)
    cdef ndarray out = empty(kept, dims, code)
    for j in range(nd):
        if (j > last) if leading else (j >= first):
            columns *= PyArray_DIMS(a)[j]
        else:
            rows *= PyArray_DIMS(a)[j]
    if leading and trailing:
        rows, columns = 1, rows * columns
    if leading and not trailing:
        _sum_rows(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), rows, columns, PyArray_ITEMSIZE(a), code)
    else:
        _sum_each_row(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), rows, columns, PyArray_ITEMSIZE(a), code)
    return out


cdef object _reduce_public(ndarray a, object axes, bint keepdim):
    cdef int code = code_of(a)
    wide = np.float32 if code == 9 or code == BFLOAT16 else a.dtype
    result = quietly(np.add.reduce, (a, axes, wide, None, keepdim))
    return np.asarray(result).astype(a.dtype, copy=False)


cdef void _sum_each_row(char* data, char* out, npy_intp rows, npy_intp columns, npy_intp item, int code):
    """Each row to one number, by the loop's reduction idiom: the output is also the first input."""
    cdef char* args[3]
    cdef npy_intp steps[3]
    cdef npy_intp rest = columns - 1, i
    steps[0], steps[1], steps[2] = 0, item, 0
    for i in range(rows):
        memcpy(out, data, item)
        args[0], args[1], args[2] = out, data + item, out
        if rest:
            _ADD.fn[code](args, &rest, steps, _ADD.data[code])
        out += item
        data += columns * item


cdef int _sum_rows(char* data, char* out, npy_intp rows, npy_intp columns, npy_intp item, int code) except -1:
    """All rows to one. Blocks of 64 keep the rounding error from growing with the number of rows."""
    cdef char* args[3]
    cdef npy_intp steps[3]
    cdef npy_intp i, row_bytes = columns * item
    cdef char* block
    steps[0], steps[1], steps[2] = item, item, item
    if rows <= 64:
        memcpy(out, data, row_bytes)
        for i in range(1, rows):
            args[0], args[1], args[2] = out, data + i * row_bytes, out
            _ADD.fn[code](args, &columns, steps, _ADD.data[code])
        return 0
    block = <char*>PyMem_Malloc(row_bytes)
    if block == NULL:
        raise MemoryError()
    memset(out, 0, row_bytes)
    i = 0
    cdef npy_intp part = 64
    while part * 64 < rows:
        part *= 64
    while i < rows:
        _sum_rows(data + i * row_bytes, block, min(part, rows - i), columns, item, code)
        args[0], args[1], args[2] = out, block, out
        _ADD.fn[code](args, &columns, steps, _ADD.data[code])
        i += part
    PyMem_Free(block)
    return 0


cdef Loops _DIVIDE = Loops(np.true_divide)


def total(ndarray a not None, bint mean):
    """The sum or mean of all elements of a short contiguous array of floats; None for any other."""
    cdef int code = code_of(a)
    cdef npy_intp size = PyArray_SIZE(a), one = 1
    cdef char* args[3]
    cdef npy_intp steps[3]
    cdef char count[16]
    cdef ndarray out
    if size == 0 or size >= 4096 or code < 11 or not USE_LOOPS or not PyArray_IS_C_CONTIGUOUS(a) or (
            not PyArray_ISBEHAVED_RO(a)):
        return None
    out = empty(0, NULL, code)
    _sum_each_row(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), 1, size, ITEMSIZE[code], code)
    if mean:
        store_number(size, code, count)
        steps[0] = steps[1] = steps[2] = 0
        args[0], args[1], args[2] = <char*>PyArray_DATA(out), count, <char*>PyArray_DATA(out)
        _DIVIDE.fn[code](args, &one, steps, _DIVIDE.data[code])
    return out


cdef ndarray fold_sum(ndarray a, int nd, npy_intp* dims):
    """The sum of a short contiguous array over its leading dims, which leaves `dims`; None where that does not fit."""
    cdef int code = code_of(a), lead = PyArray_NDIM(a) - nd, j
    cdef npy_intp rows = 1, columns = 1
    cdef ndarray out
    if lead <= 0 or not (code == 5 or code >= 11) or not USE_LOOPS or not PyArray_IS_C_CONTIGUOUS(a) or (
            not PyArray_ISBEHAVED_RO(a)) or PyArray_SIZE(a) == 0:
        return None
    for j in range(nd):
        if PyArray_DIMS(a)[lead + j] != dims[j]:
            return None
        columns *= dims[j]
    for j in range(lead):
        rows *= PyArray_DIMS(a)[j]
    out = empty(nd, dims, code)
    if columns == 1:
        _sum_each_row(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), 1, rows, ITEMSIZE[code], code)
    else:
        _sum_rows(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), rows, columns, ITEMSIZE[code], code)
    return out


cdef Loops _MATMUL = Loops(np.matmul)


def matrix_product(a, b):
    """The product of two matrices of one dtype of 4 bytes and more; None for anything else."""
    if type(a) is not np.ndarray or type(b) is not np.ndarray or PyArray_NDIM(<ndarray>a) != 2 or PyArray_NDIM(<ndarray>b) != 2:
        return None
    if PyArray_TYPE(<ndarray>a) != PyArray_TYPE(<ndarray>b) or PyArray_DIMS(<ndarray>a)[1] != PyArray_DIMS(<ndarray>b)[0] or (
            code_of(<ndarray>a) < 11):
        return None
    return matmul(<ndarray>a, <ndarray>b)


def matmul(ndarray a not None, ndarray b not None):
    """`np.matmul(a, b)` for arrays of one dtype; two matrices go straight to NumPy's loop, and so to BLAS."""
    cdef int code = code_of(a)
    cdef npy_intp dims[4]
    cdef npy_intp steps[9]
    cdef npy_intp shape[2]
    cdef char* args[3]
    if (PyArray_NDIM(a) != 2 or PyArray_NDIM(b) != 2 or code < 11 or PyArray_TYPE(a) != PyArray_TYPE(b)
            or PyArray_DIMS(a)[1] != PyArray_DIMS(b)[0] or not USE_LOOPS
            or not PyArray_ISBEHAVED_RO(a) or not PyArray_ISBEHAVED_RO(b)):
        return np.asarray(quietly(np.matmul, (a, b)))
    shape[0], shape[1] = PyArray_DIMS(a)[0], PyArray_DIMS(b)[1]
    cdef ndarray out = empty(2, shape, code)
    dims[0], dims[1], dims[2], dims[3] = 1, shape[0], PyArray_DIMS(a)[1], shape[1]
    steps[0] = steps[1] = steps[2] = 0
    steps[3], steps[4] = PyArray_STRIDES(a)[0], PyArray_STRIDES(a)[1]
    steps[5], steps[6] = PyArray_STRIDES(b)[0], PyArray_STRIDES(b)[1]
    steps[7], steps[8] = PyArray_STRIDES(out)[0], PyArray_STRIDES(out)[1]
    args[0], args[1], args[2] = <char*>PyArray_DATA(a), <char*>PyArray_DATA(b), <char*>PyArray_DATA(out)
    with nogil:
        _MATMUL.fn[code](args, dims, steps, _MATMUL.data[code])
    return out


ctypedef fused real:
    float
    double


cdef void _outer(real* a, npy_intp a_step, npy_intp a_row, real* b, npy_intp b_step, real* out,
                 npy_intp n, npy_intp rows, npy_intp columns) noexcept nogil:
    cdef npy_intp i, j, k
    cdef real x
    for i in range(n):
        for j in range(rows):
            x = a[i * a_step + j * a_row]
            for k in range(columns):
                out[k] = x * b[i * b_step + k]
            out += columns


def outer_products(ndarray a not None, ndarray b not None):
    """Columns (n, r, 1) times rows (n, 1, c) of one float dtype, each row contiguous; None for anything else.

    NumPy's loop runs along a row at a time, and rows are short.
    """
    cdef npy_intp shape[3]
    cdef npy_intp item = PyArray_ITEMSIZE(a)
    cdef int type_num = PyArray_TYPE(a)
    if (PyArray_NDIM(a) != 3 or PyArray_NDIM(b) != 3 or type_num != PyArray_TYPE(b) or not USE_LOOPS
            or (type_num != NPY_FLOAT and type_num != NPY_DOUBLE)
            or PyArray_DIMS(a)[0] != PyArray_DIMS(b)[0] or PyArray_DIMS(a)[2] != 1 or PyArray_DIMS(b)[1] != 1
            or not PyArray_ISBEHAVED_RO(a) or not PyArray_ISBEHAVED_RO(b)
            or PyArray_STRIDES(b)[2] != item or PyArray_STRIDES(b)[0] % item
            or PyArray_STRIDES(a)[0] % item or PyArray_STRIDES(a)[1] % item):
        return None
    shape[0], shape[1], shape[2] = PyArray_DIMS(a)[0], PyArray_DIMS(a)[1], PyArray_DIMS(b)[2]
    cdef ndarray out = empty(3, shape, code_of(a))
    cdef npy_intp a_step = PyArray_STRIDES(a)[0] // item, a_row = PyArray_STRIDES(a)[1] // item
    cdef npy_intp b_step = PyArray_STRIDES(b)[0] // item
    if type_num == NPY_FLOAT:
        _outer[float](<float*>PyArray_DATA(a), a_step, a_row, <float*>PyArray_DATA(b), b_step,
                      <float*>PyArray_DATA(out), shape[0], shape[1], shape[2])
    else:
        _outer[double](<double*>PyArray_DATA(a), a_step, a_row, <double*>PyArray_DATA(b), b_step,
                       <double*>PyArray_DATA(out), shape[0], shape[1], shape[2])
    return out
