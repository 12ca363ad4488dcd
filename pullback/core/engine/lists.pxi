# Whole lists of tensors at once: what optimizers and the `_foreach` functions do without Python for each.
#
# `run_program` runs a few elementwise steps, as kernels/programs.h does them, over tuples of tensors. What is
# unusual among them (subclasses, tensors without numbers, other dtypes, memory that must not be written) it
# leaves alone and says so: the same formula is then done by ops. `gather_states` finds the gradients and the
# states of parameters, `count_up` counts their steps, `clear_grads` and `zero_all` forget and zero,
# `fold_each` makes a norm or a maximum of each, `fold_all` one of all of them.
#
# From other parts: KIND (pointwise.pxi); Tensor, wrap (tensor.pxi); is_plain, requires (dispatch.pxi);
# bump_version, same_shape, self_overlaps (inplace.pxi); clear (fills.pxi); unwatched (gradients.pxi); Around,
# begin_event, end_event, profiling, EVENT_OP (events.pxi); pb_thread (_engine.pyx).

from cpython.dict cimport PyDict_GetItem
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t
from numpy cimport PyArray_IS_F_CONTIGUOUS, PyArray_ISBEHAVED, PyArray_ISBEHAVED_RO

from pullback.core.dtype_codes cimport FLOAT64

cdef enum:
    PROGRAM_HEAD = 4        # words before those that say which tensors are written
    PROGRAM_BYTES = 4096    # of a register, the widest
    PROGRAM_PART = 8192     # elements that are one part of the work
    LONG_LIST = 20000       # elements, from which on the GIL is let go

ctypedef void (*program_t)(const int64_t* program, const double* numbers, int64_t count,
                           const int64_t* sizes, char** data, char* scratch) noexcept nogil

cdef struct ProgramRun:     # what `_program_parts` gets for a geometry
    program_t run
    int64_t* program
    double* numbers
    int64_t* sizes          # of each tuple, or part of one


cdef int _program_parts(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                        char* scratch) noexcept nogil:
    """A run that does some tuples of a list."""
    cdef ProgramRun* given = <ProgramRun*>geometry
    given.run(given.program, given.numbers, end - begin, given.sizes + begin, data + begin * given.program[0],
              scratch)
    return 0


@cython.final
cdef class Program:
    """Elementwise steps over lists of tensors.

    `words` are those of kernels/programs.h, `runs` the capsules of its functions by dtype's name.
    """

    cdef int64_t* words
    cdef program_t runs[NCODES]
    cdef char* scratch
    cdef object kept
    cdef str name     # by which profilers note it

    def __init__(self, words, dict runs, str name="formula"):
        cdef Py_ssize_t i
        self.name = name
        self.words = <int64_t*>PyMem_Malloc(len(words) * sizeof(int64_t))
        for i in range(len(words)):
            self.words[i] = words[i]
        for d in DTYPES:
            run = runs.get({"complex64": "float32", "complex128": "float64"}.get(d.name, d.name))
            self.runs[<int>d.code] = (
                NULL if run is None else <program_t>PyCapsule_GetPointer(run, "pullback.program"))
        self.kept = runs

    def __dealloc__(self):
        PyMem_Free(self.words)


cdef bint _usual(Tensor t, bint written) except -1:
    """Whether a program may run on a tensor's memory."""
    return (type(t) is Tensor or is_plain(type(t))) and not t.meta and t.tangents is None and (
        PyArray_ISBEHAVED(t.array) and not (t.inference and not pb_thread.inference) if written else
        PyArray_ISBEHAVED_RO(t.array))


@cython.final
cdef class _Batch:
    """Tuples of tensors of one dtype that a program is to run on."""

    cdef Program program
    cdef double* numbers
    cdef int code, count
    cdef int64_t item    # bytes of a number
    cdef Py_ssize_t elements
    cdef int64_t* sizes
    cdef char** data
    cdef list copies     # (array, contiguous copy) of what is strided and written
    cdef list held       # what must live until the run is over

    def __cinit__(self, Program program, tuple numbers, Py_ssize_t count):
        cdef Py_ssize_t i
        self.program = program
        self.numbers = <double*>PyMem_Malloc((len(numbers) + 1) * sizeof(double))
        self.numbers[0] = 0   # steps without a number look there
        for i in range(len(numbers)):
            number = numbers[i]
            self.numbers[i] = number.item() if isinstance(number, Tensor) else number
        self.sizes = <int64_t*>PyMem_Malloc(count * sizeof(int64_t))
        self.data = <char**>PyMem_Malloc(count * program.words[0] * sizeof(char*))
        self.copies, self.held = [], []

    def __dealloc__(self):
        PyMem_Free(self.numbers)
        PyMem_Free(self.sizes)
        PyMem_Free(self.data)

    cdef bint take(self, tuple lists, Py_ssize_t place) except -1:
        """Takes one more tuple; False if it is unusual."""
        cdef int tensors = <int>self.program.words[0], k, code = NO_DTYPE
        cdef Tensor t
        cdef ndarray first = None, a
        cdef bint in_order = True, reverse = True
        cdef int64_t* written = self.program.words + PROGRAM_HEAD
        for k in range(tensors):
            x = (<list>lists[k])[place]
            if not isinstance(x, Tensor) or not _usual(<Tensor>x, written[k]):
                return False
            a = (<Tensor>x).array
            if first is None:
                first, code = a, code_of(a)
            elif PyArray_TYPE(a) != PyArray_TYPE(first) or not same_shape(a, first):
                return False
            in_order = in_order and PyArray_IS_C_CONTIGUOUS(a)
            reverse = reverse and PyArray_IS_F_CONTIGUOUS(a)
            if written[k] and not PyArray_IS_C_CONTIGUOUS(a) and self_overlaps(a):
                return False
        if self.program.runs[code] == NULL:
            return False
        if self.count and code != self.code:
            self.run()
        self.code, self.item = code, PyArray_ITEMSIZE(first) // (2 if KIND[code] == KIND_COMPLEX else 1)
        for k in range(tensors):
            t = <Tensor>(<list>lists[k])[place]
            a = t.array
            if not in_order and not reverse and not PyArray_IS_C_CONTIGUOUS(a):
                a = PyArray_NewCopy(a, NPY_CORDER)
                self.held.append(a)
                if written[k]:
                    self.copies.append((t.array, a))
            self.data[self.count * tensors + k] = <char*>PyArray_DATA(a)
        self.sizes[self.count] = PyArray_SIZE(first) * (2 if KIND[code] == KIND_COMPLEX else 1)
        self.elements += self.sizes[self.count]
        self.count += 1
        return True

    cdef int run(self) except -1:
        cdef ProgramRun given
        cdef int64_t room = self.program.words[2] * PROGRAM_BYTES
        cdef char* scratch = <char*>PyMem_Malloc(room)
        given.run, given.program, given.numbers = (
            self.program.runs[self.code], self.program.words, self.numbers)
        if self.elements < LONG_LIST:
            given.sizes = self.sizes
            _program_parts(<int64_t*>&given, self.data, 0, self.count, scratch)
        else:
            self.run_long(&given, scratch, room)
        PyMem_Free(scratch)
        for array, copy in self.copies:
            PyArray_CopyInto(array, copy)
        self.count = 0
        self.elements = 0
        self.copies, self.held = [], []
        return 0

    cdef int run_long(self, ProgramRun* given, char* scratch, int64_t room) except -1:
        """Runs with a part for each stretch of a tuple, on several threads."""
        cdef int64_t tensors = self.program.words[0], parts = 0, at = 0, start, i, k
        cdef char** data
        for i in range(self.count):
            parts += (self.sizes[i] + PROGRAM_PART - 1) // PROGRAM_PART
        given.sizes = <int64_t*>PyMem_Malloc(parts * sizeof(int64_t))
        data = <char**>PyMem_Malloc(parts * tensors * sizeof(char*))
        for i in range(self.count):
            start = 0
            while start < self.sizes[i]:
                given.sizes[at] = min(self.sizes[i] - start, <int64_t>PROGRAM_PART)
                for k in range(tensors):
                    data[at * tensors + k] = self.data[i * tensors + k] + start * self.item
                start += PROGRAM_PART
                at += 1
        with nogil:
            cut(_program_parts, <int64_t*>given, data, parts, scratch, room, self.elements)
        PyMem_Free(given.sizes)
        PyMem_Free(data)
        return 0


def run_program(Program program, tuple lists, tuple numbers):
    """Runs a program on the first tensors of some lists, on the second, ...; `numbers` are the same for all.

    Some of them may be tensors of one element.
    Returns the places of those that it leaves alone: all of them while ops are recorded or transformed.
    """
    cdef Around around
    if not profiling:
        return _run_program(program, lists, numbers)
    begin_event(&around, <PyObject*>program.name, EVENT_OP)
    try:
        return _run_program(program, lists, numbers)
    finally:
        end_event(&around)


cdef list _run_program(Program program, tuple lists, tuple numbers):
    cdef Py_ssize_t count = len(<list>lists[0]), i, k
    cdef int64_t* written = program.words + PROGRAM_HEAD
    cdef list left = []
    cdef set skipped
    cdef _Batch batch
    if not unwatched():
        return list(range(count))
    batch = _Batch.__new__(_Batch, program, numbers, count)
    for i in range(count):
        if not batch.take(lists, i):
            left.append(i)
    if batch.count:
        if batch.elements >= LONG_LIST:
            batch.held += [(<Tensor>t).array for tensors in lists for t in tensors]
        batch.run()
    skipped = set(left)
    for k in range(program.words[0]):
        if written[k]:
            for i in range(count):
                if i not in skipped:
                    bump_version(<Tensor>(<list>lists[k])[i])
    return left


def gather_states(params, state, tuple names):
    """The parameters that have a gradient, their gradients, and for each name what `state` has under it.

    A list each; None stands where a state lacks a name. Before them: the parameters without any state yet.
    """
    cdef list fresh = [], kept = [], grads = [], lists = [[] for name in names]
    cdef Py_ssize_t k, count = len(names)
    cdef PyObject* found
    cdef PyObject* value
    cdef Tensor t
    if not isinstance(state, dict):
        state = dict(state)
    for p in params:
        t = <Tensor?>p
        grad = t._grad if type(t) is Tensor or is_plain(type(t)) else p.grad
        if grad is None:
            continue
        kept.append(p)
        grads.append(grad)
        found = PyDict_GetItem(state, p)
        if found == NULL or not <object>found:
            found = NULL
            fresh.append(p)
        for k in range(count):
            value = NULL
            if found != NULL:
                value = PyDict_GetItem(<object>found, <object>PyTuple_GET_ITEM(names, k))
            (<list>lists[k]).append(None if value == NULL else <object>value)
    return (fresh, kept, grads, *lists)


def count_up(list steps, float by=1):
    """Adds to each of some 0-dim tensors; returns the number that all are then, or a list of each one's."""
    cdef Tensor t
    cdef double value, first = 0
    cdef bint same = True
    cdef list values = []
    cdef void* where
    cdef int code
    for x in steps:
        t = <Tensor?>x
        code = code_of(t.array)
        if PyArray_NDIM(t.array) == 0 and _usual(t, True) and (code == FLOAT32 or code == FLOAT64):
            where = PyArray_DATA(t.array)
            if code == FLOAT32:
                (<float*>where)[0] = (<float*>where)[0] + by
                value = (<float*>where)[0]
            else:
                (<double*>where)[0] = (<double*>where)[0] + by
                value = (<double*>where)[0]
            if by:
                bump_version(t)
        else:
            x += by
            value = x.item()
        same = same and (not values or value == first)
        first = value
        values.append(value)
    return first if same else values


def clear_grads(params):
    """Forgets the gradients of some parameters."""
    cdef Tensor t
    for p in params:
        t = <Tensor?>p
        t._grad = None


def zero_all(list tensors):
    """Writes zeros into tensors whose memory is plain; returns the others."""
    cdef list left = []
    cdef Tensor t
    if not unwatched():
        return tensors
    for x in tensors:
        t = <Tensor?>x
        if _usual(t, True) and PyArray_IS_C_CONTIGUOUS(t.array):
            clear(t.array)
            bump_version(t)
        else:
            left.append(x)
    return left


cdef int _read_runs(dict runs, run_t* table) except -1:
    for d in DTYPES:
        run = runs.get(d.name)
        table[<int>d.code] = NULL if run is None else <run_t>PyCapsule_GetPointer(run, "pullback.run")
    return 0


cdef int _fold(run_t run, ndarray a, char* result) except -1:
    """A fold over all elements of a contiguous array."""
    cdef int64_t[6] geometry = [0, 1, 0, 0, PyArray_SIZE(a), PyArray_ITEMSIZE(a)]   # one dim is reduced
    cdef char* data[2]
    data[0], data[1] = <char*>PyArray_DATA(a), result
    run(geometry, data, 0, 1, NULL)
    return 0


cdef bint _foldable(Tensor t, run_t* table) except -1:
    return not pb_thread.level and table[code_of(t.array)] != NULL and _usual(t, False) and (
        PyArray_IS_C_CONTIGUOUS(t.array) and not (pb_thread.grad and requires(t)))


def fold_each(list tensors, dict runs):
    """A fold over all elements of each tensor, by the run for its dtype (kernels/reduce.pyx); a list.

    None stands for a tensor that is left to the op.
    """
    cdef run_t table[NCODES]
    cdef list results = []
    cdef Tensor t
    cdef ndarray result
    _read_runs(runs, table)
    for x in tensors:
        t = <Tensor?>x
        if not _foldable(t, table):
            results.append(None)
            continue
        result = empty(0, NULL, code_of(t.array))
        _fold(table[code_of(t.array)], t.array, <char*>PyArray_DATA(result))
        results.append(wrap(result))
    return results


def fold_all(list tensors, dict runs):
    """The fold over what the fold over each tensor gives, as a 0-dim tensor.

    None if a tensor is unusual, or of another dtype than the first.
    """
    cdef run_t table[NCODES]
    cdef npy_intp count = len(tensors), i
    cdef ndarray each, result
    cdef Tensor t
    cdef int code = code_of((<Tensor?>tensors[0]).array)
    _read_runs(runs, table)
    each = empty(1, &count, code)
    for i in range(count):
        t = <Tensor?>tensors[i]
        if code_of(t.array) != code or not _foldable(t, table):
            return None
        _fold(table[code], t.array, <char*>PyArray_DATA(each) + i * PyArray_ITEMSIZE(each))
    result = empty(0, NULL, code)
    _fold(table[code], each, <char*>PyArray_DATA(result))
    return wrap(result)
