# Pointwise ops on operands of any shapes and strides.
#
# `_strided` is the whole of it: `_lay_out` broadcasts, `_new_result` makes a result whose dims lie in memory
# as the operands' do (NOTE [Order of dims]), `_sort_dims` and `_merge_dims` leave as few dims as can be, and
# `_run_lines` runs the loop along the first of them. Read `Walk` and `Lines`, then `_strided`.
#
# From other parts: _aligned, code_of, empty, equal, ITEMSIZE (arrays.pxi); Loops, _public,
# RELEASE_FROM (pointwise.pxi).

cdef enum:
    SHORT_ROW = 256          # a row up to so long that is repeated is laid out several times
    ROWS_TOGETHER = 8192     # in so many bytes

# NOTE [Order of dims]: a result's dims lie in memory as the operands' do. Dims are sorted by the first
# operand whose strides tell them apart, as in PyTorch; so the result of transposed operands is transposed.

cdef enum:
    MAX_DIMS = 16

cdef struct Walk:
    int nd
    npy_intp dims[MAX_DIMS]                    # the operands' shapes, broadcast
    npy_intp strides[MAX_IN + 1][MAX_DIMS]     # in bytes, 0 where an operand is repeated
    int order[MAX_DIMS]                        # the dims, fastest first


cdef int _slower(Walk* walk, int first, int operands, int left, int right) noexcept:
    """1 if dim `left` is slower than `right`, -1 if faster, 0 if no operand tells."""
    cdef npy_intp a, b
    cdef int k
    for k in range(first, operands):
        a, b = walk.strides[k][left], walk.strides[k][right]
        if a == 0 or b == 0:
            continue
        if a != b:
            return 1 if a > b else -1
        if walk.dims[left] > walk.dims[right]:
            return 1
    return 0


cdef void _sort_dims(Walk* walk, int first, int operands) noexcept:
    """Sorts the dims by the strides of the operands from `first` on, and else in C order."""
    cdef int i, at, before, verdict
    for i in range(walk.nd):
        walk.order[i] = walk.nd - 1 - i
    for i in range(1, walk.nd):
        at = i
        for before in range(i - 1, -1, -1):
            verdict = _slower(walk, first, operands, walk.order[before], walk.order[at])
            if verdict > 0:
                walk.order[before], walk.order[at] = walk.order[at], walk.order[before]
                at = before
            elif verdict < 0:
                break


cdef bint _lay_out(Walk* walk, int n, PyObject** arrays, ndarray out) except -1:
    """Broadcasts shapes and strides; False if the arrays are not for loops: unaligned, or of many dims."""
    cdef int i, j, lead
    cdef npy_intp extent
    walk.nd = PyArray_NDIM(out) if out is not None else 0
    for i in range(n):
        if arrays[i] != NULL:
            if not PyArray_ISBEHAVED_RO(<ndarray>arrays[i]):
                return False
            walk.nd = max(walk.nd, PyArray_NDIM(<ndarray>arrays[i]))
    if walk.nd > MAX_DIMS:
        return False
    for j in range(walk.nd):
        walk.dims[j] = 1
    for i in range(n):
        lead = walk.nd if arrays[i] == NULL else walk.nd - PyArray_NDIM(<ndarray>arrays[i])
        for j in range(lead, walk.nd):
            extent = PyArray_DIMS(<ndarray>arrays[i])[j - lead]
            if extent != 1:
                if walk.dims[j] != 1 and walk.dims[j] != extent:
                    common_shape(*[(<object>arrays[j]).shape for j in range(n) if arrays[j] != NULL])
                walk.dims[j] = extent
    for i in range(n):
        lead = walk.nd if arrays[i] == NULL else walk.nd - PyArray_NDIM(<ndarray>arrays[i])
        for j in range(walk.nd):
            if j < lead or (PyArray_DIMS(<ndarray>arrays[i])[j - lead] == 1 and walk.dims[j] != 1):
                walk.strides[i][j] = 0
            else:
                walk.strides[i][j] = PyArray_STRIDES(<ndarray>arrays[i])[j - lead]
    return True


cdef void _result_strides(Walk* walk, int n, PyObject** arrays, npy_intp* steps, npy_intp item) noexcept:
    """The strides of a result: those of operands that are dense and alike, else by the sorted dims."""
    cdef int i, j, channels, last = -1
    cdef bint alike = True, c_order = True, dense = True
    for i in range(n):
        if arrays[i] == NULL:
            alike = False   # a number is an operand of another shape
            continue
        c_order = c_order and PyArray_IS_C_CONTIGUOUS(<ndarray>arrays[i])
        alike = alike and PyArray_NDIM(<ndarray>arrays[i]) == walk.nd and (
            equal(walk.nd, PyArray_DIMS(<ndarray>arrays[i]), walk.dims))
        if last >= 0:
            dense = dense and equal(walk.nd, walk.strides[i], walk.strides[last])
        last = i
    if alike and c_order:
        for j in range(walk.nd):
            walk.order[j] = walk.nd - 1 - j
    else:
        _sort_dims(walk, 0, n)
    _fill_strides(walk, steps, item)
    if not alike or c_order or not dense or last < 0:
        return
    for j in range(walk.nd):
        if walk.dims[j] != 1 and steps[j] != walk.strides[last][j]:
            return
    channels = 0 if walk.nd != 4 else <int>walk.dims[1]
    if channels and (channels == 1 or steps[1] == item) and (
            walk.dims[3] == 1 or steps[3] == channels * item) and (
            walk.dims[2] == 1 or steps[2] == channels * walk.dims[3] * item):   # the format "channels last"
        walk.order[0], walk.order[1], walk.order[2], walk.order[3] = 1, 3, 2, 0
        _fill_strides(walk, steps, item)
    else:
        memcpy(steps, walk.strides[last], walk.nd * sizeof(npy_intp))


cdef void _fill_strides(Walk* walk, npy_intp* steps, npy_intp item) noexcept:
    """Dense strides in the walk's order."""
    cdef npy_intp step = item
    cdef int i
    for i in range(walk.nd):
        steps[walk.order[i]] = step
        step *= max(walk.dims[walk.order[i]], 1)


cdef ndarray _new_result(Walk* walk, int n, PyObject** arrays, int code):
    """A dense array in the order of dims that the operands give it."""
    cdef npy_intp steps[MAX_DIMS]
    cdef npy_intp step = ITEMSIZE[code]
    cdef PyArray_Descr* descr
    cdef int i
    _result_strides(walk, n, arrays, steps, step)
    for i in range(walk.nd - 1, -1, -1):
        if steps[i] != step:
            descr = PyArray_DESCR(<ndarray>np.empty(0, DTYPES[code].numpy))
            Py_INCREF(<object>descr)
            if _ALIGNED is None:
                return PyArray_NewFromDescr(ndarray, descr, walk.nd, walk.dims, steps, NULL, 0, None)
            return _aligned(walk.nd, walk.dims, steps, descr)
        step *= max(walk.dims[i], 1)
    return empty(walk.nd, walk.dims, code)


def ordered_like(arrays, ndarray result not None):
    """A result of a kernel in the order of dims that these operands give it: itself, or a copy."""
    cdef Walk walk
    cdef PyObject* found[MAX_IN]
    cdef int n = 0, j
    cdef ndarray out
    for a in arrays:
        if isinstance(a, ndarray) and n < MAX_IN:
            found[n] = <PyObject*>a
            n += 1
    if PyArray_NDIM(result) < 2 or not _lay_out(&walk, n, found, None) or walk.nd != PyArray_NDIM(result):
        return result
    for j in range(walk.nd):
        if walk.dims[j] != PyArray_DIMS(result)[j]:
            return result
    out = _new_result(&walk, n, found, code_of(result))
    if (<object>out).strides == (<object>result).strides:
        return result
    np.copyto(out, result)
    return out


cdef bint _meets(ndarray a, ndarray out) except -1:
    """Whether an input's memory may overlap the output's in another way than element on element."""
    cdef int j
    if PyArray_DATA(a) == PyArray_DATA(out) and PyArray_NDIM(a) == PyArray_NDIM(out):
        for j in range(PyArray_NDIM(a)):
            if PyArray_DIMS(a)[j] != PyArray_DIMS(out)[j] or PyArray_STRIDES(a)[j] != PyArray_STRIDES(out)[j]:
                break
        else:
            return False
    return np.may_share_memory(a, out)


cdef bint _loop_can_write(Walk* walk, int code, int n, PyObject** arrays, ndarray out) except -1:
    """Whether the loop may write the result of broadcast operands into `out`."""
    cdef int i
    if code_of(out) != code or not PyArray_ISBEHAVED_RO(out) or PyArray_NDIM(out) != walk.nd or (
            not equal(walk.nd, PyArray_DIMS(out), walk.dims)):
        return False
    for i in range(n):
        if arrays[i] != NULL and _meets(<ndarray>arrays[i], out):
            return False
    return True


cdef struct Lines:                       # what is left of a walk once its dims are merged
    int nd
    npy_intp dims[MAX_DIMS]              # the loop runs along the first
    npy_intp steps[MAX_IN + 1][MAX_DIMS]
    char* start[MAX_IN + 1]


cdef ndarray _strided(Loops table, int code, int n, PyObject** arrays, Number* numbers, ndarray out,
                      unsigned int wide, void* data):
    """Operands of any shapes and strides: dims sorted and merged, then the loop along the fastest."""
    cdef Walk walk
    cdef Lines lines
    cdef char together[ROWS_TOGETHER]
    cdef npy_intp size = 1, rest = 0
    cdef int i, j
    if not _lay_out(&walk, n, arrays, out):
        return _public(table, code, n, arrays, numbers, out, wide)
    if out is None:
        out = _new_result(&walk, n, arrays, table.out_code[code])
    elif not _loop_can_write(&walk, table.out_code[code], n, arrays, out):
        return _public(table, code, n, arrays, numbers, out, wide)
    for j in range(walk.nd):
        size *= walk.dims[j]
        walk.strides[n][j] = PyArray_STRIDES(out)[j]
    if size == 0:
        return out
    _sort_dims(&walk, n, n + 1)
    for i in range(n):
        lines.start[i] = <char*>(&numbers[i] if arrays[i] == NULL else PyArray_DATA(<ndarray>arrays[i]))
    lines.start[n] = <char*>PyArray_DATA(out)
    _merge_dims(&walk, n, &lines)
    if lines.nd == 2 and lines.dims[0] <= SHORT_ROW:
        rest = _repeat_row(&lines, n, ITEMSIZE[code], together)
    _run_lines(table.fn[code], data, n, &lines, size)
    if rest:
        for i in range(n + 1):
            lines.start[i] += lines.dims[1] * lines.steps[i][1]
        lines.dims[0], lines.dims[1] = rest, 1
        _run_lines(table.fn[code], data, n, &lines, rest)
    return out


cdef void _merge_dims(Walk* walk, int n, Lines* lines) noexcept:
    """Merges each dim, in the walk's order, into the one before it where every operand steps on evenly."""
    cdef int i, j, d, nd = 0
    cdef bint merges
    for j in range(walk.nd):
        d = walk.order[j]
        if walk.dims[d] == 1:
            continue
        merges = nd > 0
        for i in range(n + 1):
            merges = merges and walk.strides[i][d] == lines.steps[i][nd - 1] * lines.dims[nd - 1]
        if merges:
            lines.dims[nd - 1] *= walk.dims[d]
            continue
        lines.dims[nd] = walk.dims[d]
        for i in range(n + 1):
            lines.steps[i][nd] = walk.strides[i][d]
        nd += 1
    if nd == 0:   # one element
        nd, lines.dims[0] = 1, 1
        for i in range(n + 1):
            lines.steps[i][0] = 0
    lines.nd = nd


cdef npy_intp _repeat_row(Lines* lines, int n, npy_intp item, char* filled) noexcept:
    """Lays a short row that is repeated, as a bias is, out several times: so the loop runs over many rows.

    That holds for one such row among two dims, where all other operands are dense. Returns how many elements
    are left over at the end.
    """
    cdef npy_intp length = lines.dims[0], rows = lines.dims[1], have = length * item, total
    cdef npy_intp count = min(rows, ROWS_TOGETHER // have)
    cdef int i, row = -1
    if count < 2:
        return 0
    for i in range(n + 1):
        if i < n and row < 0 and lines.steps[i][1] == 0 and lines.steps[i][0] == item:
            row = i
        elif lines.steps[i][1] != lines.steps[i][0] * length:
            return 0
    if row < 0:
        return 0
    total = count * have
    memcpy(filled, lines.start[row], have)
    while have < total:   # by doubling
        memcpy(filled + have, filled, min(have, total - have))
        have *= 2
    lines.start[row] = filled
    for i in range(n + 1):
        lines.steps[i][1] *= count
    lines.dims[0], lines.dims[1] = count * length, rows // count
    return rows % count * length


cdef void _run_lines(loop_t fn, void* data, int n, Lines* lines, npy_intp size) noexcept:
    """The loop along the first dim, for each place in the others; `size` elements in all. See lines.h."""
    cdef int64_t[4 + MAX_DIMS * (MAX_IN + 2)] words
    cdef int64_t* dim = words + PB_LINE_HEAD
    cdef int64_t parts
    cdef int i, j
    words[0], words[1], words[2], words[3] = <int64_t><intptr_t>fn, <int64_t><intptr_t>data, n + 1, lines.nd
    for j in range(lines.nd - 1, -1, -1):
        dim[0] = lines.dims[j]
        for i in range(n + 1):
            dim[1 + i] = lines.steps[i][j]
        dim += n + 2
    parts = pb_line_parts(words)
    if size > RELEASE_FROM:
        with nogil:
            cut(pb_lines, words, lines.start, parts, NULL, 0, size)
    else:
        pb_lines(words, lines.start, 0, parts, NULL)
