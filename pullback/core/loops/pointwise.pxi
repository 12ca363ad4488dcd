# One pointwise op: the loops of a ufunc, and how its operands are brought to one.
#
# `Loops` holds a ufunc's C functions by dtype code. `pointwise` runs one of them. Its ways, from the
# narrowest to the widest: `_of_scalars` (no operand has dims), one run of the loop over contiguous arrays of
# one shape (`_line_up`), `_strided` (strided.pxi: a run for each line), `_public` (the ufunc itself).
#
# From other parts: code_of, empty, equal, CODE_OF_TYPENUM, ITEMSIZE (arrays.pxi); number_array
# (numbers.pxi); _strided (strided.pxi).

cdef bint USE_LOOPS = os.environ.get("PULLBACK_LOOPS", "1") != "0"

cdef enum:
    RELEASE_FROM = 32768     # from so many elements on the GIL is let go of

cdef class Loops:
    """The inner loops of one ufunc, one per dtype code; NULL where it has none."""

    def __init__(self, ufunc, bint halves=True, bint chooses=False):
        """The loops of a ufunc; with `halves` float32's are those of the half precisions, too.

        One that `chooses` takes a bool first, and moves what comes after it.
        """
        self.ufunc = ufunc
        self.nin = ufunc.nin
        cdef PyUFuncObject* table = <PyUFuncObject*><PyObject*>ufunc
        cdef int code, row, j, width = table.nin + table.nout
        cdef const char* types
        for code in range(NCODES):
            self.fn[code] = NULL
            if table.nout != 1 or TYPENUM[code] < 0:
                continue
            for row in range(table.ntypes):
                types = table.types + row * width
                for j in range(chooses, table.nin):
                    if types[j] != TYPENUM[code]:
                        break
                else:
                    self.fn[code] = <loop_t>table.functions[row]
                    self.data[code] = table.data[row] if table.data != NULL else NULL
                    self.out_code[code] = CODE_OF_TYPENUM[types[table.nin]]
                    break
        if chooses:   # what is chosen is only moved: its size is all that matters
            self.fn[<int>BFLOAT16] = self.fn[<int>FLOAT16]
            self.out_code[<int>BFLOAT16] = BFLOAT16
            for code in range(COMPLEX128 + 1, NCODES):
                self.fn[code] = self.fn[<int>UINT8 if is_eight_bits(code) else <int>FLOAT32]
                self.out_code[code] = code
        elif halves and self.fn[<int>FLOAT32] != NULL:
            _halve(self, FLOAT16, &self.halves[0])
            _halve(self, BFLOAT16, &self.halves[1])


cdef void _halve(Loops table, int code, HalfWay* way) noexcept:
    """Makes the loop for a half precision of the one for float32."""
    cdef int full = FLOAT32
    way.loop, way.data, way.inputs = table.fn[full], table.data[full], table.nin
    way.brain, way.narrows, way.wide = code == BFLOAT16, table.out_code[full] == full, 0
    table.fn[code], table.data[code] = pb_half_loop, way
    table.out_code[code] = code if way.narrows else table.out_code[full]


cdef loop_t loop_for(object ufunc, int typenum, void** data) except NULL:
    """The first loop of a ufunc whose first operand has this type; what it is given goes to `data`."""
    cdef PyUFuncObject* table = <PyUFuncObject*><PyObject*>ufunc
    cdef int row
    for row in range(table.ntypes):
        if table.types[row * (table.nin + table.nout)] == typenum:
            data[0] = table.data[row] if table.data != NULL else NULL
            return <loop_t>table.functions[row]
    raise TypeError(f"{ufunc.__name__} has no such loop")


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


def _call_into(ufunc, inputs, out):
    return ufunc(*inputs) if out is None else ufunc(*inputs, out=out)


cdef ndarray _public(Loops table, int code, int n, PyObject** arrays, Number* numbers, ndarray out,
                     unsigned int wide):
    """The ufunc itself: any strides, any overlap."""
    inputs = []
    cdef int i
    cdef bint half = is_half(code) and (table.fn[code] == pb_half_loop or code == BFLOAT16)
    for i in range(n):
        x = <object>arrays[i] if arrays[i] != NULL else (
            number_array(&numbers[i], FLOAT32 if wide >> i & 1 else code))
        inputs.append(x.astype(np.float32) if half and code_of(x) == code else x)
    result = np.asarray(quietly(_call_into, (table.ufunc, inputs, None if half else out)))
    if not half:
        return result
    if out is None:
        return result.astype(DTYPES[table.out_code[code]].numpy)
    np.copyto(out, result, casting="unsafe")
    return out


cdef enum Way:   # of computing a pointwise op
    FLAT         # one run of the loop
    STRIDED      # a run for each line, `_strided`
    PUBLIC       # the ufunc, `_public`

cdef struct Operands:              # of one run of a loop, the output last
    char* data[MAX_IN + 1]
    npy_intp steps[MAX_IN + 1]     # in bytes, 0 for one element that is used again and again
    int nd                         # the shape of those that have dims
    npy_intp* dims


cdef ndarray pointwise(Loops table, int code, int n, PyObject** arrays, Number* numbers, ndarray out,
                       unsigned int wide=0):
    """Runs a ufunc's loop on `n` inputs of the dtype with that code, broadcast against each other.

    `arrays[i]` is a borrowed array, or NULL for a number, whose element stands in `numbers[i]`.
    The result is new, or `out`, which must have the shape and dtype of the result. `wide` has a bit for each
    number beside a half precision that is stored as a float32.
    """
    if taps:
        out = run_pointwise(table, code, n, arrays, numbers, out, wide)
        tell_of_loop(table, code, n, arrays, numbers, out, wide)
        return out
    return run_pointwise(table, code, n, arrays, numbers, out, wide)


cdef inline ndarray run_pointwise(Loops table, int code, int n, PyObject** arrays, Number* numbers,
                                  ndarray out,
                                  unsigned int wide):
    """The same, and nobody is told."""
    cdef Operands run
    cdef HalfWay with_numbers
    cdef void* data = table.data[code]
    cdef npy_intp size = 1
    cdef int way, j
    if not USE_LOOPS:
        return _public(table, code, n, arrays, numbers, out, wide)
    if wide:
        with_numbers = (<HalfWay*>data)[0]
        with_numbers.wide = wide
        data = &with_numbers
    if out is None and _line_up_scalars(&run, code, n, arrays, numbers):
        return _of_scalars(table, code, n, &run, data)
    way = _line_up(&run, n, arrays, numbers)
    if way == FLAT:
        for j in range(run.nd):
            size *= run.dims[j]
        if out is None:
            out = empty(run.nd, run.dims, table.out_code[code])
        else:
            way = _way_into(&run, table.out_code[code], n, arrays, out, size)
    if way == STRIDED:
        return _strided(table, code, n, arrays, numbers, out, wide, data)
    if way == PUBLIC:
        return _public(table, code, n, arrays, numbers, out, wide)
    run.data[n], run.steps[n] = <char*>PyArray_DATA(out), PyArray_ITEMSIZE(out)
    if size > RELEASE_FROM:
        _by_threads(table.fn[code], data, n + 1, size, &run)
    else:
        table.fn[code](run.data, &size, run.steps, data)
    return out


cdef void _by_threads(loop_t fn, void* data, int operands, npy_intp size, Operands* run) noexcept:
    """One run of a loop over `size` elements, blocks of which are done by several threads."""
    cdef int64_t[4 + MAX_IN + 2] words
    cdef int i
    words[0], words[1], words[2], words[3] = <int64_t><intptr_t>fn, <int64_t><intptr_t>data, operands, 1
    words[4] = size
    for i in range(operands):
        words[5 + i] = run.steps[i]
    with nogil:
        cut(pb_lines, words, run.data, pb_line_parts(words), NULL, 0, size)


cdef inline bint _line_up_scalars(Operands* run, int code, int n, PyObject** arrays,
                                  Number* numbers) noexcept:
    """Sets where the operands lie, if all are numbers or 0-dim arrays; else False."""
    cdef int i
    for i in range(n):
        if arrays[i] == NULL:
            run.data[i], run.steps[i] = numbers[i].bytes, 0
        elif PyArray_NDIM(<ndarray>arrays[i]) == 0 and PyArray_ISBEHAVED_RO(<ndarray>arrays[i]):
            run.data[i], run.steps[i] = <char*>PyArray_DATA(<ndarray>arrays[i]), ITEMSIZE[code]
        else:
            return False
    return True


cdef inline ndarray _of_scalars(Loops table, int code, int n, Operands* run, void* data):
    """The result of operands without dims, a 0-dim array."""
    cdef npy_intp one = 1
    cdef ndarray out = empty(0, NULL, table.out_code[code])
    run.data[n], run.steps[n] = <char*>PyArray_DATA(out), PyArray_ITEMSIZE(out)
    table.fn[code](run.data, &one, run.steps, data)
    return out


cdef inline Way _line_up(Operands* run, int n, PyObject** arrays, Number* numbers) noexcept:
    """Sets where the operands lie for one run: contiguous arrays of one shape, single elements."""
    cdef ndarray a
    cdef int i
    run.nd, run.dims = 0, NULL
    for i in range(n):
        if arrays[i] == NULL:
            run.data[i], run.steps[i] = numbers[i].bytes, 0
            continue
        a = <ndarray>arrays[i]
        run.data[i] = <char*>PyArray_DATA(a)
        if PyArray_NDIM(a) == 0:
            run.steps[i] = 0
            if not PyArray_ISBEHAVED_RO(a):
                return PUBLIC
            continue
        if not (PyArray_IS_C_CONTIGUOUS(a) and PyArray_ISBEHAVED_RO(a)):
            return STRIDED
        if run.dims == NULL:
            run.nd, run.dims = PyArray_NDIM(a), PyArray_DIMS(a)
        elif PyArray_NDIM(a) != run.nd or not equal(run.nd, PyArray_DIMS(a), run.dims):
            return STRIDED
        run.steps[i] = PyArray_ITEMSIZE(a)
    return FLAT


cdef inline int _way_into(Operands* run, int code, int n, PyObject** arrays, ndarray out,
                          npy_intp size) except -1:
    """How operands that are lined up can be computed into `out`, whose memory may be theirs."""
    cdef npy_intp nbytes = size * PyArray_ITEMSIZE(out)
    cdef char* start = <char*>PyArray_DATA(out)
    cdef int i
    if not PyArray_IS_C_CONTIGUOUS(out) or code_of(out) != code or PyArray_NDIM(out) != run.nd or (
            not equal(run.nd, PyArray_DIMS(out), run.dims)):
        return STRIDED
    for i in range(n):
        if arrays[i] == NULL:
            continue
        if _overlaps(<ndarray>arrays[i], start, nbytes):
            return PUBLIC
        if run.steps[i] == 0 and size > 1 and run.data[i] == start:   # an element of `out` for all others
            return PUBLIC
    return FLAT


cdef bint _overlaps(ndarray a, char* out, npy_intp nbytes) noexcept:
    """Whether contiguous `a` shares memory with `nbytes` at `out` without starting where it starts."""
    cdef char* start = <char*>PyArray_DATA(a)
    cdef char* end = start + PyArray_SIZE(a) * PyArray_ITEMSIZE(a)
    return start != out and start < out + nbytes and out < end


# ---------------------------------------------------------------------------------------------- taps

cdef int taps = 0        # how many threads are to be told of their loops and of the runs of their plans
cdef dict _tapped = {}   # by thread: a list that gets them


def tap(found):
    """From now on puts each loop and each run of a plan on this thread into a list; None ends it.

    A loop is (Loops, code, operands, wide, result), an operand an array or the bytes of a number; a run is
    (Plan, arguments, results). What was told before is returned, None if nothing was.
    """
    global taps
    before = _tapped.pop(get_ident(), None)
    if found is not None:
        _tapped[get_ident()] = found
    taps = len(_tapped)
    return before


cdef int tell(tuple what) except -1:
    """Puts something on the list of this thread, if it has one."""
    found = _tapped.get(get_ident())
    if found is not None:
        (<list>found).append(what)
    return 0


cdef int tell_of_loop(Loops table, int code, int n, PyObject** arrays, Number* numbers, ndarray out,
                      unsigned int wide) except -1:
    cdef int i
    return tell((table, code, tuple([(<char*>&numbers[i])[:sizeof(Number)] if arrays[i] == NULL else
                                     <object>arrays[i] for i in range(n)]), wide, out))
