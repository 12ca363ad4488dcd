# New tensors from the plainest arguments: sizes, numbers, lists of numbers.
#
# What makes tensors is plain Python (pullback/ops/arrays/create.py and its neighbours), which takes every
# argument there is and has the words for what is wrong. Most calls are plain: ints, a dtype, requires_grad.
# A `Function` with a `quick` way tries that first. It makes the tensor, or returns None without having done
# anything: then the function itself is called. So nothing is decided here that is not decided there too.
#
# Read `Request`, then `by_size`. The table of all ways is in quick.pxi.
#
# From other parts: as_tuple, Function, _REQUIRES (op.pxi); default_float, KIND (pointwise.pxi); Tensor,
# wrap (tensor.pxi); requires (dispatch.pxi); write_all (inplace.pxi); ascend, clear, fill_with, spread,
# spread_powers, step_up (fills.pxi); pb_thread (_engine.pyx).

cdef enum:
    MOST_BYTES = 1 << 28   # of a tensor made here, were its elements of 16 bytes: others may find no memory
    MOST_REMEMBERED = 16   # results of a function,
    LARGEST_REMEMBERED = 1 << 18


cdef struct Request:        # what a call asks for
    int nd, code            # the dtype's code, NO_DTYPE if none is given
    bint requires_grad
    npy_intp dims[64]


cdef bint read_options(Request* r, PyObject** values, PyObject* names) except -1:
    """Reads the keywords `dtype`, `requires_grad` and a `device` that is the CPU; False for others."""
    cdef Py_ssize_t i
    cdef PyObject* name
    cdef object value
    r.code, r.requires_grad = NO_DTYPE, False
    for i in range(0 if names == NULL else PyTuple_GET_SIZE(<object>names)):
        name, value = PyTuple_GET_ITEM(<object>names, i), <object>values[i]
        if name == <PyObject*>_DTYPE and (type(value) is _dtypes.dtype or value is None):
            r.code = NO_DTYPE if value is None else value.code
        elif name == <PyObject*>_REQUIRES and (value is True or value is False):
            r.requires_grad = value
        elif name != <PyObject*>_DEVICE or (value is not CPU and value is not None):
            return False
    return True


cdef object _DTYPE = sys.intern("dtype")
cdef object _DEVICE = sys.intern("device")


cdef bint read_int(object x, npy_intp* n) except -1:
    """Whether an object is an int, and no huge one."""
    cdef int overflow = 0
    if type(x) is not int:
        return False
    n[0] = PyLong_AsLongLongAndOverflow(x, &overflow)
    return overflow == 0


cdef bint read_size(Request* r, PyObject** args, Py_ssize_t given) except -1:
    """Reads a size of ints, or of one tuple or list of them, into `dims`."""
    cdef Py_ssize_t i
    cdef npy_intp n = 0
    r.nd = 0
    if given == 1 and isinstance(<object>args[0], (tuple, list)):
        if len(<object>args[0]) > 64:
            return False
        for x in <object>args[0]:
            if not read_int(x, &n) or n < 0:
                return False
            r.dims[r.nd] = n
            r.nd += 1
        return True
    if given < 1 or given > 64:
        return False
    for i in range(given):
        if not read_int(<object>args[i], &n) or n < 0:
            return False
        r.dims[i] = n
    r.nd = given
    return True


cdef bint fits(Request* r) except -1:
    """Whether the tensor is small, and may have the gradient that is asked for."""
    cdef npy_intp count = 16
    cdef int i
    if r.requires_grad and KIND[r.code] < KIND_FLOAT:
        return False
    for i in range(r.nd):
        if r.dims[i] > MOST_BYTES:
            return False
        count *= r.dims[i]
        if count > MOST_BYTES:
            return False
    return True


cdef Tensor new_tensor(Request* r):
    """The tensor that is asked for, its elements not set."""
    cdef Tensor t = wrap(empty(r.nd, r.dims, r.code))
    t.requires = r.requires_grad
    return t


cdef bint read_element(object x, int code, Number* element) except -1:
    """Writes a Python number as an element of a dtype; False if it is none, or might not fit."""
    cdef npy_intp n = 0
    cdef double real
    if type(x) is bool:
        x = int(x)
    if code == BOOL:
        if type(x) is not int and type(x) is not float:
            return False
    elif KIND[code] == KIND_FLOAT and not is_half(code) and not is_eight_bits(code):
        if type(x) is not float and not read_int(x, &n):
            return False
        real = x
        if code == FLOAT32 and real == real and abs(real) > 3.4028234663852886e38 and abs(real) != INFINITY:
            return False
    elif code != INT64 or not read_int(x, &n):
        return False
    store_number(x, code, element)
    return True


cdef object fill_by(Function function, Tensor t):
    """Fills a new tensor as the function says: with a number, by calling something, or not at all."""
    cdef Number element
    cdef PyObject* argv[6]
    cdef Py_ssize_t i
    cdef tuple rest
    if function.fill is None:
        return t
    if type(function.fill) is int:
        store_number(function.fill, code_of(t.array), &element)
        fill_with(t.array, &element)
        return t
    rest = function.fill_arguments
    argv[0] = <PyObject*>t.array
    for i in range(len(rest)):
        argv[1 + i] = PyTuple_GET_ITEM(rest, i)
    PyObject_Vectorcall(function.fill, argv, 1 + len(rest), NULL)
    return t


cdef bint fillable(Function function, int code) noexcept:
    """Whether a function fills tensors of a dtype: what draws numbers, floats only."""
    return function.fill is None or type(function.fill) is int or code == FLOAT32 or code == FLOAT64


cdef object by_size(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`zeros(2, 3)`, `rand((2, 3), dtype=torch.float64)`"""
    cdef Request r
    if not read_options(&r, args + given, names) or not read_size(&r, args, given):
        return None
    if r.code == NO_DTYPE:
        r.code = default_float
    if not fits(&r) or not fillable(function, r.code):
        return None
    return fill_by(function, new_tensor(&r))


cdef object by_own_size(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.new_zeros(2, 3)`"""
    cdef Request r
    if given < 1 or not read_options(&r, args + given, names) or type(<object>args[0]) is not Tensor or (
            (<Tensor>args[0]).meta) or not read_size(&r, args + 1, given - 1):
        return None
    if r.code == NO_DTYPE:
        r.code = code_of((<Tensor>args[0]).array)
    if not fits(&r):
        return None
    return fill_by(function, new_tensor(&r))


cdef object by_size_and_number(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`full((2, 3), 1.5)`, `x.new_full((2, 3), 1.5)`"""
    cdef Request r
    cdef Number element
    cdef Tensor t
    cdef Py_ssize_t own = given == 3
    if given != 2 and not own or not isinstance(<object>args[own], (tuple, list)) or (
            not read_options(&r, args + given, names) or not read_size(&r, args + own, 1)):
        return None
    if own and (type(<object>args[0]) is not Tensor or (<Tensor>args[0]).meta):
        return None
    x = <object>args[own + 1]
    if r.code == NO_DTYPE:
        r.code = code_of((<Tensor>args[0]).array) if own else (
            default_float if type(x) is float else INT64 if type(x) is int else BOOL)
    if not fits(&r) or not read_element(x, r.code, &element):
        return None
    t = new_tensor(&r)
    fill_with(t.array, &element)
    return t


cdef object like_another(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`zeros_like(x)`, `full_like(x, 1.5)`"""
    cdef Request r
    cdef Number element
    cdef Tensor t
    cdef ndarray a
    cdef bint numbered = function.fill is _BY_ARGUMENT
    if given != 1 + numbered or type(<object>args[0]) is not Tensor or (<Tensor>args[0]).meta or (
            not read_options(&r, args + given, names)):
        return None
    a = (<Tensor>args[0]).array
    if not PyArray_IS_C_CONTIGUOUS(a):
        return None
    r.nd = PyArray_NDIM(a)
    memcpy(r.dims, PyArray_DIMS(a), r.nd * sizeof(npy_intp))
    if r.code == NO_DTYPE:
        r.code = code_of(a)
    if not fits(&r):
        return None
    if not numbered:
        return fill_by(function, new_tensor(&r)) if fillable(function, r.code) else None
    if not read_element(<object>args[1], r.code, &element):
        return None
    t = new_tensor(&r)
    fill_with(t.array, &element)
    return t


cdef object _BY_ARGUMENT = Ellipsis   # the `fill` of a function that is told the number


cdef object by_range(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`arange(5)`, `arange(0, 1, 0.1)`; `range(1, 5)`, of a function that has a warning: with the end"""
    cdef Request r
    cdef Tensor t
    cdef npy_intp first = 0, last = 0, by = 1, i
    cdef double start = 0, end, step = 1, count
    cdef bint with_end = function.fill is not None, whole = not with_end
    if given < 1 + with_end or given > 3 or not read_options(&r, args + given, names):
        return None
    for i in range(given):
        whole = whole and type(<object>args[i]) is int
        if type(<object>args[i]) is not int and type(<object>args[i]) is not float:
            return None
    if r.code == NO_DTYPE:
        r.code = INT64 if whole else default_float
    r.nd = 1
    if r.code == INT64 and whole:
        if not read_int(<object>args[0 if given == 1 else 1], &last) or (
                given > 1 and not read_int(<object>args[0], &first)) or (
                given > 2 and not read_int(<object>args[2], &by)):
            return None
        if abs(first) > MOST_BYTES or abs(last) > MOST_BYTES or abs(by) > MOST_BYTES or by == 0 or (
                (last - first) * by < 0):
            return None
        r.dims[0] = (last - first + by - (1 if by > 0 else -1)) // by
        if not fits(&r):
            return None
        t = new_tensor(&r)
        ascend(t.array, first, by)
        return t
    if r.code != FLOAT32 and r.code != FLOAT64:
        return None
    end = <object>args[0 if given == 1 else 1]
    if given > 1:
        start = <object>args[0]
    if given > 2:
        step = <object>args[2]
    if step == 0 or not (end - start) * step >= 0 or abs(start) == INFINITY or abs(end) == INFINITY:
        return None
    count = floor((end - start) / step) + 1 if with_end else ceil((end - start) / step)
    if not count <= MOST_BYTES:
        return None
    r.dims[0] = <npy_intp>count
    if not fits(&r):
        return None
    if with_end:
        PyErr_WarnEx(UserWarning, <bytes>function.fill, 1)
    t = new_tensor(&r)
    step_up(t.array, start, step)
    return t


cdef object by_strides(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`empty_strided((2, 3), (1, 2))`, `x.new_empty_strided((2, 3), (1, 2))`"""
    cdef Request r, steps, flat
    cdef Tensor t
    cdef Py_ssize_t own = given == 3
    cdef int i
    if given != 2 and not own or not isinstance(<object>args[own], (tuple, list)) or (
            not isinstance(<object>args[own + 1], (tuple, list))) or (
            not read_options(&r, args + given, names)) or not read_size(&r, args + own, 1) or (
            not read_size(&steps, args + own + 1, 1)) or r.nd != steps.nd:
        return None
    if own and (type(<object>args[0]) is not Tensor or (<Tensor>args[0]).meta):
        return None
    if r.code == NO_DTYPE:
        r.code = code_of((<Tensor>args[0]).array) if own else default_float
    flat.nd, flat.code, flat.requires_grad, flat.dims[0] = 1, r.code, r.requires_grad, 1
    for i in range(r.nd):
        if r.dims[i] == 0 or r.dims[i] > MOST_BYTES or steps.dims[i] > MOST_BYTES or (
                flat.dims[0] > MOST_BYTES):
            return None
        flat.dims[0] += (r.dims[i] - 1) * steps.dims[i]
    if not fits(&flat):
        return None
    t = new_tensor(&flat)
    for i in range(r.nd):
        steps.dims[i] *= PyArray_ITEMSIZE(t.array)
    t.array = view_of(t.array, r.code, r.nd, r.dims, steps.dims, 0)
    return t


cdef object by_number(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`scalar_tensor(2.5)`"""
    cdef Request r
    cdef Number element
    cdef Tensor t
    if given != 1 or not read_options(&r, args + given, names):
        return None
    r.nd = 0
    if r.code == NO_DTYPE:
        r.code = default_float
    if not fits(&r) or not read_element(<object>args[0], r.code, &element):
        return None
    t = new_tensor(&r)
    fill_with(t.array, &element)
    return t


cdef object by_ends(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`linspace(0, 1, 5)`; `logspace(0, 1, 5)`, of a function that has the base"""
    cdef Request r
    cdef Tensor t
    if given != 3 or not read_options(&r, args + given, names) or not read_size(&r, args + 2, 1) or r.nd != 1:
        return None
    for i in range(2):
        if type(<object>args[i]) is not int and type(<object>args[i]) is not float:
            return None
    if r.code == NO_DTYPE:
        r.code = default_float
    if not fits(&r) or r.code != FLOAT32 and r.code != FLOAT64 or type(<object>args[2]) is not int:
        return None
    if function.fill is not None:
        if r.code != FLOAT32:
            return None
        t = new_tensor(&r)
        spread_powers(t.array, function.fill, <object>args[0], <object>args[1])
        return t
    t = new_tensor(&r)
    spread(t.array, <object>args[0], <object>args[1])
    return t


cdef object by_count(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`randperm(5)`"""
    cdef Request r
    if given != 1 or type(<object>args[0]) is not int or (
            not read_options(&r, args + given, names) or not read_size(&r, args, 1)):
        return None
    r.code = INT64 if r.code == NO_DTYPE else r.code
    return fill_by(function, new_tensor(&r)) if r.code == INT64 and fits(&r) else None


cdef object by_bounds(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`randint(10, (2, 3))`, `randint(5, 10, (2, 3))`"""
    cdef Request r
    cdef Tensor t
    cdef npy_intp low = 0, high = 0
    if given < 2 or given > 3 or not isinstance(<object>args[given - 1], (tuple, list)) or (
            not read_options(&r, args + given, names) or not read_size(&r, args + given - 1, 1)):
        return None
    r.code = INT64 if r.code == NO_DTYPE else r.code
    if r.code != INT64 or not fits(&r):
        return None
    if not read_int(<object>args[given - 2], &high) or given == 3 and not read_int(<object>args[0], &low) or (
            low >= high) or high - low < 0:
        return None
    t = new_tensor(&r)
    function.fill(t.array, function.fill_arguments[0], low, high - low, high - low >= 1 << 28)
    return t


cdef object by_moments(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`normal(0.0, 1.0, (2, 3))`"""
    cdef Request r
    cdef Tensor t
    if given != 3 or type(<object>args[0]) is not float or type(<object>args[1]) is not float or (
            not isinstance(<object>args[2], (tuple, list)) or not read_options(&r, args + given, names)) or (
            not read_size(&r, args + 2, 1)) or not <double><object>args[1] >= 0:
        return None
    if r.code == NO_DTYPE:
        r.code = default_float
    if not fits(&r) or not fillable(function, r.code):
        return None
    t = new_tensor(&r)
    function.fill(t.array, function.fill_arguments[0], <object>args[0], <object>args[1])
    return t


cdef object fill_all(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.fill_(1.5)`; `x.zero_()`, of a function that has the number"""
    cdef bint told = function.fill is _BY_ARGUMENT
    if names != NULL or given != 1 + told or type(<object>args[0]) is not Tensor or (
            told and type(<object>args[1]) is Tensor):
        return None
    return <object>args[0] if write_all(<Tensor>args[0], <object>args[1] if told else function.fill) else None


cdef object filled(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`fill(x, 1.5)`, where no graph is recorded"""
    if given != 2 or names != NULL or type(<object>args[0]) is not Tensor or (
            pb_thread.grad and requires(<Tensor>args[0])):
        return None
    return like_another(function, args, given, names)


cdef object copy_all(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`x.copy_(y)`"""
    if names != NULL or given != 2 or type(<object>args[0]) is not Tensor or (
            type(<object>args[1]) is not Tensor or not write_all(<Tensor>args[0], <object>args[1])):
        return None
    return <object>args[0]


cdef object identity(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`eye(3)`"""
    cdef Request r
    cdef Tensor t
    cdef Number one
    cdef npy_intp i, item
    if given < 1 or given > 2 or isinstance(<object>args[0], (tuple, list)) or (
            not read_options(&r, args + given, names) or not read_size(&r, args, given)):
        return None
    if r.nd == 1:
        r.nd, r.dims[1] = 2, r.dims[0]
    if r.code == NO_DTYPE:
        r.code = default_float
    if not fits(&r):
        return None
    t = new_tensor(&r)
    store_number(1, r.code, &one)
    item = PyArray_ITEMSIZE(t.array)
    clear(t.array)
    for i in range(min(r.dims[0], r.dims[1])):
        memcpy(<char*>PyArray_DATA(t.array) + i * (r.dims[1] + 1) * item, &one, item)
    return t


cdef object remembered(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """`hann_window(8)`, made of numbers alone: a copy of what the function made of them the first time"""
    cdef Request r
    cdef Tensor made
    cdef ndarray kept
    cdef Py_ssize_t i
    if not given or not read_options(&r, args + given, names):
        return None
    key = [r.code, default_float, *[type(<object>args[i]) for i in range(given)]]
    for i in range(given):
        if key[2 + i] is not int and key[2 + i] is not float and key[2 + i] is not bool:
            return None
        key.append(<object>args[i])
    key = tuple(key)
    kept = (<dict>function.fill).get(key)
    if kept is None:
        try:
            wanted = None if r.code == NO_DTYPE else DTYPES[r.code]
            made = function.__wrapped__(*as_tuple(args, given), dtype=wanted)
        except Exception:   # the function itself is called next, and raises it
            return None
        if made.meta or not PyArray_IS_C_CONTIGUOUS(made.array) or (
                PyArray_SIZE(made.array) * PyArray_ITEMSIZE(made.array) > LARGEST_REMEMBERED):
            return None if r.requires_grad else made
        if len(<dict>function.fill) == MOST_REMEMBERED:
            (<dict>function.fill).clear()
        kept = (<dict>function.fill)[key] = made.array.copy()
    if r.requires_grad and KIND[code_of(kept)] < KIND_FLOAT:
        return None
    r.nd, r.code = PyArray_NDIM(kept), code_of(kept)
    memcpy(r.dims, PyArray_DIMS(kept), r.nd * sizeof(npy_intp))
    made = new_tensor(&r)
    memcpy(PyArray_DATA(made.array), PyArray_DATA(kept), PyArray_SIZE(kept) * PyArray_ITEMSIZE(kept))
    return made
