# Meta tensors: shapes and dtypes, strides and memory, but no numbers.
#
# Their arrays are windows on pages of zeros that are never touched (pullback/core/meta.py), so views work as
# on any tensor. What would compute runs on single elements instead: that gives the dtype and refuses what is
# to be refused, and the shape follows. Read `meta_pointwise`, then `compute_meta`.
#
# From other parts: Op, as_tuple, MAX_PARAMS (op.pxi); _check_broadcast, compute_pointwise (pointwise.pxi);
# Tensor, wrap (tensor.pxi); arrays_of (dispatch.pxi).

cdef object meta_pointwise(Op op, PyObject** argv, int n):
    """The array of an elementwise op: the dtype of a run on one element, the operands' shapes broadcast."""
    cdef PyObject* single[MAX_IN]
    cdef list singles = []
    cdef list arrays = []
    cdef object a
    cdef int i
    for i in range(n):
        single[i] = argv[i]
        if isinstance(<object>argv[i], Tensor):
            a = (<Tensor>argv[i]).array
            arrays.append(a)
            singles.append(wrap(_single(a)))
            single[i] = <PyObject*>singles[len(singles) - 1]
    _check_broadcast(arrays)
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    result = compute_pointwise(op, single, n, None)
    for a in arrays:
        if a.shape == shape:
            return meta_array(shape, result.dtype, preserved_strides(a))
    return meta_array(shape, result.dtype)


cdef object _single(ndarray a):
    """One element with as many dims; a one, by which integers can be divided."""
    return np.ones((1,) * PyArray_NDIM(a), (<object>a).dtype)


cdef object compute_meta(Op op, PyObject** argv):
    """The arrays of an op that is not elementwise: as its `prepare` says, or its meta rule."""
    cdef tuple args = as_tuple(argv, op.nparams)
    cdef PyObject* values[MAX_PARAMS]
    if op.prepare_rule is not None:
        made = arrays_of(op, argv, values)
        plan = find_plan(op, op.prepare_rule, values, op.nparams)
        made = [meta_array(spec.shape, spec.dtype.numpy, None if spec.strides is None else
                           [step // spec.itemsize for step in spec.strides]) for spec in plan.results]
        if made:   # else the shapes depend on the numbers
            return made if plan.several else made[0]
    if op.meta_rule is not None:
        return op.meta_rule(*[(<Tensor>x).array if isinstance(x, Tensor) else
                              [(<Tensor>t).array if isinstance(t, Tensor) else t for t in x]
                              if type(x) in (list, tuple) and op.kinds[i] == "L" else x
                              for i, x in enumerate(args)])
    raise NotImplementedError(
        f"aten::{op.__name__}: attempted to run this operator with Meta tensors, but there was no fake impl "
        "or Meta kernel registered: the shape of its result depends on numbers, of which a meta tensor has "
        "none")
