"""The codes of dtypes by name, for compiled code: the rows of `pullback.core.dtypes.DTYPES`, in its order.

Those from FLOAT32 to COMPLEX128 are the dtypes that arithmetic runs in as they are. The half
precisions, which stand before them, go through float32; so do the floats of eight bits after them, and
complex32 through complex64, in the few ops that do more than move them. tests/core/test_compiled_sources.py
compares the names with DTYPES.
"""

cdef enum DtypeCode:
    NO_DTYPE = -1
    BOOL = 0
    UINT8
    INT8
    INT16
    INT32
    INT64
    UINT16
    UINT32
    UINT64
    FLOAT16
    BFLOAT16
    FLOAT32
    FLOAT64
    COMPLEX64
    COMPLEX128
    FLOAT8_E4M3FN
    FLOAT8_E5M2
    FLOAT8_E4M3FNUZ
    FLOAT8_E5M2FNUZ
    FLOAT8_E8M0FNU
    COMPLEX32
    NCODES

cdef enum DtypeKind:   # in the order of promotion; those from KIND_FLOAT on have gradients
    KIND_BOOL
    KIND_INTEGER
    KIND_FLOAT
    KIND_COMPLEX


cdef inline bint is_half(int code) noexcept nogil:
    """Whether a dtype is one of the half precisions."""
    return code == FLOAT16 or code == BFLOAT16


cdef inline bint is_eight_bits(int code) noexcept nogil:
    """Whether a dtype is one of the floats of eight bits."""
    return FLOAT8_E4M3FN <= code <= FLOAT8_E8M0FNU


cdef inline int computed_in(int code) noexcept nogil:
    """The dtype in which arithmetic on numbers of this one runs."""
    if code == COMPLEX32:
        return COMPLEX64
    return FLOAT32 if is_half(code) or is_eight_bits(code) else code


cdef inline bint sums_in_itself(int code) noexcept nogil:
    """Whether sums are computed in the dtype itself, neither widened nor rounded at the end."""
    return code == INT64 or FLOAT32 <= code <= COMPLEX128
