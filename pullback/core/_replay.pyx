# cython: allow_none_for_extension_args=False
"""Replays: loops and runs of plans, done again one after another on memory that was planned once.

A `Replay` is what is left of a recording (pullback/compiler/) when all decisions are taken. It knows

    memories    blocks of bytes: the caller's arrays, constants, parts of one block of its own, and new ones
    values      how something lies in a memory: offset, dtype, shape, strides
    acts        what is done: NumPy's inner loops on pointers, runs of plans on pointers; and, slower, calls
                of Python functions on arrays

`begin` says where the memories are this time, `run` does the acts, `array` gives a value as an array, `end`
lets go of all. Between `begin` and `end` a replay is busy: it has one set of memory. Read `_do`.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_CopyInto, PyArray_DATA, PyArray_DIMS, PyArray_NDIM,
    PyArray_STRIDES,
)

import_array()

from pullback.core._loops cimport (
    Loops, Number, code_of, empty, pointwise, view_of,
)
from pullback.core._plans cimport Plan, run_plan_into
from pullback.core._pool cimport cut
from pullback.core.dtypes import DTYPES

cdef extern from "pullback/core/loops/chains.h":
    int pb_chain(const int64_t*, char**, int64_t, int64_t, char*) noexcept nogil
    enum:
        PB_CHAIN_HEAD
        PB_CHAIN_LOOP
        PB_CHAIN_RUN
        PB_CHAIN_SPREAD
        PB_LINE_OPERANDS

cdef enum:
    MOST_OPERANDS = 256    # of an act; a chain has the most
    LONG_LINE = 32768       # elements, from which on a loop goes the way that lets go of the GIL


@cython.final
cdef class Ref:
    """A value as it stands among the arguments of an act."""

    cdef readonly int index

    def __init__(self, int index):
        self.index = index

    def __repr__(self):
        return f"%{self.index}"


class Misfit(Exception):
    """What a call gave lies otherwise than when it was recorded."""


@cython.final
cdef class Replay:
    """Acts on values in memories.

    `memories` are pairs: ("given", place), ("kept", array), ("work", offset), ("fresh", value), ("found",
    None), ("late", bytes); a fresh one is made for the value that covers it. `values` are (memory, offset,
    code, shape, strides), strides and offset in bytes. `acts` are tuples: ("loop", Loops, code, operands,
    wide, result), an operand the bytes of a number or a value; ("plan", Plan, arguments, results); ("copy",
    source, target);
    ("call", function, arguments, results); ("aside", function, gradients, writes); ("check", value, bytes);
    ("release", found or late memories, values in them), after their last use; ("make", fresh or late
    memories), before their first, without which fresh ones are made at the beginning;
    ("chain", items, slots, elements, elements of a block, bytes of a slot): see `_link`. `size` is that of
    the block of its own.
    """

    def __cinit__(self, list memories, list values, list acts, Py_ssize_t size):
        cdef npy_intp bytes_needed = size
        cdef ndarray block, kept
        cdef int i, d
        self.nmemories, self.nvalues, self.nacts = len(memories), len(values), len(acts)
        self.held, self.fresh, self.passing, self.forms = [], [], [], {}
        cdef set later = {i for act in acts if act[0] == "make" for i in act[1]}
        self.base = <char**>_zeroed(self.nmemories * sizeof(char*))
        self.homes = <Home*>_zeroed(self.nmemories * sizeof(Home))
        self.asked = <bint*>_zeroed(self.nmemories * sizeof(bint))
        self.owners = <PyObject**>_zeroed(self.nmemories * sizeof(PyObject*))
        self.values = <Value*>_zeroed(self.nvalues * sizeof(Value))
        self.arrays = <PyObject**>_zeroed(self.nvalues * sizeof(PyObject*))
        self.acts = <Act*>_zeroed(self.nacts * sizeof(Act))
        block = empty(1, &bytes_needed, DTYPES_UINT8)
        self.held.append(block)
        for i in range(self.nmemories):
            kind, what = memories[i]
            self.homes[i] = _HOMES[kind]
            if kind == "given":
                self.ngiven += 1
            elif kind == "kept":
                kept = what
                self.own(i, kept)
            elif kind == "work":
                self.own(i, block)
                self.base[i] += <Py_ssize_t>what
            elif kind == "fresh" or kind == "late":
                self.takes_late = self.takes_late or kind == "late"
                self.forms[i] = what
        for i in range(self.nvalues):
            memory, offset, code, shape, strides = values[i]
            self.describe(&self.values[i], memory, offset, code, shape, strides)
            self.asked[memory] = True
            if self.homes[memory] not in (KEPT, WORK):
                self.passing.append(i)
        self.fresh = [i for i in self.forms if i not in later]
        for i in range(self.nacts):
            self.prepare(&self.acts[i], acts[i])
        self.scratch = <char*>_zeroed(self.most_scratch)

    cdef int own(self, int memory, ndarray a) except -1:
        """Has a memory lie in an array."""
        Py_INCREF(a)
        Py_XDECREF(self.owners[memory])
        self.owners[memory] = <PyObject*>a
        self.base[memory] = <char*>PyArray_DATA(a)
        return 0

    cdef int describe(self, Value* v, int memory, Py_ssize_t offset, int code, shape, strides) except -1:
        cdef int d
        cdef npy_intp step = DTYPES[code].itemsize
        v.place.memory, v.place.offset, v.code, v.nd = memory, offset, code, len(shape)
        v.dims = <npy_intp*>_zeroed(2 * v.nd * sizeof(npy_intp))
        v.strides = v.dims + v.nd
        v.contiguous = v.ordinary = True
        for d in range(v.nd - 1, -1, -1):
            v.dims[d], v.strides[d] = shape[d], strides[d]
            v.contiguous = v.contiguous and (v.dims[d] == 1 or v.strides[d] == step)
            v.ordinary = v.ordinary and v.strides[d] == step
            step *= v.dims[d]
        return 0

    cdef int prepare(self, Act* act, tuple spec) except -1:
        """Sets how an act is done."""
        self.held.append(spec)
        act.what = <PyObject*>spec
        kind = spec[0]
        if kind == "loop":
            if not self.line_up(act, spec):
                act.kind = LOOP
        elif kind == "plan":
            if not self.point_out(act, spec):
                act.kind = PLAN
        elif kind == "chain":
            _link(self, act, spec)
        elif kind == "check":
            self.room(act, 1)
            act.kind, act.places[0], act.data = CHECK, self.values[<int>spec[1]].place, <char*><bytes>spec[2]
            act.size = len(spec[2])
        else:
            act.kind = {"copy": COPY, "call": CALL, "make": CALL, "release": CALL, "aside": ASIDE}[kind]
        return 0

    cdef bint line_up(self, Act* act, tuple spec) except -1:
        """Sets an act to one run of a loop over pointers; False if the operands do not lie so."""
        cdef Loops table = spec[1]
        cdef int code = spec[2], i, n = len(spec[3])
        cdef Value* out = &self.values[<int>spec[5]]
        cdef Value* v
        cdef npy_intp size = 1, item
        if spec[4] or not out.contiguous or table.out_code[code] != out.code:
            return False
        for i in range(out.nd):
            size *= out.dims[i]
        if size > LONG_LINE or size == 0:
            return False
        self.room(act, n + 1)
        act.size, act.fn, act.data, act.kind = size, table.fn[code], table.data[code], LINE
        for i in range(n):
            x = spec[3][i]
            if isinstance(x, bytes):
                act.places[i].memory = -1
                act.places[i].offset = <npy_intp><char*>x   # lives as long as the spec
                continue
            v = &self.values[<int>x]
            act.places[i] = v.place
            item = DTYPES[v.code].itemsize
            if _is_single(v) and (v.nd == 0 or size > 1):
                act.steps[i] = 0
                if v.place.memory == out.place.memory and size > 1:
                    return False
                continue
            if not v.contiguous or v.nd != out.nd:
                return False
            for d in range(v.nd):
                if v.dims[d] != out.dims[d]:
                    return False
            act.steps[i] = item
            if v.place.memory == out.place.memory and v.place.offset != out.place.offset and (
                    v.place.offset < out.place.offset + size * <npy_intp>DTYPES[out.code].itemsize
                    and out.place.offset < v.place.offset + size * item):
                return False
        act.places[n] = out.place
        act.steps[n] = DTYPES[out.code].itemsize
        return True

    cdef bint point_out(self, Act* act, tuple spec) except -1:
        """Sets an act to the run of a plan on pointers; False if there are too many."""
        cdef Plan plan = spec[1]
        cdef list found = []
        cdef int i
        _refs(spec[2], found)
        found += spec[3]
        if len(found) > MOST_OPERANDS:
            return False
        self.room(act, len(found))
        for i in range(act.n):
            act.places[i] = self.values[<int>found[i]].place
        act.kind = PLAN if plan.long_work else RUN
        act.run, act.geometry, act.parts = plan.run, plan.geometry, plan.parts
        act.scratch, act.work = plan.scratch, plan.work
        if not plan.long_work:
            self.most_scratch = max(self.most_scratch, plan.scratch)
        return True

    cdef int room(self, Act* act, int n) except -1:
        act.n = n
        act.places = <Place*>_zeroed(n * sizeof(Place))
        act.steps = <npy_intp*>_zeroed(n * sizeof(npy_intp))
        return 0

    def __dealloc__(self):
        cdef int i
        for i in range(self.nmemories):
            Py_XDECREF(self.owners[i])
        for i in range(self.nvalues):
            Py_XDECREF(self.arrays[i])
            PyMem_Free(self.values[i].dims)
        for i in range(self.nacts):
            PyMem_Free(self.acts[i].places)
            PyMem_Free(self.acts[i].steps)
        PyMem_Free(self.base)
        PyMem_Free(self.homes)
        PyMem_Free(self.asked)
        PyMem_Free(self.owners)
        PyMem_Free(self.values)
        PyMem_Free(self.arrays)
        PyMem_Free(self.acts)
        PyMem_Free(self.scratch)

    # --------------------------------------------------------------------------------------- runs

    cdef int begin(self, PyObject** given) except -1:
        """Takes the caller's arrays, in the order of the memories that are given, and makes new ones."""
        cdef int i, k = 0
        self.busy = True
        for i in range(self.nmemories):
            if self.homes[i] == GIVEN:
                if self.asked[i]:   # what nobody asks for may go meanwhile
                    self.own(i, <ndarray>given[k])
                k += 1
        for i in self.fresh:
            self.make(i)
        return 0

    cdef int make(self, int memory) except -1:
        """Takes new memory."""
        cdef npy_intp size = self.forms[memory]
        cdef Value* v
        cdef int d
        if self.homes[memory] == LATE:
            return self.own(memory, empty(1, &size, DTYPES_UINT8))
        v = &self.values[size]
        if v.ordinary:
            return self.own(memory, empty(v.nd, v.dims, v.code))
        size = 1
        for d in range(v.nd):
            size *= v.dims[d]
        return self.own(memory, empty(1, &size, v.code))

    cdef void end(self) noexcept:
        """Lets go of what is the caller's."""
        cdef int i
        for v in self.passing:
            i = <int>v
            Py_XDECREF(self.arrays[i])
            self.arrays[i] = NULL
        for i in range(self.nmemories):
            if self.homes[i] != KEPT and self.homes[i] != WORK:
                Py_XDECREF(self.owners[i])
                self.owners[i] = NULL
        self.busy = False

    cdef ndarray array(self, int v):
        """A value as an array; of the caller's or of new memory it is theirs."""
        cdef Value* value = &self.values[v]
        cdef ndarray owner, found
        if self.arrays[v] != NULL:
            return <ndarray>self.arrays[v]
        owner = <ndarray>self.owners[value.place.memory]
        if (value.place.offset == 0 and self.homes[value.place.memory] != WORK
                and _lies_so(owner, value, True)):
            found = owner
        else:
            found = view_of(owner, value.code, value.nd, value.dims, value.strides,
                            self.base[value.place.memory] - <char*>PyArray_DATA(owner) + value.place.offset)
        Py_INCREF(found)
        self.arrays[v] = <PyObject*>found
        return found

    cdef bint run(self) except -1:
        """Does the acts; False if a number that is checked is another one."""
        cdef char* data[MOST_OPERANDS]
        cdef Act* act
        cdef Place* place
        cdef int i, k, status
        for i in range(self.nacts):
            act = &self.acts[i]
            self.at = i
            if act.kind == LINE or act.kind == RUN:
                for k in range(act.n):
                    place = &act.places[k]
                    data[k] = (<char*>place.offset if place.memory < 0 else
                               self.base[place.memory] + place.offset)
                if act.kind == LINE:
                    act.fn(data, &act.size, act.steps, act.data)
                    continue
                status = act.run(act.geometry, data, 0, act.parts, self.scratch)
                if status:
                    self.refuse(<tuple>act.what, status)
            elif act.kind == CHECK:
                place = act.places
                if memcmp(self.base[place.memory] + place.offset, <char*>act.data, act.size):
                    return False
            else:
                self._do(act)
        return True

    cdef int refuse(self, tuple spec, int status) except -1:
        """Raises what a plan says of a status."""
        cdef Plan plan = spec[1]
        error = plan.refuse(status, *[self.argument(x) for x in spec[2]])
        if error is not None:
            raise error
        return 0

    cdef object argument(self, object x):
        """An argument with arrays for values."""
        if type(x) is Ref:
            return self.array((<Ref>x).index)
        if type(x) is list or type(x) is tuple:
            return type(x)([self.argument(item) for item in x])
        return x

    cdef int _do(self, Act* act) except -1:
        """Does an act on arrays."""
        cdef PyObject* values[MOST_OPERANDS]
        cdef Number numbers[MOST_OPERANDS]
        cdef char* data[MOST_OPERANDS]
        cdef Place* place
        cdef tuple spec = <tuple>act.what, operands, results
        cdef list kept = []
        cdef char* scratch
        cdef int i, v, status
        cdef ndarray found
        if act.kind == LOOP:
            operands = <tuple>spec[3]
            for i in range(len(operands)):
                x = operands[i]
                if isinstance(x, bytes):
                    values[i] = NULL
                    memcpy(&numbers[i], <char*><bytes>x, sizeof(Number))
                else:
                    found = self.array(x)
                    values[i] = <PyObject*>found
                    kept.append(found)
            pointwise(<Loops>spec[1], spec[2], len(operands), values, numbers, self.array(spec[5]), spec[4])
        elif act.kind == PLAN and act.n:
            for i in range(act.n):
                place = &act.places[i]
                data[i] = <char*>place.offset if place.memory < 0 else self.base[place.memory] + place.offset
            scratch = <char*>malloc(act.scratch + 1)
            if scratch == NULL:
                raise MemoryError
            with nogil:
                status = cut(act.run, act.geometry, data, act.parts, scratch, act.scratch, act.work)
            free(scratch)
            if status:
                self.refuse(spec, status)
        elif act.kind == PLAN:
            operands = self.argument(spec[2])
            for i in range(len(operands)):
                values[i] = <PyObject*>operands[i]
            run_plan_into(<Plan>spec[1], values, len(operands), tuple([self.array(v) for v in spec[3]]))
        elif act.kind == COPY:
            PyArray_CopyInto(self.array(spec[2]), self.array(spec[1]))
        elif act.kind == ASIDE:
            self.helper.aside(*spec[1:])
        elif spec[0] == "make":
            for i in spec[1]:
                self.make(i)
        elif spec[0] == "release":
            for i in spec[2]:
                Py_XDECREF(self.arrays[i])
                self.arrays[i] = NULL
            for i in spec[1]:
                Py_XDECREF(self.owners[i])
                self.owners[i] = NULL
        else:
            made = spec[1](*self.argument(spec[2]))
            results = made if type(made) is tuple else (made,)
            if len(results) != len(spec[3]):
                raise Misfit
            for i in range(len(results)):
                v = spec[3][i]
                if v < 0:
                    continue
                found = results[i]
                if not _lies_so(found, &self.values[v], False):
                    raise Misfit
                self.own(self.values[v].place.memory, found)
        return 0

    # -------------------------------------------------------------------------------- from Python

    def chains(self):
        """The places and the specs of the acts that are chains."""
        cdef int i
        found = [(i, <object>self.acts[i].what) for i in range(self.nacts)]
        return [(place, spec) for place, spec in found if spec[0] == "chain"]

    def is_single(self, int v):
        """Whether all elements of a value are one in memory."""
        return _is_single(&self.values[v])

    def exchange(self, int place, tuple spec):
        """Has a chain be done as another spec says; False, and nothing is done, while it may be running."""
        cdef Act* act = &self.acts[place]
        cdef Act made
        if self.busy:
            return False
        memset(&made, 0, sizeof(Act))
        made.what = <PyObject*>spec
        self.held.append(spec)
        _link(self, &made, spec)
        PyMem_Free(act.places)
        PyMem_Free(act.steps)
        act[0] = made
        return True

    def __call__(self, list given, list wanted):
        """Runs on arrays, and gives some values as arrays."""
        cdef PyObject* arrays[256]
        cdef int i
        if self.busy or len(given) != self.ngiven or self.ngiven > 256:
            raise RuntimeError("a replay that is busy, or of other inputs")
        for i in range(self.ngiven):
            arrays[i] = <PyObject*>given[i]
        self.begin(arrays)
        try:
            if not self.run():
                raise Misfit
            return [self.array(<int>v) for v in wanted]
        finally:
            self.end()


cdef int _link(Replay self, Act* act, tuple spec) except -1:
    """Sets an act to a chain: ("loop", Loops, code, operands, result), ("run", Plan for a block, Plan for the
    last one, operands, result), ("spread", value, slot) or ("native", address of a loop, what owns its code,
    operands and results). An operand is the bytes of a number, a value, or a slot: (slot, itemsize).
    """
    cdef list items = spec[1]
    cdef int slots = spec[2]
    cdef npy_intp size = spec[3], block = spec[4], room = spec[5]
    cdef dict places = {}
    cdef Loops table
    cdef Plan whole, rest
    cdef Value* v
    cdef list words = [len(items), size, block, room]
    cdef int64_t* word
    cdef int64_t most = 0
    cdef int i
    for item in items:
        for x in _mentioned(item):
            if type(x) is not tuple:
                places.setdefault(x, len(places))
    self.room(act, len(places))
    for x, i in places.items():
        if type(x) is bytes:
            act.places[i].memory, act.places[i].offset = -1, <npy_intp><char*><bytes>x
        else:
            act.places[i] = self.values[<int>x].place
    for item in items:
        if item[0] == "spread":
            v = &self.values[<int>item[1]]
            words += [PB_CHAIN_SPREAD, places[item[1]], -1 - <int>item[2][0], DTYPES[v.code].itemsize, v.nd]
            words += [v.dims[i] for i in range(v.nd)]
            words += [v.strides[i] for i in range(v.nd)]
            continue
        if item[0] == "loop":
            table = item[1]
            words += [PB_CHAIN_LOOP, <int64_t>table.fn[<int>item[2]], <int64_t>table.data[<int>item[2]]]
        elif item[0] == "native":
            words += [PB_CHAIN_LOOP, item[1], 0]
        else:
            whole, rest = item[1], item[2]
            words += [PB_CHAIN_RUN, <int64_t>whole.run, <int64_t>whole.geometry, whole.parts,
                      <int64_t>rest.geometry, rest.parts, slots * room]
            most = max(most, whole.scratch, rest.scratch)
        words.append(len(_mentioned(item)))
        for x in _mentioned(item):
            if type(x) is bytes:
                words += [places[x], 0]
            elif type(x) is tuple:
                words += [-1 - <int>x[0], x[1]]
            else:
                v = &self.values[<int>x]
                words += [places[x], 0 if _is_single(v) and size > 1 else DTYPES[v.code].itemsize]
    word = act.geometry = <int64_t*>_zeroed(len(words) * sizeof(int64_t))
    self.held.append(_Block.around(word))
    for i in range(len(words)):
        word[i] = words[i]
    act.kind, act.run, act.size = (RUN if size <= LONG_LINE else PLAN), pb_chain, size
    act.parts = (size + block - 1) // block
    act.scratch, act.work = slots * room + most, size * len(items)
    if act.kind == RUN:
        self.most_scratch = max(self.most_scratch, act.scratch)
    return 0


cdef tuple _mentioned(tuple item):
    """The operands of an item of a chain, then its result."""
    if item[0] == "spread":
        return item[1:2]
    return item[3] if item[0] == "native" else (*item[3], item[4])


cdef bint _is_single(Value* v) noexcept:
    """Whether all elements of a value are one in memory."""
    cdef int d
    for d in range(v.nd):
        if v.dims[d] != 1 and v.strides[d] != 0:
            return False
    return True


@cython.final
cdef class _Block:
    """Memory that is freed with this."""

    cdef void* start

    @staticmethod
    cdef _Block around(void* start):
        cdef _Block made = _Block.__new__(_Block)
        made.start = start
        return made

    def __dealloc__(self):
        PyMem_Free(self.start)


cdef dict _HOMES = {"given": GIVEN, "kept": KEPT, "work": WORK, "fresh": FRESH, "found": FOUND, "late": LATE}
cdef int DTYPES_UINT8 = [d.name for d in DTYPES].index("uint8")


cdef void* _zeroed(size_t size) except NULL:
    cdef void* found = PyMem_Malloc(size + 16)
    if found == NULL:
        raise MemoryError
    memset(found, 0, size + 16)
    return found


cdef bint _lies_so(ndarray a, Value* v, bint exactly) except -1:
    """Whether an array has the dtype, shape and strides of a value; `exactly` those of dims of one, too."""
    cdef int d
    if PyArray_NDIM(a) != v.nd or code_of(a) != v.code:
        return False
    for d in range(v.nd):
        if PyArray_DIMS(a)[d] != v.dims[d] or (
                (exactly or v.dims[d] != 1) and PyArray_STRIDES(a)[d] != v.strides[d]):
            return False
    return True


cdef int _refs(object x, list found) except -1:
    """The values among arguments, in the order in which runs get them."""
    if type(x) is Ref:
        found.append((<Ref>x).index)
    elif type(x) is list or type(x) is tuple:
        for item in x:
            _refs(item, found)
    return 0
