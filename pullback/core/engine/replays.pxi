# Compiled functions: what a function did for one signature, done again by a `Replay` (core/_replay.pyx).
#
# A call writes its arguments into a key, finds the recordings made for it, and runs the first whose guards
# hold. Nothing of that is Python. Where there is none, `missed` is called: it is Python's
# (pullback/compiler/), runs the function, and records it. While a transform, a recorder or anomaly mode is
# on, the function itself is called.
#
# Read `Compiled.__call__`, then `Recording.takes` and `Recording.run`.
#
# From other parts: Hooks, hooks_if (nodes.pxi); Tensor, wrap (tensor.pxi); apply, is_plain, requires
# (dispatch.pxi); bump_version, storage, version_of, _may_meet (inplace.pxi); Form, form_of, has_form,
# Signature, write_tensor, _MISFIT (tapes.pxi); default_float (pointwise.pxi); anomaly, goes_to_cpu,
# pb_thread (_engine.pyx).

cdef enum:
    TAG_DICT = 24          # of keys that are written, and what stands under them
    TAG_THING = 25         # any other object, by its address: the recordings keep it
    MOST_GIVEN = 2048      # arrays that a replay takes
    OFTEN = 32             # runs


cdef object _OTHERWISE = object()


cdef bint write_any(Signature* s, object x, list things) except -1:
    """Writes an argument of a compiled function into a key; False if it cannot be written."""
    cdef int first = s.at, at
    if isinstance(x, Tensor):
        return write_tensor(s, <Tensor>x, <PyObject*>x)
    if first + 2 > MOST_WORDS:
        return False
    if type(x) is tuple or type(x) is list:
        s.words[first] = put_length(x)
        s.at = first + 1
        for item in x:
            if not write_any(s, item, things):
                return False
        return True
    if type(x) is dict:
        s.words[first] = TAG_DICT | <int64_t>len(<dict>x) << 8
        s.at = first + 1
        for key, item in (<dict>x).items():
            s.at = put(s.words, s.at, key)
            if s.at < 0 or not write_any(s, item, things):
                return False
        return True
    at = put(s.words, first, x)
    if at >= 0:
        s.at = at
        return True
    s.words[first], s.words[first + 1] = TAG_THING, <int64_t><PyObject*>x
    s.at = first + 2
    things.append(x)
    return True


def facts_of(Tensor t):
    """What a recording is to know of a tensor: array, `.grad`, version, and whether it is unusual.

    Unusual is one with a history or hooks, of a level, without numbers, or a view that requires a gradient.
    """
    cdef Hooks hooks = None if t.accumulator is None else hooks_if(t.accumulator)
    return (t.array, t._grad, version_of(t), requires(t),
            t.meta or t.retains or t.tangents is not None or t.inference
            or (t.storage is not None and t.storage.mirrors is not None)
            or (hooks is not None) or not (type(t) is Tensor or is_plain(type(t))), t.node is not None,
            t.base is not None and requires(t))


@cython.final
cdef class Recording:
    """What a function did for one signature, and when that may be done again.

    Inputs are the tensors of the call, of which `grown` says whether they had a history, then those
    `captured`, then the `.grad` of some: `leaves` are pairs of an input and whether it had one. `grads` are
    pairs of an input and the value that its `.grad` is in the end, -1 for none; `bumps` pairs of an input and
    how often it was written; `firm` is the first act that cannot be taken back. `template` says how the
    result is built of the `outputs`. `joint(outputs, inputs, saved, args, kwargs)` gives outputs their
    history, `needed` are the places of those that are to have one, `saved` values it is to keep.
    """

    cdef readonly Replay replay
    cdef readonly Guards guards
    cdef list captured, forms, needs, grown, leaves, grads, bumps, outputs, needed, saved, now
    cdef object template, joint, mode
    cdef set written
    cdef int firm
    cdef readonly Py_ssize_t runs
    cdef public object story      # what `explain` tells
    cdef public object often      # called when it was run OFTEN times, if it is not None

    def __init__(self, Replay replay, Guards guards, list grown, list captured, list leaves, list grads,
                 list bumps, int firm, list outputs, template, set written, joint, list needed, list saved):
        cdef Tensor t
        cdef int place
        self.replay, self.guards, self.grown, self.captured = replay, guards, grown, captured
        self.forms = [form_of((<Tensor>x).array) for x in captured]
        self.needs = [requires(<Tensor>x) for x in captured]
        self.grads, self.bumps, self.firm, self.outputs = grads, bumps, firm, outputs
        self.template, self.written, self.joint = template, written, joint
        self.needed, self.saved = needed, saved
        self.leaves = [(place, None if grad is None else form_of(grad)) for place, grad in leaves]

    cdef bint takes(self, Signature* s) except -1:
        """Whether it may be done again for these inputs; then it is busy until `run` is over."""
        cdef bint fits = False
        if self.replay.busy:
            return False
        self.replay.busy = True
        try:
            fits = self.matches(s)
        finally:
            if not fits:
                self.replay.busy, self.now = False, None
        return fits

    cdef bint matches(self, Signature* s) except -1:
        cdef int i
        cdef Tensor t, g
        if not self.guards.holds():
            return False
        for i in range(len(self.captured)):
            t = <Tensor>self.captured[i]
            if t.node is not None or t.meta or not has_form(t.array, <Form>self.forms[i]) or (
                    requires(t) != <bint>self.needs[i]) or t.tangents is not None or (
                    t.accumulator is not None and t.accumulator.rare is not None
                    and hooks_if(t.accumulator) is not None):
                return False
        self.now = [<object>s.inputs[i] for i in range(s.ninputs)] + self.captured
        for i in range(s.ninputs):
            t = <Tensor>s.inputs[i]
            if (t.node is not None) != <bint>self.grown[i]:
                return False
        for place in self.written:
            if <int>place < len(self.now):
                t = <Tensor>self.now[place]
                if t.inference and not pb_thread.inference or (
                        not PyArray_CHKFLAGS(t.array, NPY_ARRAY_WRITEABLE)):
                    return False
        for place, form in self.leaves:
            t = <Tensor>self.now[place]
            if t.retains or (t.accumulator is not None and t.accumulator.rare is not None
                             and hooks_if(t.accumulator) is not None):
                return False
            if form is None:
                if t._grad is not None:
                    return False
                continue
            if type(t._grad) is not Tensor:
                return False
            g = <Tensor>t._grad
            if g.node is not None or g.requires or g.meta or not has_form(g.array, <Form>form):
                return False
        return not self.written or self.apart()

    cdef bint apart(self) except -1:
        """Whether what is written shares no memory with other inputs."""
        cdef list arrays = [(<Tensor>t).array for t in self.now]
        cdef int i, j
        for place, form in self.leaves:
            if form is not None:
                arrays.append((<Tensor>(<Tensor>self.now[place])._grad).array)
        for i in self.written:
            for j in range(len(arrays)):
                if i != j and _may_meet(<ndarray>arrays[i], <ndarray>arrays[j]):
                    return False
        return True

    cdef object run(self, Signature* s, tuple args, dict kwargs):
        """Does it again. If nothing was done: _OTHERWISE where another number was taken out, _MISFIT where it
        cannot be done.
        """
        cdef PyObject* given[MOST_GIVEN]
        cdef Replay replay = self.replay
        cdef Tensor t
        cdef list outputs, saved, now = self.now
        cdef int i, n = len(now), grad = pb_thread.grad
        for i in range(n):
            given[i] = <PyObject*>(<Tensor>now[i]).array
        for place, form in self.leaves:
            if form is not None:
                given[n] = <PyObject*>(<Tensor>(<Tensor>now[place])._grad).array
                n += 1
        replay.begin(given)
        replay.helper = self
        try:
            try:
                if not replay.run():
                    return _OTHERWISE
            except Exception:
                if replay.at < self.firm:
                    return _MISFIT
                raise
            outputs = [wrap(replay.array(<int>v)) for v in self.outputs]
            self.leave(self.grads, self.bumps)
            saved = None if self.joint is None else [replay.array(<int>v) for v in self.saved]
        finally:
            replay.helper = None
            replay.end()
            self.now = None
        if self.joint is not None:
            self.joint([outputs[i] for i in self.needed], now, saved, args, kwargs)
        self.runs += 1
        if self.runs == OFTEN and self.often is not None:
            self.often()
        return self.built(self.template, outputs, now)

    cdef int leave(self, list grads, list bumps) except -1:
        """What is to be seen of it besides results: gradients and versions."""
        cdef Tensor t
        cdef int i
        for place, v in grads:
            t = <Tensor>self.now[place]
            t._grad = None if <int>v < 0 else wrap(self.replay.array(<int>v))
        for place, count in bumps:
            for i in range(count):
                bump_version(<Tensor>self.now[place])
        return 0

    def aside(self, function, list grads, list bumps):
        """Calls, in the midst of a run, what sees and changes tensors by itself."""
        self.leave(grads, bumps)
        function()
        if self.replay.takes_late:
            forget_used()   # what the call let go of: there is room in it for other shapes

    cdef object built(self, object template, list outputs, list now):
        """The result of the function, by its template."""
        if type(template) is int:
            return outputs[template]
        kind, what = template
        if kind == "input":
            return now[what]
        if kind == "constant":
            return what
        if kind == "dict":
            return {key: self.built(part, outputs, now) for key, part in what}
        made = [self.built(part, outputs, now) for part in what]
        return made if kind is list else tuple(made) if kind is tuple else _new_tuple(kind, made)


cdef class Compiled:
    """A function, and what was recorded of its calls. `missed`, a method of a subclass, is asked where there
    is no recording for a call: it gets the key, None if there can be none, the tensors, and the arguments.
    """

    cdef public object function
    cdef public dict recordings      # lists of Recording, by key
    cdef public bint on

    def __call__(self, *args, **kwargs):
        cdef Signature s
        cdef list things = [], found
        cdef bytes key
        cdef bint whole
        cdef Recording recording
        cdef Py_ssize_t i
        if (not self.on or pb_thread.level or pb_thread.recorder != NULL or anomaly
                or pb_thread.saved_hooks or pb_thread.depth or not goes_to_cpu()):
            return self.function(*args, **kwargs)
        s.words[0] = (pb_thread.grad | pb_thread.inference << 1 | <int64_t>default_float << 16
                      | <int64_t>len(args) << 24)
        s.at, s.ninputs = 1, 0
        whole = True
        for x in args:
            if not write_any(&s, x, things):
                whole = False
                break
        if whole and kwargs:
            whole = write_any(&s, kwargs, things)
        if not whole:
            return self.missed(None, (), args, kwargs)
        key = (<char*>s.words)[:s.at * sizeof(int64_t)]
        entry = self.recordings.get(key)
        if entry is not None:
            for x in tuple(<list>entry):
                recording = <Recording>x
                if recording.takes(&s):
                    result = recording.run(&s, args, kwargs)
                    if result is _MISFIT:
                        (<list>entry).remove(recording)
                        break
                    if result is not _OTHERWISE:
                        return result
        return self.missed(key, tuple([<object>s.inputs[i] for i in range(s.ninputs)]), args, kwargs)


def keep_versions(list tensors):
    """The version counters of tensors, and where they are now."""
    return [(storage(<Tensor>t), version_of(<Tensor>t)) for t in tensors]


def are_as_kept(list kept):
    """Whether tensors were not written to since `keep_versions`."""
    for counter, version in kept:
        if (<Storage>counter).version != <unsigned int>version:
            return False
    return True


def redo(Op op, bint in_place, *args):
    """An op on arrays, without history: the array of the result, or a tuple of them; of one in place, ()."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef list kept = [_wrapped(x) for x in args]
    cdef int i, grad = pb_thread.grad
    for i in range(op.nparams):
        argv[i] = <PyObject*>kept[i]
    pb_thread.grad = 0
    try:
        result = apply(op, argv, _IN_PLACE if in_place else None)
    finally:
        pb_thread.grad = grad
    if in_place:
        return ()
    if isinstance(result, Tensor):
        return (<Tensor>result).array
    return tuple([(<Tensor>t).array for t in result])


cdef object _wrapped(object x):
    """An argument with tensors for arrays."""
    if isinstance(x, ndarray):
        return wrap(<ndarray>x)
    if type(x) is list or type(x) is tuple:
        return type(x)([_wrapped(item) for item in x])
    return x
