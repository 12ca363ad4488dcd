"""What `_views.pyx` shares with the engine: where the view of an index, a range or a key in brackets lies."""

from numpy cimport ndarray, npy_intp

cdef struct Geometry:
    int nd
    npy_intp offset         # in bytes, from the first element of what is viewed
    npy_intp dims[64]
    npy_intp strides[64]    # in bytes

cdef enum Lookup:           # how the views of an op are found: those whose arguments seldom come twice, anew
    BY_PLAN, BY_INDEX, BY_SELECT, BY_SLICE

cdef bint find_indexed(Geometry* g, int nd, npy_intp* dims, npy_intp* strides, npy_intp item,
                       object key) except -1
cdef bint find_selected(Geometry* g, int nd, npy_intp* dims, npy_intp* strides, object dim,
                        object index) except -1
cdef bint find_sliced(Geometry* g, int nd, npy_intp* dims, npy_intp* strides, object dim, object start,
                      object end, object step) except -1
cdef bint find_window(Geometry* g, ndarray a, object size, object stride, object start) except -1
cdef ndarray show(Geometry* g, ndarray a)
cdef void fill_shown(Geometry* g, char* data, char* element, npy_intp item) noexcept nogil
