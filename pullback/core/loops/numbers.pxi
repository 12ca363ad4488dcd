# Python numbers and elements of arrays, as one element of some dtype.
#
# An operand that is a number, or a 0-dim array of another dtype, needs no array: its element is written into
# a `Number`, from where the loop reads it. Read `store_number`.
#
# From other parts: empty (arrays.pxi).

cdef int store_number(object number, int code, Number* where) except -1:
    """Writes a Python number as one element of that dtype; integers wrap as in C."""
    if code == FLOAT32:
        (<npy_float*>where)[0] = <npy_float><double>number
    elif code == FLOAT64:
        (<npy_double*>where)[0] = <double>number
    elif code == INT64:
        (<npy_int64*>where)[0] = <npy_int64>(number if -(1 << 63) <= number < (1 << 63) else _wrap(number))
    elif code == COMPLEX64:
        (<npy_float*>where)[0] = <npy_float><double>number.real
        (<npy_float*>where)[1] = <npy_float><double>number.imag
    elif code == COMPLEX128:
        (<npy_double*>where)[0] = <double>number.real
        (<npy_double*>where)[1] = <double>number.imag
    elif code == BOOL:
        (<npy_bool*>where)[0] = 1 if number else 0
    elif is_half(code):
        data = np.array(number, dtype=DTYPES[code].numpy)
        memcpy(where, PyArray_DATA(<ndarray>data), 2)
    elif is_eight_bits(code):
        data = DTYPES[code].from_floats(np.array(number, dtype=np.float32))
        memcpy(where, PyArray_DATA(<ndarray>data), 1)
    elif code == COMPLEX32:
        data = np.array(number, dtype=np.complex64).astype(DTYPES[code].numpy)
        memcpy(where, PyArray_DATA(<ndarray>data), 4)
    else:
        _store_int(number, code, where)
    return 0


cdef object _wrap(object number):
    if not -(1 << 63) <= number < (1 << 64):
        raise OverflowError("int too big to convert")
    return ((int(number) + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


cdef int _store_int(object number, int code, Number* where) except -1:
    cdef npy_int64 value = <npy_int64>_wrap(number)
    # Little and big endian alike: assign through the type, never through memory.
    if code == UINT8:
        (<npy_uint8*>where)[0] = <npy_uint8>value
    elif code == INT8:
        (<npy_int8*>where)[0] = <npy_int8>value
    elif code == INT16:
        (<npy_int16*>where)[0] = <npy_int16>value
    elif code == INT32:
        (<npy_int32*>where)[0] = <npy_int32>value
    elif code == UINT16:
        (<npy_uint16*>where)[0] = <npy_uint16>value
    elif code == UINT32:
        (<npy_uint32*>where)[0] = <npy_uint32>value
    else:
        (<npy_uint64*>where)[0] = <npy_uint64>value
    return 0


cdef bint cast_element(ndarray a, int source, int code, Number* where) noexcept:
    """Writes the element of a 0-dim array, dtype `source`, as one of `code`; False if NumPy is to do it."""
    cdef char* data = <char*>PyArray_DATA(a)
    cdef npy_int64 whole = 0
    cdef npy_double real = 0, imag = 0
    cdef bint is_integer = source <= INT64   # bool among them; the wide unsigned ones are left to NumPy
    if not PyArray_ISBEHAVED_RO(a):
        return False
    if source == BOOL or source == UINT8:
        whole = (<npy_uint8*>data)[0]
    elif source == INT8:
        whole = (<npy_int8*>data)[0]
    elif source == INT16:
        whole = (<npy_int16*>data)[0]
    elif source == INT32:
        whole = (<npy_int32*>data)[0]
    elif source == INT64:
        whole = (<npy_int64*>data)[0]
    elif source == FLOAT32 or source == COMPLEX64:
        real = (<npy_float*>data)[0]
        imag = (<npy_float*>data)[1] if source == COMPLEX64 else 0
    elif source == FLOAT64 or source == COMPLEX128:
        real = (<npy_double*>data)[0]
        imag = (<npy_double*>data)[1] if source == COMPLEX128 else 0
    else:
        return False
    if is_integer:
        real = <npy_double>whole
    if code == FLOAT32 or code == COMPLEX64:   # an integer at once: as a double it would be rounded twice
        (<npy_float*>where)[0] = <npy_float>whole if is_integer else <npy_float>real
        if code == COMPLEX64:
            (<npy_float*>where)[1] = <npy_float>imag
    elif code == FLOAT64 or code == COMPLEX128:
        (<npy_double*>where)[0] = real
        if code == COMPLEX128:
            (<npy_double*>where)[1] = imag
    elif code == INT64 and is_integer:
        (<npy_int64*>where)[0] = whole
    else:
        return False
    return True


cdef ndarray number_array(Number* where, int code):
    """A 0-dim array of one element stored at `where`."""
    cdef ndarray a = empty(0, NULL, code)
    memcpy(PyArray_DATA(a), where, PyArray_ITEMSIZE(a))
    return a
