# More quick ways, and the table of all: numbers in lists, writes of whole tensors, windows, questions.
#
# Read `tensor_of`, which reads lists of numbers, and the table `WAYS`. A question is answered for one plain
# tensor; of subclasses, and under a transform, the function itself is asked.
#
# From other parts: by_bounds, by_count, by_ends, by_moments, by_number, by_own_size, by_range, by_size,
# by_size_and_number, by_strides, copy_all, fill_all, filled, identity, like_another, new_tensor, read_int,
# read_options, remembered, Request (creation.pxi); copy_all_bytes, real_t (fills.pxi); as_tuple, Function,
# Op, quick_t, MAX_PARAMS (op.pxi); default_float, KIND (pointwise.pxi); Tensor (tensor.pxi); record, requires
# (dispatch.pxi); bump_version, same_shape, view_tensor (inplace.pxi); pb_thread (_engine.pyx).

# ------------------------------------------------------------------------------- numbers in lists

cdef struct Numbers:        # what nested lists of numbers hold
    Request r
    bint floats, ints, bools
    char* at                # where the next element goes


cdef bint look_at(Numbers* found, object data, int depth) except -1:
    """The sizes and the types of the numbers of nested lists; False if they are not plain."""
    cdef npy_intp n
    if type(data) is not list and type(data) is not tuple:
        found.floats = found.floats or type(data) is float
        found.ints = found.ints or type(data) is int
        found.bools = found.bools or type(data) is bool
        return depth == found.r.nd and (type(data) is float or type(data) is int or type(data) is bool)
    n = len(data)
    if depth == found.r.nd:
        if depth == 64 or found.floats or found.ints or found.bools:
            return False
        found.r.dims[depth] = n
        found.r.nd += 1
    if n == 0 or n != found.r.dims[depth]:
        return False
    for item in data:
        if not look_at(found, item, depth + 1):
            return False
    return True


cdef bint copy_numbers(Numbers* found, object data) except -1:
    """Writes the numbers of nested lists one after another; False where one does not fit the dtype."""
    cdef int code = found.r.code
    cdef npy_intp n = 0
    if type(data) is list or type(data) is tuple:
        for item in data:
            if not copy_numbers(found, item):
                return False
        return True
    if code == FLOAT32 or code == FLOAT64:
        if type(data) is not float and not read_int(int(data), &n):
            return False
        if code == FLOAT32:
            (<float*>found.at)[0] = <float><double>data
            found.at += 4
        else:
            (<double*>found.at)[0] = data
            found.at += 8
    elif code == INT64:
        if not read_int(int(data), &n):
            return False
        (<npy_int64*>found.at)[0] = n
        found.at += 8
    else:
        found.at[0] = bool(data)
        found.at += 1
    return True


cdef object tensor_of(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`tensor([1.0, 2.0])`, `tensor([[1], [2]], dtype=torch.float64)`; `tensor(2.0)`"""
    return tensor_like(NO_DTYPE, args, names) if given == 1 else None


cdef object own_tensor_of(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.new_tensor([1.0, 2.0])`"""
    if given != 2 or type(<object>args[0]) is not Tensor or (<Tensor>args[0]).meta:
        return None
    return tensor_like(code_of((<Tensor>args[0]).array), args + 1, names)


cdef object as_tensor_of(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`as_tensor([1.0, 2.0])`; of a tensor, itself"""
    if given != 1 or names != NULL:
        return None
    return <object>args[0] if type(<object>args[0]) is Tensor else tensor_like(NO_DTYPE, args, NULL)


cdef object tensor_like(int code, PyObject** args, PyObject* names):
    """A tensor of numbers: of the dtype among the options behind them, or of that with a code, or
    of theirs."""
    cdef Numbers found
    cdef Tensor t
    cdef object data = <object>args[0]
    if not read_options(&found.r, args + 1, names):
        return None
    if found.r.code == NO_DTYPE:
        found.r.code = code
    found.r.nd, found.floats, found.ints, found.bools = 0, False, False, False
    if not look_at(&found, data, 0):
        return None
    if found.r.code == NO_DTYPE:
        found.r.code = default_float if found.floats else INT64 if found.ints else BOOL
    if found.r.code != FLOAT32 and found.r.code != FLOAT64 and (
            found.floats or (found.r.code != INT64 and (found.ints or found.r.code != BOOL))):
        return None
    if found.r.requires_grad and KIND[found.r.code] < KIND_FLOAT:
        return None
    t = new_tensor(&found.r)
    found.at = <char*>PyArray_DATA(t.array)
    return t if copy_numbers(&found, data) else None


cdef object draw_all(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.normal_()`, `x.uniform_(-1.0, 1.0)`"""
    cdef Tensor t
    cdef double first, second
    if names != NULL or given != 1 and given != 3 or type(<object>args[0]) is not Tensor:
        return None
    t = <Tensor>args[0]
    if t.meta or t.inference or not PyArray_IS_C_CONTIGUOUS(t.array) or (
            not PyArray_CHKFLAGS(t.array, NPY_ARRAY_WRITEABLE) or pb_thread.grad and requires(t)) or (
            code_of(t.array) != FLOAT32 and code_of(t.array) != FLOAT64):
        return None
    if given == 1:
        function.fill(t.array, *function.fill_arguments)
    else:
        if type(<object>args[1]) is not float or type(<object>args[2]) is not float:
            return None
        first, second = <object>args[1], <object>args[2]
        if not (abs(first) < 1e30 and second < 1e30 and second >= 0 and second >= first):
            return None   # which may be no bounds, or no deviation
        function.fill(t.array, function.fill_arguments[0], first, second)
    bump_version(t)
    return t


cdef object itself(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.contiguous()` of a tensor that is"""
    if names == NULL and given == 1 and type(<object>args[0]) is Tensor and (
            PyArray_IS_C_CONTIGUOUS((<Tensor>args[0]).array)):
        return <object>args[0]
    return None


cdef object copied(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.clone()` of a contiguous tensor, where no graph is recorded"""
    cdef Request r
    cdef Tensor t, copy
    if names != NULL or given != 1 or type(<object>args[0]) is not Tensor:
        return None
    t = <Tensor>args[0]
    if t.meta or not PyArray_IS_C_CONTIGUOUS(t.array) or pb_thread.grad and requires(t) or (
            PyArray_NBYTES(t.array) > MOST_BYTES):
        return None
    r.nd, r.code, r.requires_grad = PyArray_NDIM(t.array), code_of(t.array), False
    memcpy(r.dims, PyArray_DIMS(t.array), r.nd * sizeof(npy_intp))
    copy = new_tensor(&r)
    copy_all_bytes(t.array, copy.array)
    return copy


cdef object by_window(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.as_strided((2, 3), (3, 1))`, `x.as_strided((2, 3), (3, 1), 0)`"""
    cdef Geometry g
    cdef PyObject* argv[MAX_PARAMS]
    cdef npy_intp room[64]
    cdef npy_intp* steps
    cdef Tensor t, seen
    cdef Op op = <Op>function.fill
    cdef int i
    if names != NULL or given != 3 and given != 4 or type(<object>args[0]) is not Tensor:
        return None
    t = <Tensor>args[0]
    if t.meta or not find_window(&g, t.array, <object>args[1], <object>args[2],
                                 <object>args[3] if given == 4 else None):
        return None
    seen = view_tensor(op, t, show(&g, t.array))
    if pb_thread.grad and requires(t) and not t.inference:
        item, steps = PyArray_ITEMSIZE(t.array), steps_of(t.array, room)
        size, stride, offset = tuple(<object>args[1]), tuple(<object>args[2]), g.offset // item
        own = tuple([steps[i] // item for i in range(PyArray_NDIM(t.array))])
        argv[0], argv[1], argv[2] = <PyObject*>t, <PyObject*>size, <PyObject*>stride
        argv[3], argv[4] = <PyObject*>offset, <PyObject*>own
        record(op, argv, 1, seen)
    return seen


# -------------------------------------------------------------------------------------- questions

cdef inline Tensor asked(PyObject** args, Py_ssize_t given, PyObject* names):
    """The one argument of a question, if it is a tensor and no subclass of it."""
    return <Tensor>args[0] if names == NULL and given == 1 and type(<object>args[0]) is Tensor else None


cdef inline bint two_asked(PyObject** args, Py_ssize_t given, PyObject* names) noexcept:
    """Whether a question is about two such tensors."""
    return (names == NULL and given == 2
            and type(<object>args[0]) is Tensor and type(<object>args[1]) is Tensor)


cdef object says(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """What is so of every tensor: `is_tensor(x)`"""
    return None if asked(args, given, names) is None else function.fill


cdef object says_dtype(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """What is so of a dtype: `is_complex(x)`, of a function that has the answers by the dtypes' codes"""
    cdef Tensor t = asked(args, given, names)
    return None if t is None else (<tuple>function.fill)[code_of(t.array)]


cdef object is_of_inference(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.is_inference()`"""
    cdef Tensor t = asked(args, given, names)
    return None if t is None else bool(t.inference)


cdef object count_elements(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.numel()`"""
    cdef Tensor t = asked(args, given, names)
    return None if t is None else PyArray_SIZE(t.array)


cdef object is_in_rows(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.is_contiguous()`"""
    cdef Tensor t = asked(args, given, names)
    return None if t is None else bool(PyArray_IS_C_CONTIGUOUS(t.array))


cdef object have_one_size(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.is_same_size(y)`"""
    if not two_asked(args, given, names):
        return None
    return same_shape((<Tensor>args[0]).array, (<Tensor>args[1]).array)


cdef object are_equal(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.equal(y)` of contiguous tensors of one dtype"""
    cdef ndarray a, b
    cdef int code
    if not two_asked(args, given, names) or (<Tensor>args[0]).meta or (<Tensor>args[1]).meta:
        return None
    a, b = (<Tensor>args[0]).array, (<Tensor>args[1]).array
    code = code_of(a)
    if code != code_of(b) or not PyArray_IS_C_CONTIGUOUS(a) or not PyArray_IS_C_CONTIGUOUS(b):
        return None
    if not same_shape(a, b):
        return False
    if code == FLOAT32:
        return same_floats(<float*>PyArray_DATA(a), <float*>PyArray_DATA(b), PyArray_SIZE(a))
    if code == FLOAT64:
        return same_floats(<double*>PyArray_DATA(a), <double*>PyArray_DATA(b), PyArray_SIZE(a))
    if KIND[code] < KIND_FLOAT:
        return memcmp(PyArray_DATA(a), PyArray_DATA(b), PyArray_NBYTES(a)) == 0
    return None


cdef bint same_floats(real_t* a, real_t* b, npy_intp n) noexcept nogil:
    """Whether two runs of floats are equal, zeros of either sign, NaN with nothing."""
    cdef npy_intp i, start = 0, end
    cdef int apart
    while start < n:
        end, apart = min(start + 256, n), 0   # a block at a time, so that its loop is vector code
        for i in range(start, end):
            apart |= not a[i] == b[i]
        if apart:
            return False
        start = end
    return True


cdef object of_one_shape(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`broadcast_tensors(x, y)` of tensors of one shape: themselves"""
    cdef Py_ssize_t i
    if names != NULL or given < 2:
        return None
    for i in range(given):
        if type(<object>args[i]) is not Tensor or i and (
                not same_shape((<Tensor>args[i]).array, (<Tensor>args[0]).array)):
            return None
    return as_tuple(args, given)


cdef object warns(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """What does no more than to warn, and to call another function: of one that has both"""
    if not given or type(<object>args[0]) is not Tensor:
        return None
    PyErr_WarnEx(UserWarning, <bytes>function.fill, 1)
    return PyObject_Vectorcall(function.fill_arguments[0], args, given, names)


cdef object itself_if_real(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`real(x)` of a tensor that is no complex one"""
    cdef Tensor t = asked(args, given, names)
    return None if t is None or KIND[code_of(t.array)] == KIND_COMPLEX else t


# ------------------------------------------------------------------------------------------- ways

cdef struct Way:
    const char* name
    quick_t make

cdef Way[33] WAYS
WAYS[0] = Way("size", by_size)
WAYS[1] = Way("own size", by_own_size)
WAYS[2] = Way("size and number", by_size_and_number)
WAYS[3] = Way("like", like_another)
WAYS[4] = Way("range", by_range)
WAYS[5] = Way("ends", by_ends)
WAYS[6] = Way("count", by_count)
WAYS[7] = Way("bounds", by_bounds)
WAYS[8] = Way("identity", identity)
WAYS[9] = Way("numbers", tensor_of)
WAYS[10] = Way("moments", by_moments)
WAYS[11] = Way("fill all", fill_all)
WAYS[12] = Way("copy all", copy_all)
WAYS[13] = Way("itself", itself)
WAYS[14] = Way("draw all", draw_all)
WAYS[15] = Way("remembered", remembered)
WAYS[16] = Way("strides", by_strides)
WAYS[17] = Way("number", by_number)
WAYS[18] = Way("own numbers", own_tensor_of)
WAYS[19] = Way("as numbers", as_tensor_of)
WAYS[20] = Way("window", by_window)
WAYS[21] = Way("says", says)
WAYS[22] = Way("says dtype", says_dtype)
WAYS[23] = Way("elements", count_elements)
WAYS[24] = Way("in rows", is_in_rows)
WAYS[25] = Way("one size", have_one_size)
WAYS[26] = Way("equal", are_equal)
WAYS[27] = Way("one shape", of_one_shape)
WAYS[28] = Way("real", itself_if_real)
WAYS[29] = Way("filled", filled)
WAYS[30] = Way("warns", warns)
WAYS[31] = Way("inference", is_of_inference)
WAYS[32] = Way("clone", copied)


cdef quick_t way_of(str name) except NULL:
    for i in range(33):
        if WAYS[i].name == name.encode():
            return WAYS[i].make
    raise ValueError(f"no quick way '{name}'")
