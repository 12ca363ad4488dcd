# The addition loop as a sum over dims, and the loop behind `np.matmul`.
#
# The same idea for two other shapes of work: what is contiguous goes to the C function, all else to NumPy's
# public one. Read `add_reduce` with `_sum_rows` and `_sum_each_row`, then `matmul`.
#
# From other parts: code_of, empty, ITEMSIZE (arrays.pxi); store_number (numbers.pxi); Loops, quietly,
# USE_LOOPS (pointwise.pxi).

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
    if (nd > 16 or not sums_in_itself(code) or not PyArray_IS_C_CONTIGUOUS(a) or PyArray_SIZE(a) == 0
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
        _sum_rows(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), rows, columns, ITEMSIZE[code], code)
    else:
        _sum_each_row(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), rows, columns, ITEMSIZE[code], code)
    return out


cdef object _reduce_public(ndarray a, object axes, bint keepdim):
    cdef int code = code_of(a)
    wide = np.float32 if is_half(code) else a.dtype
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
    cdef Number count
    cdef ndarray out
    if size == 0 or size >= 4096 or not FLOAT32 <= code <= COMPLEX128 or not USE_LOOPS or (
            not PyArray_IS_C_CONTIGUOUS(a)) or (
            not PyArray_ISBEHAVED_RO(a)):
        return None
    out = empty(0, NULL, code)
    _sum_each_row(<char*>PyArray_DATA(a), <char*>PyArray_DATA(out), 1, size, ITEMSIZE[code], code)
    if mean:
        store_number(size, code, &count)
        steps[0] = steps[1] = steps[2] = 0
        args[0], args[1], args[2] = <char*>PyArray_DATA(out), count.bytes, <char*>PyArray_DATA(out)
        _DIVIDE.fn[code](args, &one, steps, _DIVIDE.data[code])
    return out


cdef ndarray fold_sum(ndarray a, int nd, npy_intp* dims):
    """The sum of a contiguous array over its leading dims, which leaves `dims`; None if that does not fit."""
    cdef int code = code_of(a), lead = PyArray_NDIM(a) - nd, j
    cdef npy_intp rows = 1, columns = 1
    cdef ndarray out
    if lead <= 0 or not sums_in_itself(code) or not USE_LOOPS or not PyArray_IS_C_CONTIGUOUS(a) or (
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


def folded(ndarray a not None, tuple shape):
    """`fold_sum` of an array to a shape."""
    cdef npy_intp dims[64]
    cdef int j
    for j in range(len(shape)):
        dims[j] = shape[j]
    return fold_sum(a, len(shape), dims)


cdef Loops _MATMUL = Loops(np.matmul, False)


def matrix_product(a, b):
    """The product of two matrices of one dtype of 4 bytes and more; None for anything else."""
    if type(a) is ndarray and type(b) is ndarray and _loop_multiplies(<ndarray>a, <ndarray>b):
        return matmul(<ndarray>a, <ndarray>b)
    return None


cdef inline bint _loop_multiplies(ndarray a, ndarray b) except -1:
    """Whether these are two matrices that NumPy's loop multiplies, once they are aligned."""
    return (PyArray_NDIM(a) == 2 and PyArray_NDIM(b) == 2 and PyArray_TYPE(a) == PyArray_TYPE(b)
            and FLOAT32 <= code_of(a) <= COMPLEX128 and PyArray_DIMS(a)[1] == PyArray_DIMS(b)[0])


def matmul(ndarray a not None, ndarray b not None):
    """`np.matmul(a, b)` for arrays of one dtype; two matrices go straight to NumPy's loop, and so to BLAS."""
    cdef int code = code_of(a)
    cdef npy_intp dims[4]
    cdef npy_intp steps[9]
    cdef npy_intp shape[2]
    cdef char* args[3]
    if not _loop_multiplies(a, b) or not USE_LOOPS or (
            not PyArray_ISBEHAVED_RO(a) or not PyArray_ISBEHAVED_RO(b)):
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
