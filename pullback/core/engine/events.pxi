# Events: what a profiler notes of ops, composites, nodes of backward passes and marked ranges, and of memory.
#
# While `profiling` is not zero, an op goes by way of `profiled_op`, which notes when it began and ended in a
# record of events.h and lets `apply` do it: so for a composite or a quick way (`profiled_call`), a step of a
# tape (`profiled_step` in tapes.pxi), a node (`Task.run_noted`) and a `Range` of the user's. `begins_here` is
# what keeps each from being noted twice. Names, shapes and sums are made of the records in Python, once they
# are asked for (`take_events`); what else is to be known of a call is asked while it runs, where a profiler
# wants it (`_describe`). All threads note into one log: who notes holds the GIL.
#
# Memory is noted where tensors are made and go (`note_memory`, `let_go`), each array once however many
# tensors share it; arrays that kernels make for themselves are not seen.
#
# From other parts: as_tuple, call_function, Function, Op, _IN_PLACE (op.pxi); Link, live_tensors, Node,
# sequence, NODE_ACCUMULATE, NODE_OP (nodes.pxi); _basic, _ops, Tensor (tensor.pxi); apply (dispatch.pxi);
# indexed_view, write_indexed (inplace.pxi); unsure (tapes.pxi); unfollowed (gradients.pxi); link_of_tensor
# (collector.pxi); pb_thread (_engine.pyx).

cdef extern from "pullback/core/engine/events.h":
    ctypedef struct pb_event:
        uint64_t start, end, number
        PyObject* what
        PyObject* detail
        int64_t bytes
        int32_t outer
        uint32_t thread
        uint8_t kind, backward, in_place
    ctypedef struct Log:
        pb_event* all
        int64_t count
        uint32_t generation
        int even
    Log pb_log
    int profiling "PB_PROFILING"    # what is noted, 0 for nothing
    int pb_profiling                # the same, to be set
    uint64_t pb_now() noexcept
    uint64_t pb_nanoseconds() noexcept
    void pb_choose_clock() noexcept
    int32_t pb_begin(PyObject* what, int kind, int backward, int32_t outer, uint32_t thread) noexcept
    void pb_forget_events(int64_t start) noexcept

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_native_id()

pb_choose_clock()

cdef enum EventKind:
    EVENT_OP, EVENT_CALL, EVENT_NODE, EVENT_RANGE, EVENT_MEMORY

cdef enum:                  # what `profiling` may have
    NOTES = 1               # anything
    NOTES_MEMORY = 2
    NOTES_DETAILS = 4       # asks `_describe` of each call

cdef int profilers = 0      # how many are at work
cdef object _describe = None
cdef dict held_arrays = {}  # bytes of arrays that are known, by their addresses

cdef struct Around:         # an event under way
    int32_t place, outer
    uint32_t generation
    unsigned long long made   # the number of the last node before


cdef inline bint begins_here() noexcept:
    """Whether what is called is still to be noted: not if `profiled_op` or its like call it."""
    if pb_thread.noted:
        pb_thread.noted = 0
        return False
    return True


cdef void begin_event(Around* around, PyObject* what, int kind) noexcept:
    if pb_thread.number == 0:
        pb_thread.number = <unsigned int>PyThread_get_thread_native_id()
    if pb_thread.generation != pb_log.generation:   # what is open is of a profile that has ended
        pb_thread.event, pb_thread.generation = -1, pb_log.generation
    around.outer, around.generation, around.made = pb_thread.event, pb_log.generation, sequence
    around.place = pb_begin(what, kind, pb_thread.task != NULL, pb_thread.event, pb_thread.number)
    if around.place >= 0:
        pb_thread.event = around.place


cdef inline void end_event(Around* around) noexcept:
    if around.place >= 0 and around.generation == pb_log.generation:
        pb_log.all[around.place].end = pb_now()
        pb_thread.event = around.outer


cdef inline bint is_known(Around* around) noexcept:
    return around.place >= 0 and around.generation == pb_log.generation


cdef bint forget_alone(Around* around) noexcept:
    """Forgets an event, unless others were noted since."""
    if not is_known(around) or pb_log.count != around.place + 1:
        return False
    pb_forget_events(around.place)
    return True


cdef int note_result(Around* around, object result) except -1:
    """Notes which node an op made."""
    cdef Tensor t = None
    if type(result) is Tensor:
        t = <Tensor>result
    elif type(result) is tuple and PyTuple_GET_SIZE(result) and type((<tuple>result)[0]) is Tensor:
        t = <Tensor>(<tuple>result)[0]
    if t is not None and t.node is not None and t.node.seq > around.made and is_known(around):
        pb_log.all[around.place].number = t.node.seq
    return 0


cdef int note_details(Around* around, object what, tuple args, object result) except -1:
    """Notes what the profiler wants to know of a call that has ended."""
    detail = _describe(what, args, result)
    if detail is not None and is_known(around) and pb_log.all[around.place].detail == NULL:
        Py_INCREF(detail)
        pb_log.all[around.place].detail = <PyObject*>detail
    return 0


cdef object profiled_op(Op op, PyObject** argv, object out):
    """An op, noted."""
    cdef Around around
    begin_event(&around, <PyObject*>op, EVENT_OP)
    if out is _IN_PLACE and around.place >= 0:
        pb_log.all[around.place].in_place = 1
    pb_thread.noted = 1
    try:
        result = apply(op, argv, out)
    finally:
        end_event(&around)
    note_result(&around, result)
    if profiling & NOTES_DETAILS:
        note_details(&around, op, as_tuple(argv, op.nparams), result)
    return result


cdef inline bint is_noted(Function function) noexcept:
    """Whether calls of a function are noted: those of an op alone are, as the op."""
    return function.composite or function.quick != NULL


cdef object profiled_call(Function function, PyObject** args, size_t nargsf, PyObject* names):
    """A call of a composite, or one by a quick way, noted if it gives tensors or does ops."""
    cdef Around around
    begin_event(&around, <PyObject*>function, EVENT_CALL)
    pb_thread.noted = 1
    try:
        result = call_function(function, args, nargsf, names)
    finally:
        end_event(&around)
    if not (isinstance(result, Tensor) or type(result) is tuple or type(result) is list) and (
            forget_alone(&around)):
        return result
    note_result(&around, result)
    if profiling & NOTES_DETAILS:
        note_details(&around, function, as_tuple(args, PyVectorcall_NARGS(nargsf)), result)
    return result


cdef object profiled_item(Tensor x, object key):
    """`x[key]`, noted."""
    cdef Around around
    if type(x) is Tensor and unfollowed():
        begin_event(&around, <PyObject*>(_SELECTS if type(key) is int else _SLICES), EVENT_OP)
        try:
            seen = indexed_view(x, key)
        finally:
            end_event(&around)
        if seen is not None:
            note_result(&around, seen)
            if profiling & NOTES_DETAILS:
                note_details(&around, _basic, (x, key), seen)
            return seen
        forget_alone(&around)
    return _ops.getitem(x, key)


cdef int profiled_write(Tensor x, object key, object value) except -1:
    """`x[key] = value`, noted."""
    cdef Around around
    cdef bint done = False
    if type(x) is Tensor and unfollowed():
        begin_event(&around, <PyObject*>(_COPIES if isinstance(value, Tensor) else _FILLS), EVENT_OP)
        try:
            done = write_indexed(x, key, value)
        finally:
            end_event(&around)
        if done:
            if profiling & NOTES_DETAILS:
                note_details(&around, _basic, (x, key, value), x)
            return 0
        forget_alone(&around)
    _ops.setitem(x, key, value)
    return 0


cdef str _COPIES = "aten::copy_", _FILLS = "aten::fill_"
cdef str _SELECTS = "aten::select", _SLICES = "aten::slice"


cdef object noted_name(Node node):
    """By what a node is noted: its op, if that has the name, or the name."""
    if node.kind == NODE_ACCUMULATE:
        return _ACCUMULATES
    if node.kind == NODE_OP and node.op.name_rule is None and (
            not node.written or node.op.written_name is None):
        return node.op
    return node.name()


cdef str _ACCUMULATES = "torch::autograd::AccumulateGrad"


cdef class Range:
    """A part of a program that is noted while a profiler is at work. A context manager."""

    cdef readonly str name
    cdef bint own
    cdef Around around

    def __init__(self, str name, bint own=False):
        self.name, self.own = name, own   # one of our own is noted as an op
        self.around.place = -1

    def __enter__(self):
        self.around.place = -1
        if profiling:
            begin_event(&self.around, <PyObject*>self.name, EVENT_OP if self.own else EVENT_RANGE)
            if profiling & NOTES_DETAILS:
                note_details(&self.around, self, (), None)
        return self

    def __exit__(self, *exc):
        end_event(&self.around)
        self.around.place = -1


# ------------------------------------------------------------------------------------------- memory

cdef int note_memory(ndarray a) noexcept:
    """Notes an array of a new tensor, if no other tensor has it and the memory is its own."""
    cdef object key = <size_t><PyObject*>a, known
    if a is None or not PyArray_CHKFLAGS(a, NPY_ARRAY_OWNDATA):
        return 0
    known = held_arrays.get(key)
    if known is not None:
        if known == PyArray_NBYTES(a):
            return 0
        note_bytes(-<int64_t>known)   # it went by another way, and this is one at its address
    held_arrays[key] = PyArray_NBYTES(a)
    note_bytes(PyArray_NBYTES(a))
    return 0


cdef int note_freed(ndarray a) noexcept:
    """Notes that an array, whose last reference the caller has, goes, and what only it is a view of."""
    cdef PyObject* base = PyArray_BASE(a)
    if base != NULL and type(<object>base) is ndarray and Py_REFCNT(base) == 1:
        note_freed(<ndarray>base)
    size = held_arrays.pop(<size_t><PyObject*>a, None)
    if size is not None:
        note_bytes(-<int64_t>size)
    return 0


cdef void note_bytes(int64_t bytes) noexcept:
    cdef Around around
    begin_event(&around, <PyObject*>_MEMORY, EVENT_MEMORY)
    if around.place >= 0:
        pb_log.all[around.place].bytes = bytes
        end_event(&around)


cdef str _MEMORY = "[memory]"


cdef inline void let_go(ndarray a) noexcept:
    """Gives back an array, to which the caller has the only reference."""
    if profiling & NOTES_MEMORY:
        note_freed(a)
    recycle(a)


# -------------------------------------------------------------------------------- for the profilers

def start_events(bint memory=False, describe=None):
    """Begins to note; returns the place of the first event, which `take_events` wants.

    `describe(what, args, result)` is called for each op, composite and node; what it returns stands with
    the event.
    """
    global pb_profiling, profilers, _describe
    unsure("a profiler")
    profilers += 1
    pb_profiling |= NOTES | (NOTES_MEMORY if memory else 0) | (NOTES_DETAILS if describe is not None else 0)
    if describe is not None:
        _describe = describe
    if memory and not held_arrays:
        note_held()
    return pb_log.count


cdef int note_held() except -1:
    """The arrays of all live tensors are known: that they go is noted."""
    cdef Link* link = live_tensors.next
    cdef Tensor t
    while link != &live_tensors:
        t = <Tensor><PyObject*>(<char*>link - link_of_tensor)
        if t.array is not None and PyArray_CHKFLAGS(t.array, NPY_ARRAY_OWNDATA):
            held_arrays[<size_t><PyObject*>t.array] = PyArray_NBYTES(t.array)
        link = link.next
    return 0


def stop_events():
    """Ends what `start_events` began; what was noted stays until `take_events`."""
    global pb_profiling, profilers, _describe
    profilers -= 1
    if profilers == 0:
        pb_profiling, _describe = 0, None
        held_arrays.clear()


def take_events(int64_t place):
    """What was noted from a place on, a tuple each: (kind, what, detail, start, end, number, bytes, place of
    the one around, thread, in a backward pass?, in place?). Times are in ticks of `clock`.

    Once no profiler is at work all is forgotten.
    """
    cdef list found = []
    cdef int64_t i
    cdef pb_event* e
    for i in range(place, pb_log.count):
        e = &pb_log.all[i]
        found.append((KINDS_OF_EVENTS[e.kind], <object>e.what, None if e.detail == NULL else <object>e.detail,
                      e.start, e.end, e.number, e.bytes, max(e.outer - place, -1), e.thread, bool(e.backward),
                      bool(e.in_place)))
    if profilers == 0:
        pb_forget_events(0)
    return found


KINDS_OF_EVENTS = ("op", "call", "node", "range", "memory")


def clock():
    """The time now: in the ticks of events, and in nanoseconds."""
    return pb_now(), pb_nanoseconds()


def is_profiling():
    """Whether anything is noted."""
    return profiling != 0
