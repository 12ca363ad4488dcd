# The stack of transforms.
#
# Each thread has a list of interpreters, of which the lowest `pb_thread.level` are active. An op goes to the
# top one of these (`processed`), with the level below in force while it does its part: those that are at
# work stay on the list, above the active ones. What is entered meanwhile must not wake them, so it puts them
# aside until it is left. What an interpreter is stands in transforms/stack.py. Read `through_levels`, then
# `entered`.
#
# From other parts: Op, as_tuple (op.pxi); Tensor (tensor.pxi); by_tape, may_tape, unsure (tapes.pxi);
# pb_thread (_engine.pyx).

_levels = threading.local()


cdef list interpreters():
    """All interpreters on the list of this thread, active or at work."""
    cdef list found
    if pb_thread.interpreters == NULL:
        found = _levels.interpreters = []
        pb_thread.interpreters = <void*>found
    return <list>pb_thread.interpreters


def levels():
    """The active interpreters on this thread, bottom first."""
    return interpreters()[:pb_thread.level]


def topmost(values):
    """The highest level that one of some values, or of the lists among them, belongs to; None for none."""
    cdef list owners = []
    for x in values:
        if stands_in(x):
            owners.append(<object>level_slot(x)[0])
        elif type(x) is list or type(x) is tuple:
            for item in x:
                if stands_in(item):
                    owners.append(<object>level_slot(item)[0])
    if len(owners) < 2:
        return owners[0] if owners else None
    return max(owners, key=levels().index)


cdef object through_levels(Op op, PyObject** argv, object out):
    """An op while the stack is not empty: by its tape, or by the top interpreter."""
    if out is None and may_tape(&op.tally):
        return by_tape(op, &op.tally, False, argv, op.nparams, NULL)
    return processed(op, as_tuple(argv, op.nparams), out)


cdef object processed(Op op, tuple args, object out):
    """Lets the top interpreter do the op, with the level below in force meanwhile."""
    cdef int level = pb_thread.level
    pb_thread.level = level - 1
    try:
        return interpreters()[level - 1].process(op, args, out)
    finally:
        pb_thread.level = level


cdef int level_place(PyObject* interpreter) noexcept:
    """Where an interpreter stands among the active ones, -1 for one that is not active."""
    cdef int i
    for i in range(pb_thread.level):
        if <PyObject*>(<list>pb_thread.interpreters)[i] == interpreter:
            return i
    return -1


def at_level_below(function, *args):
    """Calls a function with the level below the top one in force."""
    cdef int level = pb_thread.level
    pb_thread.level = level - 1
    try:
        return function(*args)
    finally:
        pb_thread.level = level


cdef class entered:
    """Within, an interpreter stands on top of the active ones. A context manager, to be used once."""
    cdef object interpreter
    cdef list aside

    def __init__(self, interpreter):
        self.interpreter = interpreter

    def __enter__(self):
        if self.interpreter.signature is None:
            unsure("a transform")
        cdef list all = interpreters()
        self.aside = all[pb_thread.level:]
        all[pb_thread.level:] = [self.interpreter]
        pb_thread.level += 1
        pb_thread.tangents += self.interpreter.hangs
        return self.interpreter

    def __exit__(self, *exc):
        cdef list all = interpreters()
        pb_thread.tangents -= self.interpreter.hangs
        all.pop()
        pb_thread.level = len(all)
        all.extend(self.aside)


cdef class within:
    """Within, these interpreters are the active ones. A context manager, to be used once."""
    cdef list chosen, before
    cdef int level

    def __init__(self, chosen):
        self.chosen = list(chosen)

    def __enter__(self):
        if any([interpreter.signature is None for interpreter in self.chosen]):
            unsure("a transform")
        cdef list all = interpreters()
        self.before, self.level = all[:], pb_thread.level
        all[:] = self.chosen
        pb_thread.level = len(all)

    def __exit__(self, *exc):
        interpreters()[:] = self.before
        pb_thread.level = self.level


def without(interpreter):
    """Within, one of the active interpreters is off the stack."""
    return within([level for level in levels() if level is not interpreter])


cdef int _check_value_access(Tensor t, str what) except -1:
    for interpreter in levels():
        interpreter.check_value_access(t, what)
    return 0


def check_value_access(Tensor t, str what):
    """Lets the transforms in force know that numbers of a tensor leave the graph; they may refuse."""
    if pb_thread.level:
        _check_value_access(t, what)
