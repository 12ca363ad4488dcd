# cython: allow_none_for_extension_args=False
"""Plans: what an op has decided for one signature, kept so that it is decided once.

The first call of an op with a signature (the dtypes, shapes and strides of its tensors, and its other
arguments) runs the op's `prepare`: plain Python on `Spec`s, never on data. It raises every error that does
not depend on data and returns a `Plan`: the results' specs, a C function, the integers that say to it how
the data lie, and into how many parts the work may be cut. Later calls build the signature's key, find the
plan in a table, take result arrays and run.

    signature   a word that tells the kind of each argument, then its numbers or letters; what is there from
                the first to the last, as dtypes are, by its address
    table       open addressing on the key's hash; when it is full it is emptied, and all is planned anew
                (the engine's tapes have such a table too: engine/tapes.pxi)
    run         without Python and without the GIL if the work is long
    views       what has results with an `offset` moves nothing: they are made of the first tensor's memory

Read `Plan`, `find_plan`, then `run_plan`. `PULLBACK_PLANS=0` in the environment sends every op to its kernel
on arrays, which must give the same results.
"""

import os

cimport cython
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_DIMS, PyArray_IS_C_CONTIGUOUS, PyArray_ISBEHAVED,
    PyArray_ISBEHAVED_RO, PyArray_ITEMSIZE, PyArray_NDIM,
    PyArray_STRIDES,
    PyArray_TYPE,
)

import_array()

from pullback.core.dtypes import DTYPES, Size, memory_format
from pullback.core._pool cimport cut
from pullback.core cimport _loops
from pullback.core._loops cimport code_of, empty, steps_of, tell, view_of

cdef extern from "Python.h":
    PyObject* PyTuple_GET_ITEM(object, Py_ssize_t)
    Py_ssize_t PySequence_Fast_GET_SIZE(object)
    PyObject* PySequence_Fast_GET_ITEM(object, Py_ssize_t)
    long long PyLong_AsLongLongAndOverflow(object, int* overflow) except? -1
    bint PyUnicode_IS_COMPACT_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    void* PyUnicode_DATA(object)

cdef extern from *:
    """
    #if defined(__SANITIZE_ADDRESS__)
    #define PB_NEAR 1     /* what is written past scratch memory is to be seen */
    #else
    #define PB_NEAR 256
    #endif
    """
    enum:
        NEAR "PB_NEAR"    # doubles of scratch memory on the stack

cdef bint USE_PLANS = os.environ.get("PULLBACK_PLANS", "1") != "0"


@cython.final
cdef class Spec:
    """What is known of a tensor before it is computed: its dtype, its shape, and its strides in bytes.

    Of a result the strides may be None: it is contiguous. Others are so in another order of dims, as
    `columns` are. One with an `offset` is a view of the first tensor's memory, so many bytes after its first
    element: `seen` makes such.
    """

    def __init__(self, dtype, tuple shape, tuple strides=None, offset=None):
        self.dtype, self.shape, self.strides, self.offset = dtype, shape, strides, offset

    def seen(self, shape, strides, offset=0, dtype=None):
        """A view of this: its shape and strides, and where it begins, in bytes."""
        return Spec(self.dtype if dtype is None else dtype, tuple(shape), tuple(strides), offset)

    @property
    def itemsize(self):
        """The bytes of an element."""
        return self.dtype.itemsize

    @property
    def steps(self):
        """The strides in elements."""
        return tuple([step // self.itemsize for step in self.strides])

    @property
    def contiguous(self):
        """Whether the elements lie in the order of rows, without gaps."""
        cdef Py_ssize_t step = self.dtype.itemsize
        if self.strides is None or 0 in self.shape:
            return True
        for n, stride in zip(reversed(self.shape), reversed(self.strides)):
            if n != 1 and stride != step:
                return False
            step *= n
        return True

    @staticmethod
    def columns(dtype, tuple shape):
        """A stack of matrices that lie one after another, column by column."""
        cdef Py_ssize_t step = dtype.itemsize
        cdef list strides = [step] * len(shape)
        for d in (-2, -1, *range(-3, -len(shape) - 1, -1)):
            strides[d] = step
            step *= max(shape[d], 1)
        return Spec(dtype, shape, tuple(strides))

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        """How many elements."""
        cdef Py_ssize_t count = 1
        for n in self.shape:
            count *= n
        return count

    def __repr__(self):
        return f"Spec({self.dtype}, {self.shape}, {self.strides}, {self.offset})"


cdef Spec spec_of(ndarray a):
    cdef int i
    cdef npy_intp room[64]
    cdef npy_intp* steps = steps_of(a, room)
    strides = tuple([steps[i] for i in range(PyArray_NDIM(a))])
    return Spec(DTYPES[code_of(a)], tuple([PyArray_DIMS(a)[i] for i in range(PyArray_NDIM(a))]), strides)


@cython.final
cdef class Plan:
    """How to do an op for one signature.

    `results` is the Spec of the result, or a tuple of several. `run` is a capsule of a C function of type
    `run_t` (see _plans.pxd) with its `geometry`, integers; it does the parts `begin` to `end` of `parts`,
    with `scratch` bytes of its own. `refuse(status, *arrays)` makes the exception for a status, or says None
    for none. Without `run` the op's kernel on arrays does the work, and the plan says only what comes out.
    Of views there is nothing else to know. A run that may go `over` its first input may have its
    result there. Any cut of the parts gives the same bits; threads share them where there is enough `work`:
    as many steps as there are elements, of inputs and results, unless it says how many.
    """

    def __init__(self, results, run=None, tuple geometry=(), int64_t parts=1, int64_t scratch=0, refuse=None,
                 bint over=False, int64_t work=0):
        cdef Spec spec
        cdef int i
        self.several = type(results) is tuple
        self.results = results if self.several else (results,)
        self.nresults = len(self.results)
        self.parts, self.scratch, self.refuse, self.work = parts, scratch, refuse, work
        self.run_object = run, over
        self.run = NULL if run is None else <run_t>PyCapsule_GetPointer(run, "pullback.run")
        self.geometry = <int64_t*>malloc(max(1, len(geometry)) * sizeof(int64_t))
        self.layouts = <Layout*>calloc(max(1, len(self.results)), sizeof(Layout))
        if self.geometry == NULL or self.layouts == NULL:
            raise MemoryError
        self.nresults = len(self.results)  # whose layouts are freed, though this may end early
        for i in range(len(geometry)):
            self.geometry[i] = geometry[i]
        for i in range(self.nresults):
            spec = self.results[i]
            _lay(&self.layouts[i], spec)
            self.view = spec.offset is not None

    def __dealloc__(self):
        for i in range(self.nresults):
            free(self.layouts[i].dims)
        free(self.geometry)
        free(self.layouts)


cdef bint _in_rows(Spec spec) except -1:
    """Whether all strides are those of rows, of dims of one as well."""
    cdef Py_ssize_t step = spec.dtype.itemsize
    if spec.strides is None:
        return True
    for n, stride in zip(reversed(spec.shape), reversed(spec.strides)):
        if stride != step:
            return False
        step *= n
    return True


cdef int _lay(Layout* layout, Spec spec) except -1:
    """What a result is made by."""
    cdef int d, nd = len(spec.shape)
    layout.code, layout.nd = spec.dtype.code, nd
    layout.offset = 0 if spec.offset is None else spec.offset
    layout.size = spec.size
    layout.ordered = spec.offset is None and layout.size > 0 and not _in_rows(spec)
    layout.dims = <npy_intp*>malloc(max(1, 2 * nd) * sizeof(npy_intp))
    layout.strides = layout.dims + nd
    for d in range(nd):
        layout.dims[d] = spec.shape[d]
        layout.strides[d] = 0 if spec.strides is None else spec.strides[d]
    return 0


cdef int64_t _lasting = 0


cdef class Lasting:
    """What never changes, and so may be an argument of planned ops: a base class.

    Keys have its number, which nothing else ever gets, though its address may be used again.
    """

    cdef int64_t number

    def __cinit__(self, *args, **kwargs):
        global _lasting
        _lasting += 1
        self.number = _lasting


cdef enum:
    FEW = 24            # pointers on the stack

cdef int64_t LONG_WORK = 20000   # about so many elements, from which on the GIL is let go

# --------------------------------------------------------------------------------- keys and tables

cdef enum:
    MOST_RESULTS = 64   # of a plan that is kept

cdef enum:
    TAG_ARRAY = 1
    TAG_OBJECT = 2
    TAG_INT = 3
    TAG_FLOAT = 4
    TAG_LIST = 5
    TAG_TUPLE = 6
    TAG_SIZE = 7
    TAG_TEXT = 8
    TAG_SLICE = 9
    TAG_LASTING = 10

cdef enum:
    MOST_CLASSES = 512  # that keys may name: of what is an int or a tuple, and more


cdef int put(int64_t* words, int at, object x):
    """Writes an argument into a key from place `at` on; the next free place, -1 if it cannot be written."""
    cdef object kind = type(x)
    cdef int d, nd, overflow
    cdef ndarray a
    cdef double number
    cdef Py_ssize_t i, length
    if isinstance(x, ndarray):
        a = <ndarray>x
        nd = PyArray_NDIM(a)
        if at + 2 * nd + 1 > MOST_WORDS or not PyArray_ISBEHAVED_RO(a):
            return -1
        words[at] = TAG_ARRAY | <int64_t>nd << 8 | <int64_t>PyArray_TYPE(a) << 16
        for d in range(nd):
            words[at + 1], words[at + 2] = PyArray_DIMS(a)[d], PyArray_STRIDES(a)[d]
            at += 2
        return at + 1
    if at + 2 > MOST_WORDS:
        return -1
    if kind is not int and (x is None or kind is bool or kind is _DTYPE or x is Ellipsis or kind is _FORMAT):
        words[at], words[at + 1] = TAG_OBJECT, <int64_t><PyObject*>x
        return at + 2
    if isinstance(x, int):
        words[at] = TAG_INT if kind is int else of_class(TAG_INT, kind)
        words[at + 1] = PyLong_AsLongLongAndOverflow(x, &overflow)
        return -1 if overflow or words[at] < 0 else at + 2
    if isinstance(x, float):
        words[at] = TAG_FLOAT if kind is float else of_class(TAG_FLOAT, kind)
        number = PyFloat_AS_DOUBLE(x)
        memcpy(words + at + 1, &number, sizeof(double))
        return -1 if words[at] < 0 else at + 2
    if isinstance(x, (tuple, list)):
        words[at] = put_length(x)
        at = -1 if words[at] < 0 else at + 1
        for i in range(PySequence_Fast_GET_SIZE(x) if at >= 0 else 0):
            at = put(words, at, <object>PySequence_Fast_GET_ITEM(x, i))
            if at < 0:
                return -1
        return at
    if kind is str and PyUnicode_IS_COMPACT_ASCII(x):
        length = PyUnicode_GET_LENGTH(x)
        if at + length // 8 + 2 > MOST_WORDS:
            return -1
        words[at] = TAG_TEXT | <int64_t>length << 8
        words[at + 1 + length // 8] = 0
        memcpy(words + at + 1, PyUnicode_DATA(x), length)
        return at + <int>(length // 8) + 2
    if isinstance(x, Lasting):
        words[at], words[at + 1] = TAG_LASTING, (<Lasting>x).number
        return at + 2
    if kind is slice:
        words[at] = TAG_SLICE
        at = put(words, at + 1, x.start)
        at = put(words, at, x.stop) if at >= 0 else at
        return put(words, at, x.step) if at >= 0 else at
    return -1


cdef int64_t put_length(object x):
    """The word that begins a list, a tuple or a Size in a key; -1 if there is more to it than its items."""
    cdef int64_t count = <int64_t>PySequence_Fast_GET_SIZE(x) << 8
    cdef object kind = type(x)
    if kind is tuple:
        return TAG_TUPLE | count
    if kind is list:
        return TAG_LIST | count
    if kind is Size:
        return TAG_SIZE | count
    if not isinstance(x, tuple) or kind.__basicsize__ != tuple.__basicsize__ or kind.__dictoffset__:
        return -1
    return of_class(TAG_TUPLE | count, kind)


cdef int64_t of_class(int64_t tag, object kind):
    """A word for an argument of a kind with its class, which is not the plain one; -1 for one too many."""
    place = _classes.get(kind)
    if place is None:
        if len(_classes) == MOST_CLASSES:
            return -1
        place = _classes[kind] = len(_classes) + 1
    return tag | <int64_t>place << 48


cdef dict _classes = {}     # the numbers that stand for classes in keys
cdef object _DTYPE = type(DTYPES[0]), _FORMAT = memory_format


cdef uint64_t _FACTORS[MOST_WORDS]   # odd and drawn at random


cdef _draw_factors():
    cdef uint64_t state = 0x9E3779B97F4A7C15ULL
    cdef int i
    for i in range(MOST_WORDS):
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        _FACTORS[i] = state | 1


_draw_factors()


cdef uint64_t hash_of(int64_t* words, int count) noexcept:
    """A sum of products, of which none waits for another, stirred."""
    cdef uint64_t h = count
    cdef int i
    for i in range(count):
        h += <uint64_t>words[i] * _FACTORS[i]
    h = (h ^ h >> 32) * 0x9E3779B97F4A7C15ULL
    return h ^ h >> 29


cdef Entry* look_up(Table* table, uint64_t h, int64_t* words, int count) noexcept:
    """The entry of a key; NULL if it has none."""
    cdef Py_ssize_t place = h & (CAPACITY - 1)
    cdef Entry* entry
    while table.entries[place].value != NULL:
        entry = &table.entries[place]
        if entry.hash == h and entry.count == count and (
                memcmp(entry.words, words, count * sizeof(int64_t)) == 0):
            return entry
        place = (place + 1) & (CAPACITY - 1)
    return NULL


cdef int enter(Table* table, uint64_t h, int64_t* words, int count, object value) except -1:
    """Adds an entry; a full table is emptied first."""
    cdef Py_ssize_t place
    cdef Entry* entry
    if table.used == MOST_ENTRIES:
        empty_table(table)
    place = h & (CAPACITY - 1)
    while table.entries[place].value != NULL:
        place = (place + 1) & (CAPACITY - 1)
    entry = &table.entries[place]
    entry.hash, entry.count = h, count
    entry.words = <int64_t*>malloc(count * sizeof(int64_t))
    memcpy(entry.words, words, count * sizeof(int64_t))
    Py_INCREF(value)
    entry.value = <PyObject*>value
    table.used += 1
    return 0


cdef int empty_table(Table* table) except -1:
    cdef int i
    cdef list values = []   # what is let go of may run code: when the table is in order again
    for i in range(CAPACITY):
        if table.entries[i].value != NULL:
            free(table.entries[i].words)
            values.append(<object>table.entries[i].value)
            Py_DECREF(<object>table.entries[i].value)
            table.entries[i].value = NULL
    table.used = 0
    return 0


cdef Table plans
memset(&plans, 0, sizeof(plans))


cdef Py_ssize_t _elements(tuple things):
    cdef Py_ssize_t count = 0
    for x in things:
        for item in x if type(x) is list or type(x) is tuple else (x,):
            count += item.size if type(item) is Spec else 0
    return count


cdef object _specs(object x):
    if isinstance(x, ndarray):
        return spec_of(<ndarray>x)
    if type(x) is list or type(x) is tuple:
        return type(x)([spec_of(<ndarray>item) if isinstance(item, ndarray) else item for item in x])
    return x


cdef Plan _prepared(object prepare, tuple arguments):
    """What `prepare` says: a plan, or only what comes out."""
    made = prepare(*arguments)
    return made if type(made) is Plan else Plan(made)


cdef Plan find_plan(object owner, object prepare, PyObject** values, int n):
    """The plan of an op for arguments, tensors as arrays: the kept one, or a new one by `prepare`."""
    cdef int64_t words[MOST_WORDS]
    cdef int i, at = 1
    cdef uint64_t h
    cdef Entry* entry
    cdef Plan plan
    words[0] = <int64_t><PyObject*>owner
    for i in range(n if USE_PLANS else 0):
        at = put(words, at, <object>values[i])
        if at < 0:
            break
    if at < 0 or not USE_PLANS:
        plan = _prepared(prepare, tuple([_specs(<object>values[j]) for j in range(n)]))
        plan.run = NULL  # memory that runs must not touch is among what has no key
        return plan
    h = hash_of(words, at)
    entry = look_up(&plans, h, words, at)
    if entry != NULL:
        return <Plan>entry.value
    arguments = tuple([_specs(<object>values[i]) for i in range(n)])
    plan = _prepared(prepare, arguments)
    if plan.nresults > MOST_RESULTS:
        return plan
    plan.owner = owner
    if not plan.work:
        plan.work = _elements(arguments) + _elements(plan.results)
    plan.long_work = plan.work > LONG_WORK
    enter(&plans, h, words, at, plan)
    return plan


# ------------------------------------------------------------------------------------------- run

cdef int _gather(char** data, int at, int room, object x) noexcept:
    """Writes where the elements of an argument lie, as far as there is room; the next free place."""
    cdef Py_ssize_t i
    if isinstance(x, ndarray):
        if at < room:
            data[at] = <char*>PyArray_DATA(<ndarray>x)
        return at + 1
    if type(x) is list or type(x) is tuple:
        for i in range(PySequence_Fast_GET_SIZE(x)):
            at = _gather(data, at, room, <object>PySequence_Fast_GET_ITEM(x, i))
    return at


cdef int _gather_all(char** data, int room, PyObject** values, int n, object results) noexcept:
    """The same for all arguments and results; how many there are."""
    cdef int i, at = 0
    for i in range(n):
        at = _gather(data, at, room, <object>values[i])
    return _gather(data, at, room, results)


cdef ndarray _made(Layout* layout):
    """The array of a result, without numbers."""
    if layout.ordered:
        return view_of(empty(1, &layout.size, layout.code), layout.code, layout.nd, layout.dims,
                       layout.strides, 0)
    return empty(layout.nd, layout.dims, layout.code)


cdef object run_plan(Plan plan, PyObject** values, int n):
    """Runs a plan on its arguments, tensors as arrays: the array of the result, or a tuple of several."""
    cdef Layout* layout = plan.layouts
    cdef tuple made
    cdef object results, one
    cdef int i
    if not plan.several:
        results = _made(layout)
    else:
        made = PyTuple_New(plan.nresults)
        for i in range(plan.nresults):
            one = _made(&layout[i])
            Py_INCREF(one)
            PyTuple_SET_ITEM(made, i, one)
        results = made
    run_plan_into(plan, values, n, results)
    return results


def run_over(Plan plan not None, tuple arguments not None):
    """Runs a plan with the result in the first argument's memory.

    Not if that lies otherwise, or meets others.
    """
    cdef ndarray target = arguments[0]
    cdef Layout* layout = plan.layouts
    cdef PyObject* values[FEW]
    cdef int d, n = len(arguments)
    if not plan.run_object[1] or n > FEW:
        return False
    for d in range(n):
        values[d] = PyTuple_GET_ITEM(arguments, d)
    if not PyArray_ISBEHAVED(target) or not (layout.ordered or PyArray_IS_C_CONTIGUOUS(target)):
        return False
    for d in range(layout.nd):
        if layout.ordered and layout.dims[d] != 1 and layout.strides[d] != PyArray_STRIDES(target)[d]:
            return False
    for d in range(1, n):
        if _meets(target, <object>values[d]):
            return False
    run_plan_into(plan, values, n, target, True)  # which may refuse only before it has written anything
    return True


cdef bint _meets(ndarray target, object x):
    """Whether an argument's memory may be in part that of the target."""
    cdef char* ends[4]
    if isinstance(x, ndarray):
        _ends(target, ends)
        _ends(<ndarray>x, ends + 2)
        return ends[0] < ends[3] and ends[2] < ends[1]
    if type(x) is list or type(x) is tuple:
        for item in x:
            if _meets(target, item):
                return True
    return False


cdef void _ends(ndarray a, char** ends) noexcept:
    """Where the memory of an array begins and ends."""
    cdef int d
    cdef npy_intp reach
    ends[0] = ends[1] = <char*>PyArray_DATA(a)
    for d in range(PyArray_NDIM(a)):
        if not PyArray_DIMS(a)[d]:
            ends[1] = ends[0]
            return
        reach = (PyArray_DIMS(a)[d] - 1) * PyArray_STRIDES(a)[d]
        ends[0 if reach < 0 else 1] += reach
    ends[1] += PyArray_ITEMSIZE(a)


cdef bint makes(Plan plan, ndarray a) except -1:
    """Whether the one result of a plan lies in memory as this array does, which is contiguous."""
    cdef Layout* layout = plan.layouts
    cdef int d
    if plan.several or layout.code != code_of(a) or layout.nd != PyArray_NDIM(a) or (
            not PyArray_IS_C_CONTIGUOUS(a)):
        return False
    for d in range(layout.nd):
        if layout.dims[d] != PyArray_DIMS(a)[d]:
            return False
    return True


cdef int run_plan_into(Plan plan, PyObject** values, int n, object results, bint whole=False) except -1:
    """Runs a plan into given arrays like its results; `whole` on one thread."""
    cdef char* few[FEW]
    cdef double near[NEAR]
    cdef char** data = few
    cdef char* scratch = <char*>near
    cdef int count = _gather_all(few, FEW, values, n, results), status
    if plan.scratch > NEAR * <int64_t>sizeof(double):
        scratch = <char*>malloc(plan.scratch)
        if scratch == NULL:
            raise MemoryError
    if count > FEW:
        data = <char**>malloc(count * sizeof(char*))
        _gather_all(data, count, values, n, results)
    if plan.long_work:
        with nogil:
            status = cut(plan.run, plan.geometry, data, plan.parts, scratch, plan.scratch,
                         0 if whole else plan.work)
    else:
        status = plan.run(plan.geometry, data, 0, plan.parts, scratch)
    if scratch != <char*>near:
        free(scratch)
    if data != few:
        free(data)
    if status:
        error = plan.refuse(status, *[<object>values[i] for i in range(n)])
        if error is not None:
            raise error
    if _loops.taps:
        tell((plan, tuple([<object>values[i] for i in range(n)]), results))
    return 0


cdef ndarray see(Plan plan, int i, ndarray a):
    """The view that result `i` of a plan is of an array."""
    cdef Layout* layout = &plan.layouts[i]
    return view_of(a, layout.code, layout.nd, layout.dims, layout.strides, layout.offset)


def views_of(object owner, object prepare, tuple arguments):
    """The view or views that a view op's `prepare` says, tensors given as arrays."""
    cdef PyObject* values[FEW]
    cdef int i
    for i in range(len(arguments)):
        values[i] = <PyObject*>arguments[i]
    cdef Plan plan = find_plan(owner, prepare, values, len(arguments))
    made = tuple([see(plan, i, arguments[0]) for i in range(plan.nresults)])
    return made if plan.several else made[0]


# ----------------------------------------------------------------------------------- for the tests

def use_plans(bint use):
    """Turns plans on or off; what was before."""
    global USE_PLANS
    before = USE_PLANS
    USE_PLANS = use
    return before


def set_long_work(int64_t elements):
    """From how much work on the GIL is let go, and threads may share it; what it was. Forgets all plans."""
    global LONG_WORK
    before = LONG_WORK
    LONG_WORK = elements
    empty_table(&plans)
    return before


def count_plans():
    """How many plans are kept, and how many there may be."""
    return plans.used, MOST_ENTRIES


def run_into(op, tuple arguments, tuple results):
    """Runs the op's plan for these arguments, tensors as arrays, into given arrays like its results."""
    cdef PyObject* values[FEW]
    cdef int i
    for i in range(len(arguments)):
        values[i] = <PyObject*>arguments[i]
    cdef Plan plan = find_plan(op, op.prepare_rule, values, len(arguments))
    if plan.run == NULL:
        return None
    run_plan_into(plan, values, len(arguments), results)
    return plan
