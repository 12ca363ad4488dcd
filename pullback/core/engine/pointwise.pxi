# Promotion, and elementwise ops: from tensors and numbers to one homogeneous loop.
#
# `compute_pointwise` is the whole of it: operands of one dtype go to the loop at once (`same_code`), others
# are brought to their common dtype first (`result_code`), and what NumPy has no loop for goes to the op's
# kernel (`_pointwise_kernel`). Promotion has three categories, tensors with dims, 0-dim tensors and numbers:
# `join` is within one, `combine` between two; docs of both in pullback/core/dtypes.py.
#
# From other parts: Op, MAX_PARAMS, PROMOTE_FLOAT (op.pxi); Tensor (tensor.pxi); same_shape (inplace.pxi).

cdef int PROMOTE[NCODES][NCODES]  # NO_DTYPE where PyTorch promotes to none
cdef int KIND[NCODES]             # a DtypeKind
cdef int TO_COMPLEX[NCODES]
cdef int TO_REAL[NCODES]


cdef _fill_promotion():
    for a in DTYPES:
        KIND[<int>a.code] = {"b": KIND_BOOL, "u": KIND_INTEGER, "i": KIND_INTEGER, "f": KIND_FLOAT,
                             "e": KIND_FLOAT,
                             "c": KIND_COMPLEX}[a.kind]
        TO_COMPLEX[<int>a.code] = NO_DTYPE if a.kind == "e" else a.to_complex().code
        TO_REAL[<int>a.code] = a.to_real().code
        for b in DTYPES:
            found = PROMOTION[a.code][b.code]
            PROMOTE[<int>a.code][<int>b.code] = NO_DTYPE if found is None else found.code


_fill_promotion()


cdef inline bint has_gradients(ndarray a) except -1:
    """Whether an array is of a dtype that gradients flow through: floating point or complex."""
    return KIND[code_of(a)] >= KIND_FLOAT


cdef int default_float = _dtypes.float32.code


def set_default_dtype(d, /):
    """Sets the dtype of tensors made from Python floats: a floating-point dtype.

    >>> import pullback as torch
    >>> torch.set_default_dtype(torch.float64); torch.tensor(0.5).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    global default_float
    if not isinstance(d, _dtypes.dtype):
        raise TypeError("invalid dtype object: only floating-point types are supported as the default type")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    if d.kind == "e":
        raise TypeError(f"couldn't find storage object {d.type_name}Storage")
    default_float = d.code
    _dtypes._Defaults.float = d


cdef int join(int a, int b) except -1:
    """Promotion within a category; NO_DTYPE stands for nothing there."""
    if a == b or b == NO_DTYPE:
        return a if a != NO_DTYPE else b
    if a == NO_DTYPE:
        return b
    if PROMOTE[a][b] == NO_DTYPE:
        _dtypes.promote_types(DTYPES[a], DTYPES[b])
    return PROMOTE[a][b]


cdef int combine(int higher, int lower) except -2:
    """Promotion of a higher category by a lower one; NO_DTYPE stands for nothing there."""
    if higher == NO_DTYPE or lower == NO_DTYPE:
        return lower if higher == NO_DTYPE else higher
    if KIND[higher] == KIND_COMPLEX:
        return higher
    if KIND[higher] == KIND_FLOAT:
        if KIND[lower] == KIND_COMPLEX and TO_COMPLEX[higher] == NO_DTYPE:
            DTYPES[higher].to_complex()
        return TO_COMPLEX[higher] if KIND[lower] == KIND_COMPLEX else higher
    if KIND[lower] >= KIND_FLOAT:
        return lower
    return join(higher, lower) if KIND[higher] == KIND_BOOL else higher


cdef int number_code(object x) except -1:
    """The dtype code a number stands for; TypeError for anything else."""
    if type(x) is float:
        return default_float
    if type(x) is int:
        return INT64
    if type(x) is bool:
        return BOOL
    found = number_dtype(x)
    if found is None:
        raise TypeError(f"must be Tensor or number, not {type(x).__name__}")
    return found.code


cdef int result_code(PyObject** argv, int n, int* codes, int first=0) except -1:
    """The common dtype of tensors and numbers from the `first` on; each one's own code goes to `codes`,
    None's is NO_DTYPE.
    """
    cdef int dim = NO_DTYPE, zero = NO_DTYPE, number = NO_DTYPE, i, code
    cdef object x
    for i in range(n):
        x = <object>argv[i]
        if isinstance(x, Tensor):
            code = code_of((<Tensor>x).array)
            if i < first:
                pass
            elif PyArray_NDIM((<Tensor>x).array) == 0:
                zero = join(zero, code)
            else:
                dim = join(dim, code)
        elif x is None:
            code = NO_DTYPE
        else:
            code = number_code(x)
            number = join(number, code)
        codes[i] = code
    code = combine(dim, combine(zero, number))
    return code if code != NO_DTYPE else default_float


_OPERANDS = frozenset("tensor other tensor1 tensor2 scalar scalar1 scalar2".split())


def result_type(*operands, **named):
    """The dtype of an arithmetic op on these tensors and numbers.

    >>> import pullback as torch
    >>> torch.result_type(torch.tensor([1, 2]), 1.5)
    torch.float32
    """
    cdef PyObject* argv[MAX_PARAMS]
    cdef int codes[MAX_PARAMS]
    cdef int i
    for name in named:
        if name not in _OPERANDS:
            raise TypeError(f"result_type() got an unexpected keyword argument '{name}'")
    operands += tuple(named.values())
    if len(operands) > MAX_PARAMS:
        raise TypeError(f"result_type() takes 2 operands, {len(operands)} were given")
    for i in range(len(operands)):
        argv[i] = <PyObject*>operands[i]
    return DTYPES[result_code(argv, len(operands), codes)]


cdef object _astype = np.ndarray.astype


cdef object cast_array(ndarray a, int code):
    if is_eight_bits(code) and code_of(a) != code:
        return DTYPES[code].from_floats(a)
    if code_of(a) == COMPLEX32 and KIND[code] != KIND_COMPLEX:
        a = cast_array(a, COMPLEX64)   # by itself it becomes the bool of its real part
    cdef PyObject* argv[2]
    cdef object target = DTYPES[code].numpy
    argv[0], argv[1] = <PyObject*>a, <PyObject*>target
    return quiet_call(_astype, argv, 2)


cdef ndarray cast_operand(ndarray a, int code):
    """An operand in another dtype; the result will lie as it does, so it lies as `a.to(dtype)` would."""
    cdef ndarray cast = cast_array(a, code)
    cdef int d
    for d in range(PyArray_NDIM(a) if PyArray_NDIM(a) > 1 else 0):
        if PyArray_STRIDES(a)[d] == 0 and PyArray_DIMS(a)[d] > 1:
            return ordered_like([a], cast)
    return cast


cdef inline int same_code(PyObject** argv, int n, PyObject** arrays) except -2:
    """The dtype code of tensors that all have one, else NO_DTYPE; their arrays go to `arrays`."""
    cdef int i, typenum = -1
    cdef ndarray a = None
    for i in range(n):
        if type(<object>argv[i]) is not Tensor:
            return NO_DTYPE
        a = (<Tensor>argv[i]).array
        if typenum >= 0 and PyArray_TYPE(a) != typenum:
            return NO_DTYPE
        typenum = PyArray_TYPE(a)
        arrays[i] = <PyObject*>a
    return code_of(a)


cdef object compute_pointwise(Op op, PyObject** argv, int n, ndarray out):
    """The array of an elementwise op: promote, then one homogeneous loop."""
    cdef int codes[MAX_IN]
    cdef PyObject* arrays[MAX_IN]
    cdef Number numbers[MAX_IN]
    cdef int i, k, code, kind, target
    cdef unsigned int wide = 0
    cdef object keep = None, x
    cdef ndarray a
    code = same_code(argv, n, arrays)
    if code != NO_DTYPE and (op.direct >> code) & 1 and (op.allowed >> code) & 1 and (
            op.loops is not None and op.loops.fn[code] != NULL) and (
            op.promotion != PROMOTE_FLOAT or KIND[code] >= KIND_FLOAT) and (not op.chooses or code == BOOL):
        if op.swapped:
            arrays[0], arrays[1] = arrays[1], arrays[0]
        return run_loop(op.loops, code, n, arrays, numbers, out)
    code = result_code(argv, n, codes, op.chooses)
    if op.check_bools is not None and BOOL in [codes[i] for i in range(n)]:
        op.check_bools(*[<object>argv[i] for i in range(n)])
    if op.promotion == PROMOTE_FLOAT and KIND[code] < KIND_FLOAT:
        code = default_float
    if not (op.allowed >> code) & 1:
        _check_broadcast([(<Tensor>argv[i]).array for i in range(n) if isinstance(<object>argv[i], Tensor)])
        _refuse(op, code)
    if op.loops is None:
        op._resolve()
    for k in range(n):
        i = n - 1 - k if op.swapped else k   # where the loop wants it
        x = <object>argv[k]
        if codes[k] == NO_DTYPE:
            break
        kind = code
        if k and op.wide_numbers and is_half(code):
            kind = FLOAT32
        if isinstance(x, Tensor):
            a = (<Tensor>x).array
            target = BOOL if op.chooses and k == 0 else code
            if codes[k] != target:
                if PyArray_NDIM(a) == 0 and target == code and (
                        cast_element(a, codes[k], kind, &numbers[i])):
                    arrays[i] = NULL
                    if kind != code:
                        wide |= 1u << i
                    continue
                a = cast_operand(a, target)
                if keep is None:
                    keep = []
                keep.append(a)
            arrays[i] = <PyObject*>a
        else:
            store_number(x if type(x) in (float, int, bool, complex) else x.item(), kind, &numbers[i])
            arrays[i] = NULL
            if kind != code:
                wide |= 1u << i
    else:
        if op.loops is not None and op.loops.fn[code] != NULL and (op.direct >> code) & 1:
            return run_loop(op.loops, code, n, arrays, numbers, out, wide)
    return _pointwise_kernel(op, argv, n, code, out)


cdef object _pointwise_kernel(Op op, PyObject** argv, int n, int code, ndarray out):
    """An elementwise op without a loop for the dtype: its plan, or its kernel, on promoted arrays.

    Numbers of half precision or less are computed in single precision and rounded once, unless the op takes
    them as they are.
    Numbers are rounded before, unless the op has `wide_numbers`.
    """
    cdef Number number
    cdef PyObject* values[MAX_IN]
    cdef int i, work = code if op.takes_half else computed_in(code)
    cdef list arrays = []
    cdef Plan plan = None
    for i in range(n):
        x = <object>argv[i]
        if isinstance(x, Tensor):
            a = (<Tensor>x).array
            if op.chooses and i == 0:
                arrays.append(a)
                continue
            if work != code and code_of(a) != code and not (i and op.wide_numbers):
                a = cast_operand(a, code)
            arrays.append(a if code_of(a) == work else cast_operand(a, work))
        elif x is None:
            arrays.append(None)
        elif work != code and not (i and op.wide_numbers):
            store_number(x, code, &number)
            arrays.append(cast_array(number_array(&number, code), work))
        else:
            store_number(x, work, &number)
            arrays.append(number_array(&number, work))
    _check_broadcast([a for a in arrays if a is not None])
    for i in range(n):
        values[i] = <PyObject*>arrays[i]
    if op.prepare_rule is not None:
        plan = find_plan(op, op.prepare_rule, values, n)
    if plan is not None and plan.run != NULL:
        result = run_plan(plan, values, n)
    else:
        if op.kernel is None and op.swapped:
            values[0], values[1] = values[1], values[0]
        result = quiet_call(op.kernel if op.kernel is not None else op.loops.ufunc, values, n)
    if not isinstance(result, ndarray):
        result = np.asarray(result)
    if PyArray_NDIM(result) > 1:
        result = ordered_like(arrays, result)
    if work != code:
        result = narrowed(result, code)
    if out is not None:
        np.copyto(out, result, casting="unsafe")
        return out
    return result


cdef ndarray narrowed(ndarray a, int code):
    """A result in single precision as one in that of the narrow dtype that it was computed for."""
    cdef int have = code_of(a)
    if have == FLOAT32:
        return cast_array(a, TO_REAL[code])
    if have == COMPLEX64 and TO_COMPLEX[code] == COMPLEX32:
        return cast_array(a, COMPLEX32)
    return a


cdef _check_broadcast(list arrays):
    cdef int i
    for i in range(1, len(arrays)):
        if not same_shape(<ndarray>arrays[0], <ndarray>arrays[i]):
            break
    else:
        return
    common_shape(*[a.shape for a in arrays])


cdef _refuse(Op op, int code):
    message = op.refuse(DTYPES[code]) if op.refuse is not None and not is_eight_bits(code) else None
    if message is not None:
        raise RuntimeError(message)
    refuse_dtype(op, DTYPES[code])


cdef refuse_dtype(Op op, d):
    raise NotImplementedError(f'"{_ops.kernel_name(op.name)}" not implemented for \'{d.type_name}\'')


cdef inline bint refuses(Op op, int code) noexcept:
    """Whether an op that is not elementwise, and more than moves numbers, cannot compute with a dtype."""
    return is_eight_bits(code) or (code == COMPLEX32 and not (op.allowed >> code) & 1)


cdef object refusing(Op op, prepare):
    """What makes the plans of an op that computes: there are none for what it does not compute with."""
    @functools.wraps(prepare)
    def prepared(*arguments):
        for x in arguments:
            for item in x if type(x) is list or type(x) is tuple else (x,):
                kind = getattr(item, "dtype", None)
                if isinstance(kind, _dtypes.dtype) and refuses(op, kind.code):
                    refuse_dtype(op, kind)
        return prepare(*arguments)
    return prepared
