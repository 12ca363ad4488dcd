# Conjugate views: tensors whose numbers are the conjugates of another's, both ways.
#
# Loops read plain memory. So a conjugate view has numbers of its own, a `Mirror` of what it shows: an array
# that lies as the memory does, and is brought up to date by each write to either side (`reflect`, which
# `bump_version` calls). Its views are views of that array, the imaginary parts among them, which show
# negatives. What asks where a tensor lies, its history above all, asks for the place in the memory that is
# shown (`memory_shown`).
#
# Read `conjugate_view`, then `reflect`.
#
# From other parts: Op, MAX_PARAMS (op.pxi); KIND (pointwise.pxi); Storage (saved.pxi); _ops, Tensor
# (tensor.pxi); record, requires (dispatch.pxi); owner_of, storage, view_tensor (inplace.pxi); unsure
# (tapes.pxi); pb_thread (_engine.pyx).

cdef enum:
    MOST_GAPS = 4        # a mirror may be so many times as large as what it shows
    FEW_BYTES = 1 << 16  # unless it is small

@cython.final
cdef class Mirror:
    """Memory, and an array of its conjugates that lies alike."""

    cdef ndarray front     # the memory that is shown
    cdef object owner      # a weak reference to the array that owns the conjugates
    cdef Op op             # that of the view

    cdef ndarray back(self):
        """The conjugates; None if nothing has them any more."""
        owner = self.owner()
        if owner is None:
            return None
        return view_of(<ndarray>owner, code_of(self.front), PyArray_NDIM(self.front),
                       PyArray_DIMS(self.front), PyArray_STRIDES(self.front), 0)


def conjugate_view(Op op, Tensor x):
    """The conjugate of a complex tensor as a view of it, recorded as `op`; None where it is to be a copy.

    It is one of a plain tensor that is no wide window on its memory, where no transform is on the stack. The
    conjugate of a conjugate view is the memory itself. Writes otherwise than by tensors, as through an array
    of NumPy's on the same memory, are not seen.
    """
    cdef PyObject* argv[MAX_PARAMS]
    cdef Mirror mirror
    cdef ndarray a = x.array, shown, owner
    cdef Tensor t
    cdef npy_intp reach = 1, item = PyArray_ITEMSIZE(a)
    cdef int d
    unsure("a conjugate view")
    if pb_thread.level or x.meta or type(x) is not Tensor:
        return None
    mirror = mirror_of(x)
    if mirror is not None:
        shown = memory_shown(x)
    else:
        for d in range(PyArray_NDIM(a)):
            if PyArray_STRIDES(a)[d] < 0 or PyArray_STRIDES(a)[d] % item:
                return None
            reach += max(PyArray_DIMS(a)[d] - 1, 0) * (PyArray_STRIDES(a)[d] // item)
        if reach > MOST_GAPS * PyArray_SIZE(a) and reach * item > FEW_BYTES:
            return None
        owner = np.empty(reach, (<object>a).dtype)
        shown = view_of(owner, code_of(a), PyArray_NDIM(a), PyArray_DIMS(a), PyArray_STRIDES(a), 0)
        np.conjugate(a, out=shown)
        mirror = Mirror.__new__(Mirror)
        mirror.front, mirror.owner, mirror.op = a, PyWeakref_NewRef(owner, None), op
        if storage(x).mirrors is None:
            x.storage.mirrors = []
        x.storage.mirrors.append(mirror)
    t = view_tensor(op, x, shown)
    if pb_thread.grad and requires(x):
        argv[0] = <PyObject*>x
        record(op, argv, 1, t)
    return t


cdef int reflect(Storage s, ndarray written) except -1:
    """Brings the sides of mirrors together after a write to one of them."""
    cdef Mirror mirror
    cdef list live = []
    for mirror in s.mirrors:
        back = mirror.back()
        if back is None:
            continue
        live.append(mirror)
        if np.may_share_memory(written, back):
            np.conjugate(back, out=mirror.front)
    s.mirrors = live or None
    for mirror in live:
        back = mirror.back()
        if not np.may_share_memory(written, back):
            np.conjugate(mirror.front, out=back)
    return 0


cdef Mirror mirror_of(Tensor t):
    """The mirror that a tensor lies in, if it does."""
    cdef Mirror mirror
    if t.storage is None or t.storage.mirrors is None:
        return None
    owner = owner_of(t.array)
    for mirror in t.storage.mirrors:
        if mirror.owner() is owner:
            return mirror
    return None


cdef int check_parts(Tensor t, Tensor source) except -1:
    """Refuses a view of a conjugate view that shows both parts of its numbers as real ones."""
    cdef Mirror mirror = mirror_of(t)
    cdef npy_intp item
    cdef int d
    if mirror is None:
        return 0
    item = PyArray_ITEMSIZE(mirror.front)
    mixed = 2 * PyArray_ITEMSIZE(t.array) != item or KIND[code_of(t.array)] != KIND_FLOAT
    for d in range(PyArray_NDIM(t.array)):
        mixed = mixed or PyArray_STRIDES(t.array)[d] % item
    if not mixed:
        return 0
    if PyArray_NDIM(t.array) > PyArray_NDIM(source.array):   # a dim of the two parts
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so "
            "you can view it as real, use self.resolve_conj(); however, be warned that the resulting tensor "
            "will NOT alias the original.")
    raise RuntimeError("torch.Tensor.view is not supported for conjugate view tensors when converting to a "
                       "different dtype.")


cdef ndarray memory_shown(Tensor t):
    """Where a tensor lies: its payload, or what a mirror shows in its place."""
    cdef Mirror mirror = mirror_of(t)
    cdef npy_intp offset
    if mirror is None:
        return t.array
    offset = <char*>PyArray_DATA(t.array) - <char*>PyArray_DATA(<ndarray>mirror.owner())
    return view_of(mirror.front, code_of(t.array), PyArray_NDIM(t.array), PyArray_DIMS(t.array),
                   PyArray_STRIDES(t.array), offset)


def shown_by(Tensor t):
    """Where a tensor lies in memory: an array, of the numbers that a conjugate view shows otherwise."""
    unsure("numbers")
    return memory_shown(t)


def turned(Tensor t):
    """How a tensor differs from the memory that it shows: "conj", "neg" or nothing."""
    cdef Mirror mirror = mirror_of(t)
    cdef npy_intp item
    unsure("a conjugate view")
    if mirror is None:
        return None
    if KIND[code_of(t.array)] == KIND_COMPLEX:
        return "conj"
    item = PyArray_ITEMSIZE(mirror.front)
    offset = <char*>PyArray_DATA(t.array) - <char*>PyArray_DATA(<ndarray>mirror.owner())
    return "neg" if offset % item else None


cdef object turn_of(Tensor t):
    """The op, or None, between a tensor and the memory that it shows."""
    way = turned(t)
    return None if way is None else _ops.neg if way == "neg" else mirror_of(t).op
