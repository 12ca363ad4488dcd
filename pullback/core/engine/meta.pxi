# Meta tensors: shapes and dtypes, strides and memory, but no numbers.
#
# Their arrays are windows on pages of zeros that are never touched (pullback/core/meta.py), so views work as
# on any tensor. What would compute runs on single elements instead: that gives the dtype and refuses what is
# to be refused, and the shape follows. Read `meta_pointwise`, then `compute_meta`.
#
# From other parts: Op, as_tuple, MAX_PARAMS (op.pxi); _check_broadcast, compute_pointwise (pointwise.pxi);
# Tensor, wrap (tensor.pxi); compute, plan_of (dispatch.pxi).

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
    """The arrays of an op that is not elementwise.

    By its meta rule, or that of reductions, or, at last, computed on zeros.
    """
    cdef tuple args = as_tuple(argv, op.nparams)
    cdef PyObject* values[MAX_PARAMS]
    if op.prepare_rule is not None:
        keep = []
        plan = plan_of(op, argv, values, keep)
        made = [meta_array(spec.shape, spec.dtype.numpy, None if spec.contiguous else
                           [step // spec.itemsize for step in spec.strides]) for spec in plan.results]
        if made:   # else the shapes depend on the numbers
            return made if plan.several else made[0]
    if op.meta_rule is not None:
        return op.meta_rule(*[(<Tensor>x).array if isinstance(x, Tensor) else
                              [(<Tensor>t).array if isinstance(t, Tensor) else t for t in x]
                              if type(x) in (list, tuple) and op.kinds[i] == "L" else x
                              for i, x in enumerate(args)])
    if op.ntensors == 1 and "dim" in op.params and "keepdim" in op.params:
        found = _meta_reduction(op, args)
        if found is not None:
            return found
    results = compute(op, argv)
    if isinstance(results, (tuple, list)):
        return [meta_array(np.shape(r), np.asarray(r).dtype) for r in results]
    return meta_array(np.shape(results), np.asarray(results).dtype)


cdef object _meta_reduction(Op op, tuple args):
    """The arrays of a reduction: dtypes from a run on one element, shapes from `dim` and `keepdim`."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef int i, place = op.tensor_params[0]
    cdef object a = (<Tensor>args[place]).array
    single = tuple([wrap(_single(a)) if i == place else x for i, x in enumerate(args)])
    for i in range(op.nparams):
        argv[i] = <PyObject*>single[i]
    results = compute(op, argv)
    dim, keepdim = args[op.params.index("dim")], args[op.params.index("keepdim")]
    dims = range(a.ndim) if dim is None or dim == () or dim == [] else [dim] if isinstance(dim, int) else dim
    dims = {d % a.ndim for d in dims} if a.ndim else set()
    shape = tuple([1 if d in dims else n for d, n in enumerate(a.shape) if keepdim or d not in dims])
    many = isinstance(results, (tuple, list))
    arrays = [np.asarray(r) for r in (results if many else (results,))]
    if any(r.ndim != len(shape) for r in arrays):
        return None
    made = tuple([meta_array(shape, r.dtype) for r in arrays])
    return made if many else made[0]
