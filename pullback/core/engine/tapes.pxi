# Tapes: what a Python function of ops did for one signature, done again without Python.
#
# A derivative rule and a composite are the same thing: a Python function of tensors and parameters that only
# calls ops. So is what transforms make of an op: the ops that are left below all levels, on what stand-ins
# stand for; tangents that hang on tensors are inputs, and results, too. `by_tape` stands before all three. It
# writes the signature of the call into a key and asks the table. When a signature comes for the second time,
# the function is recorded: a `Recorder` on the thread notes each op that `apply` does (`recorded`), over
# numbered slots. If all that the function did is known to follow from the signature, the steps are kept as a
# `Tape`, and `run_tape` runs them from then on, through the same `compute_pointwise`, `run_plan`, `compute`
# and `finished` as `apply`: so results, views, saved values and nodes are those of the function.
#
# What a function may not do, or it is left to Python (`Recorder.reason` says why):
# - look at numbers, at history or at what else of a tensor is not in the key: the doors to it say `unsure`;
# - use a tensor that is no input, no result of a step and not made on the way. One that is made on the way
#   (zeros, an index) follows from the signature: it is made anew, from a copy, at each run;
# - change tensors or modes by other ways than ops, begin a backward pass, enter a transform, warn.
#
# A tape may turn out not to fit: a step raises, or the layout of a result depended on data. Then the function
# itself is run, from its beginning, unless a step was done that cannot be taken back (a write into an input,
# a draw of random numbers); what follows such a step always fits.
#
# Read `Recorder.note`, then `by_tape` and `run_tape`. `PULLBACK_TAPES=0` in the environment leaves everything
# to Python.
#
# From other parts: Op, Tally, as_tuple, _IN_PLACE, MAX_PARAMS (op.pxi); default_float (pointwise.pxi);
# _new_tuple, Tensor, wrap (tensor.pxi); apply, apply_pointwise, arrays_of, compute, finished, is_plain,
# requires (dispatch.pxi); apply_inplace, finished_view, views_by (inplace.pxi); interpreters, level_place,
# processed (levels.pxi); Around, begin_event, begins_here, end_event, note_details, note_result, pb_log,
# profiling, EVENT_OP, NOTES_DETAILS (events.pxi); stand_in (tensor.pxi); tangents_of (custom.pxi); anomaly,
# goes_to_cpu, level_slot, pb_thread, physical_slot, stands_in (_engine.pyx).

cdef bint USE_TAPES = os.environ.get("PULLBACK_TAPES", "1") != "0"

cdef enum:
    MOST_INPUTS = 64
    MOST_STEPS = 200
    MOST_SLOTS = 512
    MOST_CONSTANT = 4096    # bytes of a tensor that is made on the way, unless all elements are equal
    MOST_OVER = 2 * MAX_PARAMS   # slots that a step lets go of; what is more stays to the end
    FEW_REFUSALS = 6        # after which a function that never was recorded is not tried again

cdef enum StepKind:
    STEP_POINTWISE     # an elementwise op
    STEP_PLAN          # an op by its plan
    STEP_VIEW          # a view op, by its plan
    STEP_KERNEL        # an op by its kernel on arrays: the layout of its results is compared
    STEP_DRAW          # the same of random numbers
    STEP_WRITE         # an op in place
    STEP_MAKE          # a tensor made on the way

cdef enum:             # where a parameter comes from, if not from a slot
    CONSTANT = -1
    LISTED = -2


@cython.final
cdef class Form:
    """How a step's result lies in memory."""

    cdef int code, nd
    cdef npy_intp* dims
    cdef npy_intp* strides

    def __dealloc__(self):
        PyMem_Free(self.dims)


cdef Form form_of(ndarray a):
    cdef Form form = Form.__new__(Form)
    form.code, form.nd = code_of(a), PyArray_NDIM(a)
    form.dims = <npy_intp*>PyMem_Malloc((2 * form.nd + 1) * sizeof(npy_intp))
    if form.dims == NULL:
        raise MemoryError()
    form.strides = form.dims + form.nd
    memcpy(form.dims, PyArray_DIMS(a), form.nd * sizeof(npy_intp))
    memcpy(form.strides, PyArray_STRIDES(a), form.nd * sizeof(npy_intp))
    return form


cdef bint has_form(ndarray a, Form form) except -1:
    return (PyArray_NDIM(a) == form.nd and code_of(a) == form.code
            and memcmp(PyArray_DIMS(a), form.dims, form.nd * sizeof(npy_intp)) == 0
            and memcmp(PyArray_STRIDES(a), form.strides, form.nd * sizeof(npy_intp)) == 0)


@cython.final
cdef class Step:
    cdef Op op
    cdef Plan plan
    cdef int kind, first          # its results go to the slots from `first` on
    cdef bint several             # they are a tuple
    cdef bint firm                # it cannot be taken back
    cdef int source[MAX_PARAMS]   # a slot, CONSTANT, or LISTED
    cdef list values              # by parameter: a constant; the items of a list, a slot or a constant each
    cdef list forms               # of the results
    cdef bint listed              # a parameter is a list
    cdef int over[MOST_OVER]      # slots that are not asked for after this step, so many
    cdef int nover


@cython.final
cdef class Item:
    """A part of a list or of what a function returns: what stands in a slot, a constant, or several items."""

    cdef int slot                 # -1 for none
    cdef object constant
    cdef list items
    cdef object kind              # of several items: the class they stand in; of a stand-in: its class
    cdef int place                # of a stand-in: its level, among the active ones; else -1
    cdef int argument             # an input that is returned as it was given, else -1
    cdef list hanging             # (place of a level, Item): tangents that are hung on what is in the slot

    def __cinit__(self):
        self.slot = self.place = self.argument = -1


cdef object given(Item item, PyObject** slots, PyObject** arguments):
    cdef Item part
    cdef object found
    if item.argument >= 0:
        return <object>arguments[item.argument]
    if item.slot >= 0:
        found = <object>slots[item.slot]
        if item.hanging is not None:
            for place, part in item.hanging:
                tangents_of(<Tensor>found, True)[interpreters()[place]] = given(part, slots, arguments)
        return found
    if item.place >= 0:
        return stand_in(item.kind, interpreters()[item.place], given(<Item>item.items[0], slots, arguments))
    if item.items is None:
        return item.constant
    found = [given(part, slots, arguments) for part in item.items]
    return found if item.kind is list else _new_tuple(item.kind, found)


@cython.final
cdef class Tape:
    cdef list steps
    cdef int ninputs, nslots
    cdef Item result
    cdef object function          # and the classes of inputs: alive, since keys have their addresses
    cdef tuple classes


# ---------------------------------------------------------------------------------------- recording

cdef inline int unsure(str what) except -1:
    """Says, to whoever records, that the function does or asks for something that no key has."""
    if pb_thread.recorder != NULL:
        (<Watch>pb_thread.recorder).refuse(what)
    return 0


cdef inline int note_made(Tensor t) except -1:
    """Says that a tensor was made of what is no tensor."""
    if pb_thread.recorder != NULL:
        (<Watch>pb_thread.recorder).note_made(t)
    return 0


def unrecordable(str what):
    """Says that what is done now cannot be done again by a tape: it is more than ops on tensors."""
    unsure(what)


cdef class Watch:
    """What is told of each op that a thread does: a Recorder of tapes, or a Listener."""

    cdef int refuse(self, str what) except -1:
        """Hears that something is done or asked for that is more than ops on tensors."""

    cdef int note_made(self, Tensor t) except -1:
        """Hears of a tensor that is made of what is no tensor."""

    cdef object do(self, Op op, PyObject** argv, object out):
        """Does an op, and notes it."""


@cython.final
cdef class Recorder(Watch):
    """What a function has done so far, while it runs for the first time as one to be recorded."""

    cdef str reason           # why there will be no tape; None as long as there may be one
    cdef list steps
    cdef dict slots           # by the address of a tensor
    cdef int count, ninputs
    cdef list met             # tensors by slot, and how they were then
    cdef list made            # tensors that were made of what is no tensor
    cdef dict arguments       # places of the inputs, by the address of what was given
    cdef bint wrote, firm     # an op was in place; a step cannot be taken back

    def __cinit__(self):
        self.steps, self.slots, self.met, self.made, self.arguments = [], {}, [], [], {}

    cdef int refuse(self, str reason) except -1:
        """There will be no tape: from now on nothing is noted."""
        if self.reason is None:
            self.reason = reason
        if pb_thread.recorder == <void*>self:
            pb_thread.recorder = NULL
        return 0

    cdef int note_made(self, Tensor t) except -1:
        self.made.append(t)
        return 0

    cdef object do(self, Op op, PyObject** argv, object out):
        pb_thread.recorder = NULL   # what it is made of is no step
        try:
            result = apply(op, argv, out)
            if self.reason is None:
                self.note(op, argv, out, result)
            return result
        except BaseException:
            self.refuse("an op that raises")
            raise
        finally:
            pb_thread.recorder = <void*>self if self.reason is None else NULL

    cdef int meet(self, Tensor t) except -1:
        """Gives a tensor the next slot."""
        self.slots[<size_t><PyObject*>t] = self.count
        self.met.append((t, t.array, t.node, t._grad, t.requires))
        self.count += 1
        return self.count - 1

    cdef int slot_of(self, Tensor t) except -2:
        """The slot of a tensor, made if it was made on the way; -1, and a reason, if it is from elsewhere."""
        found = self.slots.get(<size_t><PyObject*>t)
        if found is not None:
            return found
        for x in self.made:
            if x is t:
                return self.make(t)
        self.refuse("a tensor from elsewhere")
        return -1

    cdef int make(self, Tensor t) except -2:
        """A step for a tensor that the function made of what is no tensor."""
        cdef Step step = Step.__new__(Step)
        cdef ndarray a = t.array, kept
        if type(t) is not Tensor or t.meta or t.requires or t.node is not None or t.base is not None:
            self.refuse("a tensor with a history of its own")
            return -1
        for other in self.met:
            if np.may_share_memory(other[1], a):
                self.refuse("a tensor in the memory of another")
                return -1
        if PyArray_SIZE(a) > 1 and PyArray_IS_C_CONTIGUOUS(a) and _uniform(a):
            kept = (<object>a).reshape(-1)[0:1].reshape(()).copy()
        else:
            kept = (<object>a).copy("K")
            alike = (<object>a).strides == (<object>kept).strides
            if PyArray_SIZE(a) * PyArray_ITEMSIZE(a) > MOST_CONSTANT or not alike:
                self.refuse("a large tensor made on the way")
                return -1
        step.kind, step.values, step.forms = STEP_MAKE, [kept], [form_of(a)]
        step.first = self.meet(t)
        self.steps.append(step)
        return step.first

    cdef Item item(self, object x, bint returned):
        """What a value in a list, or one that is returned, comes from."""
        cdef Item item = Item.__new__(Item)
        cdef int64_t words[MOST_WORDS]
        if isinstance(x, Tensor):
            self.fill(item, <Tensor>x, returned)
        elif isinstance(x, (tuple, list)) and type(x) is not Size:
            if type(x) is not tuple and type(x) is not list and not _bare_tuple(type(x)):
                self.refuse(f"a {type(x).__name__}")
            item.kind, item.items = type(x), [self.item(part, returned) for part in x]
        elif x is not None and put(words, 0, x) < 0 and not isinstance(x, _FIXED):
            self.refuse(f"a {type(x).__name__}")
        else:
            item.constant = x
        return item

    cdef int fill(self, Item item, Tensor t, bint returned) except -1:
        """What a tensor comes from; one that stands for another, from that."""
        found = self.arguments.get(<size_t><PyObject*>t)
        if returned and found is not None:
            item.argument = found
        elif stands_in(t):
            item.kind, item.place = type(t), level_place(level_slot(t)[0])
            item.items = [self.item(<object>physical_slot(t)[0], returned)]
            if item.place < 0:
                self.refuse("a tensor of a level that was left")
        else:
            item.slot = self.slot_of(t)
            if returned and pb_thread.tangents:
                self.note_tangents(item, t)
        return 0

    cdef int note_tangents(self, Item item, Tensor t) except -1:
        """What hangs on a tensor that is returned."""
        cdef int place
        for place in range(pb_thread.level):
            level = interpreters()[place]
            tangent = t.tangents.get(level) if t.tangents is not None else None
            if tangent is not None and isinstance(tangent, Tensor):
                item.hanging = [] if item.hanging is None else item.hanging
                item.hanging.append((place, self.item(tangent, True)))
            elif tangent is not None or (t.base is not None and t.base.tangents is not None):
                self.refuse("a tangent that is seen in another")
        return 0

    cdef int note(self, Op op, PyObject** argv, object out, object result) except -1:
        """A step: an op that was just done."""
        cdef Step step = Step.__new__(Step)
        cdef PyObject* values[MAX_PARAMS]
        cdef Item item
        cdef int i
        if out is not None and out is not _IN_PLACE:
            return self.refuse("a result into `out`")
        if self.count + MAX_PARAMS > MOST_SLOTS or len(self.steps) >= MOST_STEPS:
            return self.refuse("too many steps")
        step.op, step.values = op, [None] * op.nparams
        for i in range(op.nparams):
            item = self.item(<object>argv[i], False)
            step.source[i] = item.slot if item.slot >= 0 else CONSTANT
            if item.place >= 0:
                self.refuse("a tensor of a level")
            if item.items is not None and _varies(item):
                step.source[i], step.values[i], step.listed = LISTED, item, True
            elif item.items is not None:   # a list may be changed once the function is done
                step.values[i] = given(item, NULL, NULL)
            else:
                step.values[i] = item.constant
        if self.reason is not None:
            return 0
        step.first = self.count
        if out is _IN_PLACE:
            self.wrote, step.kind = True, STEP_WRITE
            step.firm = op.random or self.of_input(<Tensor>result)
        else:
            self.note_results(step, result)
            step.kind = STEP_KERNEL
            if op.elementwise:
                step.kind = STEP_POINTWISE
            elif op.random:
                step.kind = STEP_DRAW
            elif op.prepare_rule is not None:
                kept = arrays_of(op, argv, values)
                step.plan = find_plan(op, op.prepare_rule, values, op.nparams)
                if op.view:
                    step.kind = STEP_VIEW
                elif step.plan.run != NULL:
                    step.kind = STEP_PLAN
            step.firm = op.random
            if self.firm and step.kind == STEP_KERNEL:
                return self.refuse("a result of unknown layout after what cannot be taken back")
        self.firm = self.firm or step.firm
        self.steps.append(step)
        return 0

    cdef int note_results(self, Step step, object result) except -1:
        step.several = type(result) is tuple
        step.forms = []
        for t in result if step.several else (result,):
            if type(t) is not Tensor or <size_t><PyObject*>t in self.slots:
                return self.refuse("a result of a class of its own")
            step.forms.append(form_of((<Tensor>t).array))
            self.meet(<Tensor>t)
        return 0

    cdef bint of_input(self, Tensor t) except -1:
        """Whether a tensor may share memory with an input."""
        for i in range(self.ninputs):
            if np.may_share_memory(self.met[i][1], t.array):
                return True
        return False

    cdef Tape finish(self, object result, bint of_rule):
        """The tape of a function that has returned; None, and a reason, if it cannot be one."""
        cdef Tape tape = Tape.__new__(Tape)
        cdef Tensor t
        cdef Step step
        tape.result = self.item(result, True)
        if not of_rule and not _has_slot(tape.result, self.steps):
            self.refuse("a result that is no tensor of an op")
        for found, array, node, grad, needed in self.met:
            t = <Tensor>found
            if t.array is not array or t._grad is not grad or t.requires != needed or t.retains or (
                    t.node is not node and t.base is None and not self.wrote):
                self.refuse("a tensor that is changed otherwise than by an op")
        for step in self.steps:
            if step.kind == STEP_MAKE:
                t = <Tensor>self.met[step.first][0]
                if not np.array_equal(_bytes(np.broadcast_to(step.values[0], t.shape)), _bytes(t.array)):
                    self.refuse("a tensor that is filled after its first use")
        if self.reason is not None:
            return None
        tape.steps, tape.ninputs, tape.nslots = self.steps, self.ninputs, self.count
        tape.classes = tuple([type(met[0]) for met in self.met[:self.ninputs]])
        self.note_last_uses(tape)
        return tape

    cdef int note_last_uses(self, Tape tape) except -1:
        """Says at each step which slots are not asked for after it."""
        cdef Step step
        cdef int i
        cdef set later = set()
        _slots_in(tape.result, later)
        for step in reversed(tape.steps):
            used = set(range(step.first, step.first + (len(step.forms) if step.forms is not None else 0)))
            for i in range(step.op.nparams if step.op is not None else 0):
                if step.source[i] >= 0:
                    used.add(step.source[i])
                elif step.source[i] == LISTED:
                    _slots_in(step.values[i], used)
            for slot in used - later:
                if slot >= self.ninputs and step.nover < MOST_OVER:
                    step.over[step.nover] = slot
                    step.nover += 1
            later |= used
        return 0


cdef tuple _FIXED = (Enum, complex, _dtypes._Constant)   # what has no key, but does not change either


def _varies(Item item):
    """Whether a part of a list comes from a slot."""
    return item.slot >= 0 or any([_varies(part) for part in item.items or ()])


def _slots_in(Item item, set found):
    if item.slot >= 0:
        found.add(item.slot)
    for part in item.items or ():
        _slots_in(part, found)
    for _, part in item.hanging or ():
        _slots_in(part, found)


def _has_slot(Item item, list steps):
    """Whether a result has a tensor that was not made on the way."""
    found = set()
    _slots_in(item, found)
    return bool(found - {(<Step>step).first for step in steps if (<Step>step).kind == STEP_MAKE})


def _bare_tuple(kind):
    """Whether a class is a tuple with nothing of its own to be set, as the named tuples are."""
    return issubclass(kind, tuple) and kind.__basicsize__ == tuple.__basicsize__ and not kind.__dictoffset__


def _bytes(a):
    return np.ascontiguousarray(a).reshape(-1).view(np.uint8)


def _uniform(a):
    """Whether all elements of an array are the same, to the bit."""
    rows = _bytes(a).reshape(a.size, a.itemsize)
    return bool((rows == rows[0]).all())


# --------------------------------------------------------------------------------------- signatures

cdef struct Signature:
    int at
    int ninputs
    int64_t words[MOST_WORDS]
    PyObject* inputs[MOST_INPUTS]   # the tensors, borrowed; for stand-ins what they stand for
    PyObject* arguments[MOST_INPUTS]   # and as they were given

cdef enum:
    TAG_SAME = 16                   # an input that came before
    TAG_IN_PLACE = 17               # the result is to be written into the first input
    TAG_STAND_IN = 18               # what follows has a tensor of a level in front
    TAG_HANGING = 19                # a tangent of the tensor before


cdef bint write_value(Signature* s, object x) except -1:
    """Writes an argument into a key; False if it cannot be written."""
    cdef int first = s.at
    if isinstance(x, Tensor):
        return write_tensor(s, <Tensor>x, <PyObject*>x)
    if isinstance(x, (tuple, list)):
        s.at = -1 if first == MOST_WORDS else first + 1
        if s.at >= 0:
            s.words[first] = put_length(x)
        if s.at < 0 or s.words[first] < 0:
            return False
        for item in x:
            if not write_value(s, item):
                return False
        return True
    if x is _IN_PLACE and first < MOST_WORDS:
        s.words[first] = TAG_IN_PLACE
        s.at += 1
        return True
    s.at = put(s.words, first, x)
    return s.at >= 0


cdef bint write_tensor(Signature* s, Tensor t, PyObject* argument) except -1:
    """Writes a tensor into a key, one of a level as what it stands for; False if it cannot be written."""
    cdef object kind = type(t)
    cdef int i, first = s.at, place
    if kind is not Tensor and stands_in(t):
        place = level_place(level_slot(t)[0])
        if place < 0 or first + 2 > MOST_WORDS:
            return False
        s.words[first], s.words[first + 1] = TAG_STAND_IN | <int64_t>place << 8, <int64_t><PyObject*>kind
        s.at += 2
        return write_tensor(s, <Tensor>physical_slot(t)[0], argument)
    if t.meta or (kind is not Tensor and not is_plain(kind)):
        return False
    for i in range(s.ninputs):
        if s.inputs[i] == <PyObject*>t:
            if first == MOST_WORDS or s.arguments[i] != argument:
                return False
            s.words[first] = TAG_SAME | <int64_t>i << 8
            s.at += 1
            return True
    s.at = put(s.words, first, t.array)
    if s.at < 0 or s.at == MOST_WORDS or s.ninputs == MOST_INPUTS:
        return False
    s.words[first] |= <int64_t>(1 if requires(t) else 2) << 48
    if kind is not Tensor:
        s.words[first] |= <int64_t>4 << 48
        s.words[s.at] = <int64_t><PyObject*>kind
        s.at += 1
    s.inputs[s.ninputs], s.arguments[s.ninputs] = <PyObject*>t, argument
    s.ninputs += 1
    return not pb_thread.tangents or write_tangents(s, t)


cdef bint write_tangents(Signature* s, Tensor t) except -1:
    """Writes what hangs on a tensor; False for a window on another, and where a graph is to have it too."""
    cdef int place
    cdef object tangent
    for place in range(pb_thread.level):
        level = interpreters()[place]
        if not level.hangs:
            continue
        if pb_thread.grad and requires(t) or t.base is not None and t.base.tangents is not None:
            return False
        tangent = t.tangents.get(level) if t.tangents is not None else None
        if tangent is None:
            continue
        if not isinstance(tangent, Tensor) or s.at == MOST_WORDS:
            return False
        s.words[s.at] = TAG_HANGING | <int64_t>place << 8
        s.at += 1
        if not write_tensor(s, <Tensor>tangent, <PyObject*>tangent):
            return False
    return True


cdef bint write_levels(Signature* s) except -1:
    """Writes the active interpreters into a key; False if ops depend on more than can be written."""
    cdef int place
    cdef object level, kind
    for place in range(pb_thread.level):
        level = interpreters()[place]
        kind = type(level)
        if level.signature is None or s.at == MOST_WORDS:
            return False
        s.words[s.at] = <int64_t><PyObject*>kind
        s.at = put(s.words, s.at + 1, level.signature)
        if s.at < 0:
            return False
    return True


cdef bint write_call(Signature* s, object function, PyObject** args, Py_ssize_t count,
                     PyObject* names) except -1:
    """The key of a call; False if it has none."""
    cdef Py_ssize_t i
    s.words[0] = <int64_t><PyObject*>function
    s.words[1] = (pb_thread.grad | pb_thread.inference << 1 | pb_thread.level << 2
                  | <int64_t>default_float << 16 | count << 24)
    s.at, s.ninputs = 2, 0
    if pb_thread.level and not write_levels(s):
        return False
    if names != NULL:
        for name in <tuple>names:
            s.at = put(s.words, s.at, name)
            if s.at < 0:
                return False
        count += PyTuple_GET_SIZE(<object>names)
    for i in range(count):
        if not write_value(s, <object>args[i]):
            return False
    return s.ninputs > 0


# ----------------------------------------------------------------------------------------- the table

cdef Table tapes
memset(&tapes, 0, sizeof(tapes))

cdef enum:
    SEEN = 2048         # a power of two
    BESIDE = 4          # signatures of one place that are known at a time: the latest

cdef uint64_t seen_once[SEEN][BESIDE]   # hashes of signatures that came once
memset(seen_once, 0, sizeof(seen_once))


cdef bint came_before(uint64_t h) noexcept:
    """Whether a signature of this hash came not long ago; from now on it did."""
    cdef uint64_t* place = seen_once[h & (SEEN - 1)]
    cdef int i
    for i in range(BESIDE):
        if place[i] == h:
            return True
    for i in range(BESIDE - 1, 0, -1):
        place[i] = place[i - 1]
    place[0] = h
    return False

cdef object _MISFIT = object()
cdef object _refusals = None    # for the tests: a dict that gets the reasons, by owner


cdef inline bint may_tape(Tally* tally) noexcept:
    """Whether a function is to be looked up among the tapes at all, as things are on this thread."""
    return (USE_TAPES and pb_thread.recorder == NULL and not anomaly
            and (tally.refused < FEW_REFUSALS or tally.recorded > 0))


cdef object by_tape(object function, Tally* tally, bint of_rule, PyObject** args, size_t nargsf,
                    PyObject* names):
    """Calls a function of ops: by its tape for the signature, if there is one."""
    cdef Signature s
    cdef uint64_t h
    cdef Entry* entry
    cdef object tape, result
    cdef bint firm = False
    if not goes_to_cpu() or (
            not write_call(&s, function, args, PyVectorcall_NARGS(nargsf), names)):
        return by_python(function, args, nargsf, names)
    h = hash_of(s.words, s.at)
    entry = look_up(&tapes, h, s.words, s.at)
    if entry == NULL:
        if came_before(h):
            return record_call(&s, h, function, tally, of_rule, args, nargsf, names)
        return by_python(function, args, nargsf, names)
    tape = <object>entry.value
    if tape is None:
        return by_python(function, args, nargsf, names)
    try:
        result = run_tape(<Tape>tape, &s, &firm)
        if result is not _MISFIT:
            return result
    except Exception:
        if firm:
            raise
    result = by_python(function, args, nargsf, names)
    entry = look_up(&tapes, h, s.words, s.at)
    if entry != NULL:   # the function does what the tape does not
        give_up(entry)
        tally.refused += 1
        if _refusals is not None:
            _refusals.setdefault(function, set()).add("a result whose layout follows from data")
    return result


cdef object by_python(object function, PyObject** args, size_t nargsf, PyObject* names):
    """Calls a function of ops itself; of an op at a level, that is what the interpreters make of it."""
    if type(function) is Op:
        return processed(<Op>function, as_tuple(args, (<Op>function).nparams), None)
    return PyObject_Vectorcall(function, args, nargsf, names)


cdef int give_up(Entry* entry) except -1:
    """Leaves a signature to Python."""
    before = <object>entry.value
    Py_INCREF(None)
    entry.value = <PyObject*>None
    Py_DECREF(before)
    return 0


cdef object record_call(Signature* s, uint64_t h, object function, Tally* tally, bint of_rule,
                        PyObject** args, size_t nargsf, PyObject* names):
    """Calls a function and keeps what it did."""
    cdef Recorder recorder = Recorder.__new__(Recorder)
    cdef Tape tape
    cdef int i
    for i in range(s.ninputs):
        recorder.meet(<Tensor>s.inputs[i])
        recorder.arguments[<size_t>s.arguments[i]] = i
    recorder.ninputs = s.ninputs
    pb_thread.recorder = <void*>recorder
    try:
        result = by_python(function, args, nargsf, names)
    finally:
        pb_thread.recorder = NULL
    tape = recorder.finish(result, of_rule)
    if tape is not None:
        tape.function = function
        tally.recorded += 1
    else:
        tally.refused += 1
        if _refusals is not None:
            _refusals.setdefault(function, set()).add(recorder.reason)
    enter(&tapes, h, s.words, s.at, tape)
    return result


# ---------------------------------------------------------------------------------------------- run

cdef object run_tape(Tape tape, Signature* s, bint* firm):
    """Runs a tape; _MISFIT if a result does not lie as it did. `firm` says if a step cannot be taken back.

    Its steps are those that are left below all levels.
    """
    cdef PyObject* slots[MOST_SLOTS]
    cdef int i, level = pb_thread.level
    for i in range(tape.ninputs):
        Py_INCREF(<object>s.inputs[i])
        slots[i] = s.inputs[i]
    for i in range(tape.ninputs, tape.nslots):
        slots[i] = NULL
    pb_thread.level = 0
    try:
        for step in tape.steps:
            if not run_step(<Step>step, slots, firm):
                return _MISFIT
        return given(tape.result, slots, s.arguments)
    finally:
        pb_thread.level = level
        for i in range(tape.nslots):
            Py_XDECREF(slots[i])


cdef bint run_step(Step step, PyObject** slots, bint* firm) except -1:
    """Runs a step; False if a result does not lie as it did when it was recorded."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef PyObject* values[MAX_PARAMS]
    cdef Op op = step.op
    cdef list made = [] if step.listed else None
    cdef object result
    cdef int i, source
    if profiling and step.kind != STEP_POINTWISE and step.kind != STEP_MAKE and begins_here():
        return profiled_step(step, slots, firm)
    if step.kind == STEP_MAKE:
        keep_slot(slots, step.first, make_again(<ndarray>step.values[0], <Form>step.forms[0]))
        return True
    for i in range(op.nparams):
        source = step.source[i]
        if source >= 0:
            argv[i] = slots[source]
        elif source == CONSTANT:
            argv[i] = <PyObject*>step.values[i]
        else:
            made.append(given(<Item>step.values[i], slots, NULL))
            argv[i] = <PyObject*>made[len(made) - 1]
    if step.kind == STEP_POINTWISE:
        result = apply_pointwise(op, argv, op.nparams, None)
    elif step.kind == STEP_VIEW:
        result = finished_view(op, argv, views_by(step.plan, (<Tensor>argv[0]).array))
    elif step.kind == STEP_PLAN and USE_PLANS:
        if step.listed:
            kept = arrays_of(op, argv, values)
        else:
            for i in range(op.nparams):
                values[i] = argv[i] if step.source[i] < 0 else <PyObject*>(<Tensor>argv[i]).array
        result = finished(op, argv, run_plan(step.plan, values, op.nparams), False)
    elif step.kind == STEP_WRITE:
        apply_inplace(op, argv)
        result = None
    else:
        result = finished(op, argv, compute(op, argv), False)
        if step.kind == STEP_KERNEL and not has_forms(step, result):
            return False
    firm[0] = firm[0] or step.firm
    if step.several:
        for i in range(len(<tuple>result)):
            keep_slot(slots, step.first + i, (<tuple>result)[i])
    elif result is not None:
        keep_slot(slots, step.first, result)
    for i in range(step.nover):
        Py_XDECREF(slots[step.over[i]])
        slots[step.over[i]] = NULL
    return True


cdef bint profiled_step(Step step, PyObject** slots, bint* firm) except -1:
    """A step that is one event, noted; an elementwise op notes itself."""
    cdef Around around
    cdef bint fits
    cdef object result = None
    begin_event(&around, <PyObject*>step.op, EVENT_OP)
    if step.kind == STEP_WRITE and around.place >= 0:
        pb_log.all[around.place].in_place = 1
    pb_thread.noted = 1
    try:
        fits = run_step(step, slots, firm)
    finally:
        end_event(&around)
    if fits and step.kind != STEP_WRITE and slots[step.first] != NULL:
        result = <object>slots[step.first]
        note_result(&around, result)
    if fits and profiling & NOTES_DETAILS:
        note_details(&around, step.op, arguments_of(step, slots), result)
    return fits


cdef tuple arguments_of(Step step, PyObject** slots):
    """What a step was called with, None for what its tape let go of since."""
    cdef list found = []
    cdef int i, source
    for i in range(step.op.nparams):
        source = step.source[i]
        if source >= 0:
            found.append(None if slots[source] == NULL else <object>slots[source])
        else:
            found.append(step.values[i] if source == CONSTANT else None)
    return tuple(found)


cdef inline void keep_slot(PyObject** slots, int slot, object x):
    Py_INCREF(x)
    slots[slot] = <PyObject*>x


cdef Tensor make_again(ndarray kept, Form form):
    """A tensor that the function makes, from a copy of it or from its one element."""
    cdef ndarray a
    if PyArray_NDIM(kept) == form.nd:
        return wrap((<object>kept).copy("K"))
    a = empty(form.nd, form.dims, form.code)
    PyArray_CopyInto(a, kept)
    return wrap(a)


cdef bint has_forms(Step step, object result) except -1:
    cdef int i
    if not step.several:
        return type(result) is Tensor and has_form((<Tensor>result).array, <Form>step.forms[0])
    if type(result) is not tuple or len(<tuple>result) != len(step.forms):
        return False
    for i in range(len(step.forms)):
        if not has_form((<Tensor>(<tuple>result)[i]).array, <Form>step.forms[i]):
            return False
    return True


# ----------------------------------------------------------------------------------- for the tests

def use_tapes(bint use):
    """Turns tapes on or off; what was before."""
    global USE_TAPES
    before = USE_TAPES
    USE_TAPES = use
    return before


def forget_tapes():
    """Empties the table: everything is recorded anew."""
    empty_table(&tapes)
    memset(seen_once, 0, sizeof(seen_once))


def count_tapes():
    """How many signatures have a tape or are known to have none, and how many there may be."""
    return tapes.used, MOST_ENTRIES


def recorded_steps(function):
    """What the tapes of a function do: for each a list of the ways and ops of its steps."""
    cdef Tape tape
    cdef Step step
    cdef int i
    found = []
    for i in range(CAPACITY):
        if tapes.entries[i].value != NULL and <object>tapes.entries[i].value is not None:
            tape = <Tape>tapes.entries[i].value
            if tape.function is function:
                found.append([(WAYS_OF_STEPS[step.kind], step.op.name if step.op is not None else "")
                              for step in tape.steps])
    return found


WAYS_OF_STEPS = ("loop", "plan", "view", "kernel", "draw", "write", "make")


def note_refusals(found):
    """From now on puts into a dict, by function or rule, why it could not be recorded; None ends it."""
    global _refusals
    _refusals = found

