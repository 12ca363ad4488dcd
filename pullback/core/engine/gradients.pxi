# Adding gradients up: in the buffers of a pass, and in `.grad` of a leaf.
#
# Both add in place where nobody can tell. Of a *buffer* that is when the pass has the only reference to its
# memory (`sole_owner`); `.grad` belongs to the user, who is to see it change, but then a program may not see
# it share memory with what it handed to `backward`. Read `add_to_buffer`, then `give_grad`.
#
# From other parts: Hooks, Node, hooks_if (nodes.pxi); leaf_of (saved.pxi); Tensor, _add, binary,
# inplace_binary, _ops, wrap (tensor.pxi); requires (dispatch.pxi); bump_version, same_shape (inplace.pxi);
# replaced (rules.pxi); pb_thread (_engine.pyx).

cdef inline bint sole_owner(Tensor t, int references) noexcept:
    """Whether nobody else can reach the numbers of a tensor, of whose references so many are ours."""
    return (Py_REFCNT(<PyObject*>t) <= references and Py_REFCNT(<PyObject*>t.array) == 1
            and PyArray_CHKFLAGS(t.array, NPY_ARRAY_OWNDATA))


cdef inline bint unfollowed() noexcept:
    """Whether no transform and no recorder of tapes is to see each op on this thread."""
    return pb_thread.level == 0 and pb_thread.recorder == NULL


cdef inline bint unwatched() noexcept:
    """Whether nothing follows what is done on this thread: no graph either."""
    return unfollowed() and not pb_thread.grad


cdef inline bint only_numbers(Tensor t) noexcept:
    """Whether a tensor is its numbers and nothing more: of no subclass, not meta, without history."""
    return type(t) is Tensor and not t.meta and t.node is None and not t.requires


cdef inline bint alike(ndarray a, ndarray b) except -1:
    """Whether two arrays are of one dtype and shape."""
    return code_of(a) == code_of(b) and same_shape(a, b)


cdef inline bint loop_can_add(Tensor total, Tensor g) except -1:
    """Whether `total += g` is one run of the loop of `add`, into a contiguous array."""
    return (only_numbers(total) and type(g) is Tensor and not g.meta and PyArray_IS_C_CONTIGUOUS(total.array)
            and alike(total.array, g.array) and _add.loops.fn[code_of(g.array)] != NULL)


cdef int add_numbers(Tensor total, Tensor g) except -1:
    """`total += g` on the arrays, where `loop_can_add`."""
    cdef PyObject* arrays[2]
    arrays[0], arrays[1] = <PyObject*>total.array, <PyObject*>g.array
    run_loop(_add.loops, code_of(g.array), 2, arrays, NULL, total.array)
    return 0


cdef bint add_to_buffer(Tensor total, Tensor g) except -1:
    """`total += g` where nobody else can see the memory of `total`; False if it cannot be done so."""
    # Two references are ours: the slot's, and the caller's for this call.
    if not sole_owner(total, 2) or not PyArray_IS_C_CONTIGUOUS(g.array) or not loop_can_add(total, g):
        return False
    add_numbers(total, g)
    return True


cdef int give_grad(Tensor leaf, Tensor g, bint create_graph) except -1:
    """Adds a gradient, to which the caller has one reference, to `.grad` of a leaf."""
    cdef Tensor have
    if leaf._grad is None:
        leaf._grad = first_grad(leaf, g, create_graph)
        return 0
    have = <Tensor>leaf._grad
    if create_graph:
        leaf._grad = binary(_add, have, g)
    elif unwatched() and only_numbers(g) and have.base is None and not have.inference and (
            loop_can_add(have, g)):
        add_numbers(have, g)
        bump_version(have)
    else:
        inplace_binary(_add, have, g.detach() if requires(g) else g)
    return 0


cdef Tensor first_grad(Tensor leaf, Tensor g, bint create_graph):
    """A first gradient as `.grad` has it: itself if nobody else has it, else a copy in the leaf's layout.

    So what a program handed to `backward` never shares memory with `.grad`.
    """
    cdef ndarray copied
    cdef bint contiguous = PyArray_IS_C_CONTIGUOUS(leaf.array)
    if create_graph:
        return g if g.node is not None else _ops.clone_like_leaf(g, leaf)
    if sole_owner(g, 1) and contiguous and PyArray_IS_C_CONTIGUOUS(g.array) and (
            not g.requires and g.node is None):
        return g
    if unwatched() and only_numbers(g) and contiguous and not leaf.meta and alike(g.array, leaf.array):
        copied = empty(PyArray_NDIM(g.array), PyArray_DIMS(g.array), code_of(g.array))
        PyArray_CopyInto(copied, g.array)
        return wrap(copied)
    return _ops.clone_like_leaf(g.detach() if requires(g) else g, leaf)


cdef int give_hooked_grad(Node node, list grads, bint create_graph) except -1:
    """The same for the accumulator of a leaf, which may have hooks of its own; `grads` is emptied."""
    cdef Hooks hooks = hooks_if(node)
    cdef Tensor leaf = leaf_of(node)
    cdef object g, given = None
    if hooks is not None:
        for hook in tuple(hooks.pre.values()):
            grads = replaced(hook, grads, (tuple(grads),))
        given = tuple(grads) if hooks.post else None
    g = grads.pop()
    give_grad(leaf, <Tensor>g, create_graph)
    if hooks is not None:
        for hook in tuple(hooks.accumulated.values()):
            if hook(leaf) is not None:
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")
        for hook in tuple(hooks.post.values()):
            hook((), given)
    return 0
