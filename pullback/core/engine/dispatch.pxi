# From a call to the kernel and back: subclasses, apply, record.
#
# `dispatch` asks, in this order: does an argument override `__torch_function__`? is there a transform on the
# stack (`through_levels` in levels.pxi; it comes back by `apply_below`)? Else `apply` runs the op:
# `apply_pointwise`, or `compute`, `laid_out`, `wrap`; views and ops in place go to inplace.pxi. `record` then
# makes the node: `new_node` with its edges (`history`), and what the rules need (`save_inputs`,
# `save_results`).
#
# Read `apply_pointwise` and `record` first, then `apply`, then `dispatch`.
#
# From other parts: Op, as_tuple, MAX_PARAMS, SAVE_PARAM, SAVE_RESULT, SAVE_RESULTS, SAVE_SHAPE,
# SAVE_TENSOR, _IN_PLACE (op.pxi); cast_array, compute_pointwise, has_gradients, narrowed, refuse_dtype,
# refuses (pointwise.pxi); Node, Rare, output_of, rare_of, sequence, NODE_ACCUMULATE (nodes.pxi); keep,
# keep_result, lend_array, lends, saved_source, set_saved (saved.pxi); Tensor, wrap (tensor.pxi);
# through_levels (levels.pxi); compute_meta, meta_pointwise (meta.pxi); apply_inplace, apply_out,
# apply_view, refresh_view (inplace.pxi); Watch (tapes.pxi); begins_here, profiled_op, profiling
# (events.pxi); anomaly, _anomaly, pb_thread (_engine.pyx).

# ------------------------------------------------------------------------- subclasses, interpreters

cdef dict _PLAIN = {Tensor: True}


cdef bint is_plain(cls):
    """Whether ops treat tensors of this class as they treat Tensor."""
    cdef PyObject* known = PyDict_GetItem(_PLAIN, cls)
    if known != NULL:
        return <object>known is True
    _PLAIN[cls] = getattr(cls.__torch_function__, "__func__", cls.__torch_function__) is (
            disabled_torch_function)
    return _PLAIN[cls]


def is_plain_class(cls):
    """Whether ops treat tensors of this class as they treat Tensor."""
    return is_plain(cls)


def disabled_torch_function(*args, **kwargs):
    """Set as `__torch_function__`: ops treat the subclass as a plain Tensor (`Parameter` does)."""
    raise TypeError("a class with __torch_function__ disabled takes no part in dispatch")


_function_state = threading.local()


class DisableTorchFunction:
    """Within, subclasses of Tensor are treated as Tensor; `doing` is the function that is done so."""

    def __init__(self, doing=None):
        self.doing = doing

    def __enter__(self):
        state = _function_state
        self.before = getattr(state, "off", False), getattr(state, "doing", None)
        state.off, state.doing = True, self.doing

    def __exit__(self, *exc):
        _function_state.off, _function_state.doing = self.before


def mixture(function):
    """The error for a function of Pullback that was given a tensor of PyTorch, or the other way round.

    No TypeError: an operator would take that for a sign to try the other operand.
    """
    return RuntimeError(f"{getattr(function, '__name__', function)}(): Pullback and PyTorch do not know each "
                        "other's tensors: import pullback wherever this program imports torch, or run it by "
                        "`python -m pullback`")


cdef bint of_pytorch(cls):
    """Whether a class is made from PyTorch's Tensor, where PyTorch itself is imported too."""
    theirs = getattr(sys.modules.get("torch"), "Tensor", Tensor)
    return theirs is not Tensor and issubclass(cls, theirs)


cdef enum:
    DEEPEST = 4   # lists in lists in which tensors are looked for


cdef bint may_override(object x, int depth) except -1:
    """Whether an argument, or what stands in its lists, has a `__torch_function__` of its own."""
    cdef object kind = type(x)
    if kind is Tensor or kind is int or kind is float or kind is bool or x is None or kind is str:
        return False
    if kind is tuple or kind is list:
        if depth:
            for item in x:
                if may_override(item, depth - 1):
                    return True
        return False
    if isinstance(x, Tensor):
        return not is_plain(kind)
    return _PyType_Lookup(<PyTypeObject*><PyObject*>kind, _TORCH_FUNCTION) != NULL


cdef object _TORCH_FUNCTION = sys.intern("__torch_function__")


cdef object overriding(tuple args):
    """The classes among the arguments that override `__torch_function__`, None if there are none."""
    cdef list found = []
    if not may_override(args, DEEPEST + 1) or getattr(_function_state, "off", False):
        return None
    _add_overriding(found, args, DEEPEST + 1)
    return found


cdef int _add_overriding(list found, object x, int depth) except -1:
    if type(x) is list or type(x) is tuple:
        if depth:
            for item in x:
                _add_overriding(found, item, depth - 1)
    elif type(x) not in found and may_override(x, 0):
        found.append(type(x))
    return 0


def overriding_types(operands):
    """The classes among these arguments that override `__torch_function__`; empty if there are none."""
    return overriding(tuple(operands)) or ()


def torch_function(func, operands, args, kwargs):
    """Asks the overriding classes among `operands`, subclasses first, to do `func(*args, **kwargs)`."""
    types = overriding(tuple(operands)) or []
    ordered = []
    for cls in types:
        place = next((i for i, other in enumerate(ordered) if issubclass(cls, other)), len(ordered))
        ordered.insert(place, cls)
    for cls in ordered:
        if of_pytorch(cls):
            raise mixture(func)
        result = cls.__torch_function__(func, tuple(ordered), args, kwargs)
        if result is not NotImplemented:
            return result
    handlers = "".join([f"\n\n  - tensor subclass {cls}" for cls in ordered])
    raise TypeError(f"Multiple dispatch failed for 'torch.{getattr(func, '__name__', func)}'; all "
                    f"__torch_function__ handlers returned NotImplemented:{handlers}\n\nFor more "
                    "information, print the arguments that each handler was given.")


# -------------------------------------------------------------------------------------------- apply

cdef object dispatch_tuple(Op op, tuple args, object out):
    cdef PyObject* argv[MAX_PARAMS]
    cdef Py_ssize_t i
    for i in range(op.nparams):
        argv[i] = <PyObject*>args[i]
    return dispatch(op, argv, out)


cdef object dispatch(Op op, PyObject** argv, object out):
    """An op on bound arguments, by whatever they and the stack of levels call for."""
    cdef Py_ssize_t i
    cdef object x
    cdef bint plain = True, numbers = False
    for i in range(op.nparams):
        x = <object>argv[i]
        if type(x) is Tensor:
            numbers = numbers or op.asked[i] == 0
        elif op.asked[i] != 0:
            if isinstance(x, Tensor):
                plain = plain and is_plain(type(x))
            elif op.asked[i] == u'L' and type(x) not in (list, tuple) and isinstance(x, (list, tuple)):
                args = as_tuple(argv, op.nparams)  # a list of a class of its own, as those of `fx`
                return dispatch_tuple(op, args[:i] + (list(x),) + args[i + 1:], out)
            else:
                plain = _check_argument(op, i, op.asked[i], x) and plain
    if numbers and op.lookup != BY_INDEX:
        return dispatch_tuple(op, with_numbers(op, argv), out)
    if not plain or (out is not None and out is not _IN_PLACE):
        args = as_tuple(argv, op.nparams)
        if overriding(args if out is None or out is _IN_PLACE else args + (out,)):
            return torch_function(op, args, _given(op, args), {} if out is None else {"out": out})
    if pb_thread.level:
        return through_levels(op, argv, out)
    return apply(op, argv, out)


cdef tuple _given(Op op, tuple args):
    """The arguments without the defaults at their end, which the caller did not pass."""
    cdef Py_ssize_t n = op.nparams
    while n and args[n - 1] is op.defaults[n - 1]:
        n -= 1
    return args[:n]


cdef bint _check_argument(Op op, Py_ssize_t i, Py_UCS4 kind, object x) except -1:
    """Refuses an argument of the wrong type; says whether it is surely none with a dispatch of its own."""
    if kind == u'N':
        if type(x) is float or type(x) is int or type(x) is bool or type(x) is complex:
            return True
    elif kind == u'O' and x is None:
        return True
    elif kind == u'L' and type(x) in (list, tuple):
        plain = True
        for item in x:
            if type(item) is Tensor:
                continue
            if isinstance(item, Tensor) or item is None or hasattr(type(item), "__torch_function__"):
                plain = plain and not may_override(item, 0)
                continue
            given = type(item).__name__
            place = [other is item for other in x].index(True)
            raise TypeError(f"expected Tensor as element {place} in argument 0, but got {given}"
                            if op.params[i] == "tensors" else
                            f"{op.__name__}(): argument '{op.params[i]}' (position {i + 1}) must be tuple of "
                            f"Tensors, but found element of type {given}")
        return plain
    if hasattr(type(x), "__torch_function__"):
        return False
    if kind == u'N' and number_dtype(x) is not None:
        return True
    wanted = {"T": "Tensor", "N": "Tensor", "O": "Tensor", "L": "tuple of Tensors"}[chr(kind)]
    raise TypeError(f"{op.__name__}(): argument '{_shown(op.params[i])}' (position {i + 1}) must be "
                    f"{wanted}, not {type(x).__name__}")


def apply_below(Op op, tuple args, out=None):
    """The op at the present level: what interpreters call once they have done their part."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Py_ssize_t i
    for i in range(op.nparams):
        argv[i] = <PyObject*>args[i]
    if pb_thread.level:
        return through_levels(op, argv, out)
    return apply(op, argv, out)


cdef object apply(Op op, PyObject** argv, object out):
    """The op itself: in place, into `out`, or into new tensors."""
    if op.elementwise and out is None:
        return apply_pointwise(op, argv, op.nparams, None)
    if is_seen():
        return seen_op(op, argv, out)
    if out is not None:
        if out is _IN_PLACE:
            return apply_inplace(op, argv)
        return apply_out(op, argv, out)
    if op.view:
        return apply_view(op, argv)
    if op.prepare_rule is not None and USE_PLANS:
        return apply_planned(op, argv)
    cdef bint meta = _any_meta(op, argv)
    return finished(op, argv, compute_meta(op, argv) if meta else compute(op, argv), meta)


cdef inline bint is_seen() noexcept:
    """Whether a recorder of tapes or a profiler is to see an op first."""
    return pb_thread.recorder != NULL or (profiling and begins_here())


cdef object seen_op(Op op, PyObject** argv, object out):
    """An op, seen by what comes first: one call to leave the ways of ops that nobody looks at short."""
    if pb_thread.recorder != NULL:
        return (<Watch>pb_thread.recorder).do(op, argv, out)
    return profiled_op(op, argv, out)


cdef object apply_planned(Op op, PyObject** argv):
    """An op by its plan: what `apply` does, in one walk over the arguments."""
    cdef PyObject* values[MAX_PARAMS]
    cdef unsigned int need = 0, bit = 1
    cdef list made = None
    cdef bint meta = False
    cdef object x
    cdef int i
    for i in range(op.nparams):
        x = <object>argv[i]
        values[i] = argv[i]
        if isinstance(x, Tensor) and op.asked[i] != 0:
            values[i] = <PyObject*>(<Tensor>x).array
            meta = meta or (<Tensor>x).meta
            if requires(<Tensor>x):
                need |= bit
        elif isinstance(x, Tensor) or op.asked[i] == 0 and (type(x) is list or type(x) is tuple):
            made = numbers_for(op, i, &values[i], x, made)
        elif type(x) is list or type(x) is tuple:
            made = list_arrays(&values[i], x, made)
            if made is not None and op.asked[i] != 0:   # a list of tensors
                need |= bit if any_requires(x) else 0
                meta = meta or any_meta(x)
        if op.asked[i] != 0:
            bit <<= 1
    if meta:
        _any_meta(op, argv)
        return finished(op, argv, compute_meta(op, argv), True)
    cdef Plan plan = find_plan(op, op.prepare_rule, values, op.nparams)
    if not pb_thread.grad or op.nondiff:
        need = 0
    return as_tensors(op, argv, compute_by_kernel(op, argv, False) if plan.run == NULL else
                      run_plan(plan, values, op.nparams), False, need)


cdef bint any_requires(object items) except -1:
    for item in items:
        if isinstance(item, Tensor) and requires(<Tensor>item):
            return True
    return False


cdef bint any_meta(object items) except -1:
    for item in items:
        if isinstance(item, Tensor) and (<Tensor>item).meta:
            return True
    return False


cdef object finished(Op op, PyObject** argv, object arrays, bint meta):
    """The results of an op that is not elementwise as tensors, with their place in the graph."""
    return as_tensors(op, argv, arrays, meta, needs(op, argv) if pb_thread.grad and not op.nondiff else 0)


cdef object as_tensors(Op op, PyObject** argv, object arrays, bint meta, unsigned int need):
    """The same, where it is known which inputs want a gradient."""
    cdef object outs
    if type(arrays) is ndarray:
        outs = wrap(laid_out(op, argv, <ndarray>arrays, meta))
        (<Tensor>outs).meta = meta
    elif isinstance(arrays, (tuple, list)):
        outs = tuple([wrap(laid_out(op, argv, a if isinstance(a, ndarray) else np.asarray(a), meta))
                      for a in arrays])
        if meta:
            for t in outs:
                (<Tensor>t).meta = True
    else:
        outs = wrap(np.asarray(arrays))
        (<Tensor>outs).meta = meta
    if need:
        record(op, argv, need, outs)
    return outs


cdef inline ndarray laid_out(Op op, PyObject** argv, ndarray a, bint meta):
    """A kernel's result in the layout that the op promises."""
    if op.formats:
        return formatted(op, argv, a, meta)
    if PyArray_IS_C_CONTIGUOUS(a) and op.layout == "C" or op.layout == "" or PyArray_NDIM(a) < 2 or meta:
        return a
    if op.layout == "C":
        return PyArray_NewCopy(a, NPY_CORDER)
    return ordered_like([(<Tensor>argv[op.tensor_params[k]]).array for k in range(op.ntensors)
                         if isinstance(<object>argv[op.tensor_params[k]], Tensor)], a)


cdef ndarray formatted(Op op, PyObject** argv, ndarray a, bint meta):
    """A result with the channels last, if a tensor with as many dims has them so, else contiguous.

    Of a list, each one must.
    """
    cdef int k, d, nd = PyArray_NDIM(a)
    cdef npy_intp steps[5]
    cdef npy_intp size = PyArray_ITEMSIZE(a)
    cdef ndarray laid
    if nd == 4 or nd == 5:
        for k in range(op.ntensors):
            x = <object>argv[op.tensor_params[k]]
            if isinstance(x, Tensor):
                if channels_are_last((<Tensor>x).array, nd):
                    break
            elif type(x) is list or type(x) is tuple:
                for item in x:
                    if not isinstance(item, Tensor) or not channels_are_last((<Tensor>item).array, nd):
                        break
                else:
                    break
        else:
            nd = 0
    else:
        nd = 0
    if not nd:
        return a if PyArray_IS_C_CONTIGUOUS(a) or meta else PyArray_NewCopy(a, NPY_CORDER)
    for k in range(nd):
        d = 1 if k == 0 else 0 if k == nd - 1 else nd - k
        steps[d] = size
        size *= max(PyArray_DIMS(a)[d], 1)
    for d in range(nd):
        if PyArray_DIMS(a)[d] > 1 and steps[d] != PyArray_STRIDES(a)[d]:
            break
    else:
        return a
    if meta:
        return view_of(a, code_of(a), nd, PyArray_DIMS(a), steps, 0)
    size //= PyArray_ITEMSIZE(a)
    laid = view_of(empty(1, &size, code_of(a)), code_of(a), nd, PyArray_DIMS(a), steps, 0)
    PyArray_CopyInto(laid, a)
    return laid


cdef bint channels_are_last(ndarray a, int nd) noexcept:
    """Whether an array of so many dims lies in memory with the second dim as the fastest."""
    cdef npy_intp least = 0
    cdef int k, d
    if PyArray_NDIM(a) != nd or PyArray_STRIDES(a)[1] == 0:
        return False
    for k in range(nd):
        d = 1 if k == 0 else 0 if k == nd - 1 else nd - k
        if PyArray_DIMS(a)[d] == 0 or PyArray_STRIDES(a)[d] < least or (
                d == 0 and least == PyArray_STRIDES(a)[1]):
            return False
        least = PyArray_STRIDES(a)[d] * max(PyArray_DIMS(a)[d], 1)
    return True


cdef bint _any_meta(Op op, PyObject** argv) except -1:
    cdef int k
    cdef bint meta = False, host = False, first = False
    for k in range(op.ntensors):
        x = <object>argv[op.tensor_params[k]]
        if isinstance(x, Tensor):
            if (<Tensor>x).meta:
                first = not host
                meta = True
            elif PyArray_NDIM((<Tensor>x).array) > 0:
                host = True
        elif type(x) is list or type(x) is tuple:
            for item in x:
                if isinstance(item, Tensor):
                    if (<Tensor>item).meta:
                        meta = True
                    else:
                        host = True
    if meta and host and op.kinds.count("T") + op.kinds.count("N") > 1:
        raise RuntimeError("Tensor on device cpu is not on the expected device meta!" if first else
                           "Tensor on device meta is not on the expected device cpu!")
    return meta


cdef list arrays_of(Op op, PyObject** argv, PyObject** values):
    """Arguments with arrays for tensors; what among them stands here alone, None for nothing.

    A run counts the arrays that it gets: a tensor in the place of a number is made one.
    """
    cdef list made = None
    cdef int i
    cdef object x
    for i in range(op.nparams):
        x = <object>argv[i]
        values[i] = argv[i]
        if isinstance(x, Tensor):
            if op.asked[i] == 0:
                made = numbers_for(op, i, &values[i], x, made)
            else:
                values[i] = <PyObject*>(<Tensor>x).array
        elif type(x) is list or type(x) is tuple:
            made = list_arrays(&values[i], x, made) if op.asked[i] != 0 else (
                numbers_for(op, i, &values[i], x, made))
    return made


cdef list list_arrays(PyObject** value, object x, list made):
    """Puts a list of arrays in the place of a list of tensors, and among those that are to be kept."""
    for item in x:
        if isinstance(item, Tensor):
            break
    else:
        return made
    return hold([(<Tensor>item).array if isinstance(item, Tensor) else item for item in x], value, made)


cdef list hold(object x, PyObject** value, list made):
    """Puts something in the place of an argument, and among what is to be kept."""
    value[0] = <PyObject*>x
    if made is None:
        return [x]
    made.append(x)
    return made


cdef list numbers_for(Op op, int place, PyObject** value, object x, list made):
    """Numbers for tensors of one, alone or in a list, given for a parameter that is none."""
    if isinstance(x, Tensor):
        return hold(_number_of(op, place, <Tensor>x), value, made)
    for item in x:
        if isinstance(item, Tensor):
            break
    else:
        return made
    return hold([_number_of(op, place, <Tensor>item) if isinstance(item, Tensor) else item for item in x],
                value, made)


cdef object _number_of(Op op, int place, Tensor x):
    """The number in a tensor of one; TypeError for others."""
    if PyArray_SIZE(x.array) != 1 or x.meta:
        raise not_a_number(op.__name__, op.params[place], place, "a number")
    return x.item()


cdef object not_a_number(str name, str parameter, Py_ssize_t place, str kind):
    where = f" (position {place + 1})" if place >= 0 else ""
    return TypeError(f"{name}(): argument '{parameter}'{where} must be {kind}, not Tensor")


cdef object number_in(Tensor x, str kind):
    """The number in a tensor that stands for one; None where PyTorch takes no tensor for this kind."""
    if PyArray_NDIM(x.array) or x.meta or requires(x) or kind == "bool":
        return None
    if kind == "int" and DTYPES[code_of(x.array)].kind not in "iu":
        return None
    return x.item()


cdef tuple with_numbers(Op op, PyObject** argv):
    """The arguments with numbers for tensors whose parameter is none: so no op computes with such."""
    cdef list found = []
    cdef dict notes = op.kernel.__annotations__ if type(op.kernel) is FunctionType else {}
    cdef int i
    for i in range(op.nparams):
        x = <object>argv[i]
        if type(x) is Tensor and op.asked[i] == 0:
            kind = str(notes.get(op.params[i], "")).removesuffix(" | None")
            if kind in ("int", "bool", "float", "Number"):
                x = number_in(<Tensor>x, kind)
                if x is None:
                    raise not_a_number(op.__name__, op.params[i], i, kind)
            else:
                x = _number_of(op, i, <Tensor>x)
        found.append(x)
    return tuple(found)


cdef object compute(Op op, PyObject** argv, bint in_place=False):
    """The arrays of an op that is not elementwise: by its plan, if it has one that runs, or by its kernel."""
    cdef PyObject* values[MAX_PARAMS]
    cdef Plan plan
    cdef list made
    if op.prepare_rule is not None:
        made = arrays_of(op, argv, values)
        plan = find_plan(op, op.prepare_rule, values, op.nparams)
        if plan.run != NULL and USE_PLANS:
            if not in_place:
                return run_plan(plan, values, op.nparams)
            if op.writes is not None and run_over(plan, as_tuple(values, op.nparams)):
                return None
    return compute_by_kernel(op, argv, in_place)


cdef object compute_by_kernel(Op op, PyObject** argv, bint in_place):
    """The arrays of an op that is not elementwise, by its kernel.

    The half precisions, complex32 too, go through single precision, unless data is only moved.
    """
    cdef PyObject* values[MAX_PARAMS]
    cdef list made = None   # keeps what stands here alone
    cdef int k, p, half = NO_DTYPE, code
    cdef object x, value
    for p in range(op.nparams):
        values[p] = argv[p]
    for k in range(op.ntensors):
        p = op.tensor_params[k]
        x = <object>argv[p]
        if isinstance(x, Tensor):
            value = (<Tensor>x).array
            if not op.moves:
                code = code_of((<Tensor>x).array)
                if refuses(op, code):
                    refuse_dtype(op, DTYPES[code])
                if computed_in(code) != code and not op.takes_half:
                    half = code if half == NO_DTYPE else half
                    value = cast_array(value, computed_in(code))
            if p == 0 and op.writes is not None and not in_place:
                value = value.copy(op.writes)
        elif type(x) is list or type(x) is tuple:
            value = [(<Tensor>item).array if isinstance(item, Tensor) else item for item in x]
        else:
            continue
        values[p] = <PyObject*>value
        if not isinstance(x, Tensor) or value is not (<Tensor>x).array:
            if made is None:
                made = []
            made.append(value)
    if op.moves and op.writes is None:
        results = PyObject_Vectorcall(op.kernel, values, op.nparams, NULL)
    else:
        results = quiet_call(op.kernel, values, op.nparams)
    if half != NO_DTYPE:
        if isinstance(results, (tuple, list)):
            return tuple([narrowed(np.asarray(r), half) for r in results])
        return narrowed(np.asarray(results), half)
    return results


cdef object apply_pointwise(Op op, PyObject** argv, int n, ndarray out):
    """An elementwise op on tensors and numbers."""
    if is_seen():
        return seen_op(op, argv, None)
    cdef Tensor result
    cdef unsigned int need = 0
    cdef int i
    cdef bint meta = False
    for i in range(n):
        if isinstance(<object>argv[i], Tensor):
            if (<Tensor>argv[i]).meta:
                meta = True
            elif requires(<Tensor>argv[i]):
                need |= 1u << i
    if meta:
        _any_meta(op, argv)
        need = needs(op, argv)
        result = wrap(meta_pointwise(op, argv, n))
        result.meta = True
    else:
        result = wrap(compute_pointwise(op, argv, n, out))
    if need and pb_thread.grad and not op.nondiff and has_gradients(result.array):
        record(op, argv, need, result)
    return result


cdef bint requires(Tensor t) noexcept:
    return t.requires or t.node is not None or (t.base is not None and requires(t.base))


cdef unsigned int needs(Op op, PyObject** argv) except? 0xFFFFFFFF:
    """The tensor parameters that want a gradient, a bit each."""
    cdef unsigned int need = 0
    cdef int k
    for k in range(op.ntensors):
        x = <object>argv[op.tensor_params[k]]
        if isinstance(x, Tensor):
            if requires(<Tensor>x):
                need |= 1u << k
        elif type(x) is list or type(x) is tuple:
            for item in x:
                if isinstance(item, Tensor) and requires(<Tensor>item):
                    need |= 1u << k
                    break
    return need


cdef Node history(Tensor t, int* index):
    """Where the gradient of a tensor goes: its node, or the accumulator of a leaf that requires it."""
    index[0] = 0
    if t.base is not None:
        refresh_view(t)
    if t.node is not None:
        index[0] = t.output_index
        return t.node
    if t.requires:
        return accumulator(t)
    return None


cdef Node accumulator(Tensor t):
    """The node that adds into `.grad` of a leaf."""
    cdef Node node = t.accumulator
    if node is None:
        node = Node.__new__(Node)
        node.kind = NODE_ACCUMULATE
        node.seq = 0xFFFFFFFFFFFFFFFF
        node.custom = PyWeakref_NewRef(t, None)
        node.saved = t.array
        node.describe(t.array)
        t.accumulator = node
    return node


cdef Node new_node(Op op, PyObject** argv, unsigned int need):
    """A node with its edges."""
    global sequence
    cdef Node node = Node.__new__(Node)
    cdef Node source
    cdef int k, index = 0
    node.op = op
    node.need = need
    for k in range(op.ntensors):
        x = <object>argv[op.tensor_params[k]]
        if isinstance(x, Tensor):
            source = None
            if (need >> k) & 1 and (op.joint is not None or op.rules[k] is not None):
                source = history(<Tensor>x, &index)
            node.add_edge(source, index if source is not None else 0)
        elif type(x) is list or type(x) is tuple:
            for item in x:
                source = history(<Tensor>item, &index) if isinstance(item, Tensor) else None
                node.add_edge(source, index if source is not None else 0)
        elif x is not None or (<str>op.kinds)[op.tensor_params[k]] != u'.':
            node.add_edge(None, 0)
            if x is not None:
                node.by_number |= 1 << k
    sequence += 1   # last: asking for an input's history may make nodes
    node.seq = sequence
    if anomaly:
        _anomaly.note(node)
    return node


cdef int record(Op op, PyObject** argv, unsigned int need, object outs) except -1:
    """Makes the node of an op that was just computed and hangs it on its results."""
    cdef Node node
    cdef Rare rare
    cdef Tensor t
    cdef int i
    if isinstance(outs, Tensor):
        t = <Tensor>outs
        if not has_gradients(t.array):
            return 0
        node = new_node(op, argv, need)
        t.node = node
        node.describe(t.array)
    else:
        if not any(has_gradients((<Tensor>x).array) for x in outs):
            return 0
        node = new_node(op, argv, need)
        rare = rare_of(node)
        rare.outputs = []
        node.noutputs = len(outs)
        for i, x in enumerate(outs):
            t = <Tensor>x
            if has_gradients(t.array):
                t.node = node
                t.output_index = i
                rare.outputs.append(output_of(t))
            else:
                rare.outputs.append(None)
    if op.nsaved:
        save_inputs(node, argv, need)
        save_results(node, outs)
    return 0


cdef int save_inputs(Node node, PyObject** argv, unsigned int need) except -1:
    """Keeps what the rules of the wanted gradients name, in the order of `op.saved_names`, but results."""
    cdef Op op = node.op
    cdef tuple saved = PyTuple_New(op.nsaved) if op.nsaved > 2 else None
    cdef object entry, x
    cdef int i, k = 0, kind
    for i in range(op.nsaved):
        entry = None
        kind = op.saved_kind[i]
        if op.saved_mask[i] & need and kind != SAVE_RESULT and kind != SAVE_RESULTS:
            x = <object>argv[op.saved_param[i]]
            if kind == SAVE_TENSOR:
                if type(x) is Tensor and lends(<Tensor>x) and saved_source(node, i, &k) is (<Tensor>x).node:
                    (<Tensor>x).node.lent = True
                    entry = lend_array(node, i, (<Tensor>x).array)
                else:
                    entry = keep(x)
            elif kind == SAVE_PARAM:
                entry = x
            elif isinstance(x, Tensor):
                entry = (<object>(<Tensor>x).array).shape if kind == SAVE_SHAPE else (<Tensor>x).dtype
            elif type(x) is list or type(x) is tuple:
                entry = [t.shape if kind == SAVE_SHAPE else t.dtype for t in x]
        if saved is None:
            set_saved(node, i, entry)
            continue
        Py_INCREF(entry)
        PyTuple_SET_ITEM(saved, i, entry)
    if saved is not None:
        PyObject_GC_UnTrack(<PyObject*>saved)
        node.saved = saved
    return 0


cdef int save_results(Node node, object outs) except -1:
    """Adds the results that the rules name to a node's saved values."""
    cdef Op op = node.op
    cdef object entry, x
    cdef int i, kind
    for i in range(op.nsaved):
        kind = op.saved_kind[i]
        if op.saved_mask[i] & node.need and (kind == SAVE_RESULT or kind == SAVE_RESULTS):
            if kind == SAVE_RESULT:
                x = outs if isinstance(outs, Tensor) else outs[op.saved_param[i]]
                entry = keep_result(<Tensor>x, node)
            else:
                entry = [keep_result(<Tensor>x, node) for x in outs]
            set_saved(node, i, entry)
    return 0
