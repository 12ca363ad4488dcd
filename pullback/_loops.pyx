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
from libc.string cimport memcmp, memcpy, memmove, memset
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_DIMS, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS,
    PyArray_NDIM, PyArray_SIZE, PyArray_STRIDES, PyArray_TYPE, PyArray_ITEMSIZE, PyArray_ISBEHAVED_RO,
    npy_bool, npy_int8, npy_int16, npy_int32, npy_int64, npy_uint8, npy_uint16, npy_uint32, npy_uint64,
    npy_float, npy_double, PyArray_CheckExact, PyArray_CHKFLAGS, PyArray_NBYTES, NPY_ARRAY_OWNDATA,
    NPY_ARRAY_CARRAY,
)

import_array()

from pullback.dtypes import DTYPES

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
cdef npy_intp SMALL = 8192  # below this many elements our own broadcasting beats the ufunc's set-up

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
            if PyArray_NDIM(<ndarray>found) == nd and memcmp(
                    PyArray_DIMS(<ndarray>found), dims, nd * sizeof(npy_intp)) == 0:
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
    cdef PyArray_Descr* descr = PyArray_DESCR(a)
    Py_INCREF(<object>descr)
    view = PyArray_NewFromDescr(ndarray, descr, nd, dims, steps, PyArray_BYTES(a) + offset * item,
                                PyArray_FLAGS(a) & NPY_ARRAY_WRITEABLE, None)
    Py_INCREF(a)
    PyArray_SetBaseObject(view, a)
    return view


# NumPy warns of overflow and division by zero, PyTorch does not. The switch is a context variable:
# setting it to a prepared value costs 60 ns, `np.errstate` 700.
try:
    from numpy._core.umath import _extobj_contextvar as _errstate, _make_extobj

    _QUIET = _make_extobj(all="ignore")
except ImportError:
    _errstate = None


cdef object quiet_call(object function, object args):
    """`function(*args)` without NumPy's floating-point warnings."""
    if _errstate is None:
        with np.errstate(all="ignore"):
            return function(*args)
    token = PyContextVar_Set(_errstate, _QUIET)
    try:
        return function(*args)
    finally:
        PyContextVar_Reset(_errstate, token)


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
    result = quiet_call(_call_into, (table.ufunc, inputs, out))
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
    cdef bint flat = True
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
        if arrays[i] == NULL or PyArray_NDIM(<ndarray>arrays[i]) == 0:
            continue
        a = <ndarray>arrays[i]
        if not PyArray_ISBEHAVED_RO(a):
            return _public(table, code, n, arrays, numbers, out)
        if PyArray_NDIM(a) > nd or dims == NULL:
            nd = PyArray_NDIM(a)
            dims = PyArray_DIMS(a)
    for i in range(n):
        if arrays[i] == NULL:
            args[i] = numbers + 16 * i
            steps[i] = 0
            continue
        a = <ndarray>arrays[i]
        args[i] = <char*>PyArray_DATA(a)
        if PyArray_NDIM(a) == 0:
            if not PyArray_ISBEHAVED_RO(a):
                return _public(table, code, n, arrays, numbers, out)
            steps[i] = 0
            continue
        steps[i] = PyArray_ITEMSIZE(a)
        if flat:
            if PyArray_NDIM(a) != nd or not PyArray_IS_C_CONTIGUOUS(a):
                flat = False
            else:
                for j in range(nd):
                    if PyArray_DIMS(a)[j] != dims[j]:
                        flat = False
                        break
    if not flat:
        return _broadcast(table, code, n, arrays, numbers, out, nd)
    for j in range(nd):
        size *= dims[j]
    if out is None:
        out = empty(nd, dims, CODE_OF_TYPENUM[table.out_type[code]])
    else:
        if not (PyArray_IS_C_CONTIGUOUS(out) and PyArray_TYPE(out) == table.out_type[code]):
            return _public(table, code, n, arrays, numbers, out)
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


cdef ndarray _broadcast(Loops table, int code, int n, PyObject** arrays, char* numbers, ndarray out, int nd):
    """Small arrays of different shapes: our own strides; everything else: the ufunc."""
    cdef npy_intp dims[16]
    cdef npy_intp strides[(MAX_IN + 1) * 16]
    cdef npy_intp index[16]
    cdef npy_intp inner_steps[MAX_IN + 1]
    cdef char* args[MAX_IN + 1]
    cdef char* start[MAX_IN + 1]
    cdef npy_intp size = 1, inner, extent
    cdef int i, j, lead
    cdef ndarray a
    if nd > 16 or out is not None:
        return _public(table, code, n, arrays, numbers, out)
    for j in range(nd):
        dims[j] = 1
    for i in range(n):
        if arrays[i] == NULL:
            continue
        a = <ndarray>arrays[i]
        if PyArray_NDIM(a) > 0 and not PyArray_IS_C_CONTIGUOUS(a):
            return _public(table, code, n, arrays, numbers, None)
        lead = nd - PyArray_NDIM(a)
        for j in range(lead, nd):
            extent = PyArray_DIMS(a)[j - lead]
            if extent != 1:
                if dims[j] != 1 and dims[j] != extent:
                    _mismatch(n, arrays, j, nd)
                dims[j] = extent
    for j in range(nd):
        size *= dims[j]
    if size == 0 or size > SMALL:
        return _public(table, code, n, arrays, numbers, None)
    for i in range(n):
        start[i] = numbers + 16 * i if arrays[i] == NULL else <char*>PyArray_DATA(<ndarray>arrays[i])
        lead = nd if arrays[i] == NULL else nd - PyArray_NDIM(<ndarray>arrays[i])
        for j in range(nd):
            if j < lead or PyArray_DIMS(<ndarray>arrays[i])[j - lead] == 1:
                strides[i * 16 + j] = 0
            else:
                strides[i * 16 + j] = PyArray_STRIDES(<ndarray>arrays[i])[j - lead]
    out = empty(nd, dims, CODE_OF_TYPENUM[table.out_type[code]])
    start[n] = <char*>PyArray_DATA(out)
    for j in range(nd):
        strides[n * 16 + j] = PyArray_STRIDES(out)[j]
        index[j] = 0
    inner = dims[nd - 1]
    for i in range(n + 1):
        inner_steps[i] = strides[i * 16 + nd - 1]
    while True:
        for i in range(n + 1):
            args[i] = start[i]
        table.fn[code](args, &inner, inner_steps, table.data[code])
        j = nd - 2
        while j >= 0:
            index[j] += 1
            for i in range(n + 1):
                start[i] += strides[i * 16 + j]
            if index[j] < dims[j]:
                break
            for i in range(n + 1):
                start[i] -= strides[i * 16 + j] * dims[j]
            index[j] = 0
            j -= 1
        if j < 0:
            return out


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
    result = quiet_call(np.add.reduce, (a, axes, wide, None, keepdim))
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


cdef Loops _MATMUL = Loops(np.matmul)


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
        return np.asarray(quiet_call(np.matmul, (a, b)))
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
