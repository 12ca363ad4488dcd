# What `torch.compile` hears of a call: a log of ops that takes as little time as can be. When the call is
# over, pullback/compiler/recording.py reads it.
#
# Read `Listener.do`.
#
# From other parts: Op, as_tuple, _IN_PLACE (op.pxi); Tensor (tensor.pxi); apply (dispatch.pxi); owner_of
# (inplace.pxi); note_made, Watch (tapes.pxi); pb_thread (_engine.pyx).

cdef extern from *:
    """
    #define pb_frame() ((PyObject*)PyEval_GetFrame())
    #define pb_frame_back(frame) ((PyObject*)PyFrame_GetBack((PyFrameObject*)(frame)))
    #define pb_frame_code(frame) ((PyObject*)PyFrame_GetCode((PyFrameObject*)(frame)))
    #define pb_frame_line(frame) PyFrame_GetLineNumber((PyFrameObject*)(frame))
    """
    PyObject* pb_frame()                       # borrowed
    PyObject* pb_frame_back(PyObject* frame)   # new, or NULL
    object pb_frame_code(PyObject* frame)
    int pb_frame_line(PyObject* frame)


@cython.final
cdef class Seen:
    """A tensor as it was when an op got or gave it: its array, where that lies, and the array that owns the
    memory.

    `plain` is whether the tensor is of no class of its own; `start` is the address of the first element,
    `low` and `high` are the bounds of all of them, `code` is that of the dtype.
    """

    cdef readonly ndarray array, root
    cdef readonly Py_ssize_t start, low, high
    cdef readonly int code
    cdef readonly bint plain


def seen_of(ndarray a not None, bint plain=True):
    """An array as a `Seen`."""
    cdef Seen made = Seen.__new__(Seen)
    cdef npy_intp reach
    cdef int d
    made.array, made.root, made.plain, made.code = a, owner_of(a), plain, code_of(a)
    made.start = made.low = made.high = <Py_ssize_t>PyArray_DATA(a)
    if PyArray_SIZE(a):
        for d in range(PyArray_NDIM(a)):
            reach = (PyArray_DIMS(a)[d] - 1) * PyArray_STRIDES(a)[d]
            if reach < 0:
                made.low += reach
            else:
                made.high += reach
        made.high += PyArray_ITEMSIZE(a)
    return made


cdef object as_seen(object x):
    """An argument or a result with a `Seen` for each tensor."""
    if isinstance(x, Tensor):
        return seen_of((<Tensor>x).array, type(x) is Tensor)
    if type(x) is list:
        return [as_seen(item) for item in <list>x]
    return tuple([as_seen(item) for item in <tuple>x]) if type(x) is tuple else x


@cython.final
cdef class Listener(Watch):
    """Notes each op that is done within, on this thread, below all levels, for a Python object. A context
    manager.

    That has `log`, a list that gets (op, arguments, whether in place, what was written to, result, loops and
    runs of plans, line) of each op with `Seen` for tensors, and (None, array, sum, line) of a gradient that
    is summed over its leading dims; `made`, a dict that gets by address the array that owns the memory of a
    tensor made of what is no tensor, and `copies`, one for what these were before an op wrote to them.
    `number(tensor, value)` is called for one that is taken out as a number, and `doubt(what)` where more is
    done or asked for than ops can say, but for what is in `harmless`. It is so called while nothing listens.
    """

    cdef object told, harmless
    cdef list log, events
    cdef dict made, copies
    cdef bint over
    cdef object outer_events
    cdef void* outer

    def __init__(self, told):
        self.told, self.harmless = told, told.harmless
        self.log, self.made, self.copies, self.events = told.log, told.made, told.copies, []

    def __enter__(self):
        self.outer_events = tap(self.events)
        self.outer = pb_thread.recorder
        pb_thread.recorder = <void*>self
        return self

    def __exit__(self, *exc):
        pb_thread.recorder = self.outer
        tap(self.outer_events)

    cdef int refuse(self, str what) except -1:
        if what in self.harmless or self.over:
            return 0
        pb_thread.recorder = NULL
        try:
            self.over = True
            self.told.doubt(what)
        finally:
            pb_thread.recorder = <void*>self
        return 0

    cdef int note_made(self, Tensor t) except -1:
        cdef ndarray root = owner_of(t.array)
        self.made[<size_t><PyObject*>root] = root
        return 0

    cdef int tell_of_fold(self, Tensor g, Tensor result) except -1:
        if not self.over:
            self.log.append((None, as_seen(g), as_seen(result), program_line()))
        return 0

    cdef int tell_of_number(self, Tensor t, object value) except -1:
        pb_thread.recorder = NULL
        try:
            self.told.number(t, value)
        finally:
            pb_thread.recorder = <void*>self
        return 0

    cdef int keep_made(self, object x) except -1:
        """Copies what was made of no tensor, before it is first written to."""
        cdef ndarray root
        if isinstance(x, Tensor):
            root = owner_of((<Tensor>x).array)
            at = <size_t><PyObject*>root
            if at in self.made and at not in self.copies:
                self.copies[at] = root.copy("K")
        elif type(x) is list or type(x) is tuple:
            for item in x:
                self.keep_made(item)
        return 0

    cdef object do(self, Op op, PyObject** argv, object out):
        cdef bint in_place = out is _IN_PLACE
        cdef tuple args
        cdef object target = <object>argv[0] if in_place else out
        if not self.over:
            args = as_seen(as_tuple(argv, op.nparams))
            self.events.clear()
            if target is not None:
                self.keep_made(target)
        pb_thread.recorder = NULL
        try:
            result = apply(op, argv, out)
        finally:
            pb_thread.recorder = <void*>self
        if not self.over:
            self.log.append((op, args, in_place, as_seen(target), as_seen(result), tuple(self.events),
            program_line()))
        return result


cdef str _PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(_dtypes.__file__))) + os.sep
cdef dict _whose = {}   # code, by its address: with whether it is this package's


cdef tuple program_line():
    """The code of the program that led here, and the line in it; None if there is none."""
    cdef PyObject* frame = pb_frame()
    cdef PyObject* outer
    cdef tuple known, found = None
    Py_XINCREF(frame)
    while frame != NULL:
        code = pb_frame_code(frame)
        at = <size_t><PyObject*>code
        if at not in _whose:
            _whose[at] = code, code.co_filename.startswith(_PACKAGE)
        known = _whose[at]
        if not known[1]:
            found = code, pb_frame_line(frame)
            break
        outer = pb_frame_back(frame)
        Py_XDECREF(frame)
        frame = outer
    Py_XDECREF(frame)
    return found


def listening():
    """What hears of each op on this thread, as `Listener` was given it; None if nothing does."""
    if pb_thread.recorder == NULL or type(<object>pb_thread.recorder) is not Listener:
        return None
    return (<Listener>pb_thread.recorder).told


cdef class unheard:
    """Within, nothing is told or noted of what this thread does. A context manager."""

    cdef void* outer

    def __enter__(self):
        self.outer = pb_thread.recorder
        pb_thread.recorder = NULL

    def __exit__(self, *exc):
        pb_thread.recorder = self.outer
