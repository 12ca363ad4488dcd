"""What `_plans.pyx` shares with the engine and compiled runs: `Plan`, the type of a run, keys, tables."""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t, uint64_t
from numpy cimport ndarray, npy_intp

from pullback.core._pool cimport run_t

# data: the inputs' memory, then that of the results; begin..end: the parts of the work to do.
# A status other than 0 says what is wrong with the data; `Plan.refuse` makes the exception of it.

cdef inline object capsule_of(run_t run):
    """A run as a `Plan` takes it."""
    return PyCapsule_New(<void*>run, "pullback.run", NULL)

cdef class Spec:
    cdef readonly object dtype
    cdef readonly tuple shape, strides
    cdef readonly object offset

cdef struct Layout:
    int code, nd
    npy_intp* dims
    npy_intp* strides    # in bytes, of a view, or of what is not contiguous
    npy_intp offset
    bint ordered         # contiguous but for the order of its dims
    npy_intp size

cdef class Plan:
    cdef readonly tuple results
    cdef readonly object refuse
    cdef readonly bint several, view
    cdef bint long_work
    cdef run_t run
    cdef int64_t* geometry
    cdef int64_t parts, scratch, work
    cdef int nresults
    cdef Layout* layouts
    cdef object run_object, owner

cdef bint USE_PLANS
cdef Plan find_plan(object owner, object prepare, PyObject** values, int n)
cdef ndarray see(Plan plan, int i, ndarray a)
cdef bint makes(Plan plan, ndarray a) except -1
cdef int run_plan_into(Plan plan, PyObject** values, int n, object results, bint whole=*) except -1
cdef object run_plan(Plan plan, PyObject** values, int n)

cdef enum:
    MOST_WORDS = 192    # of a key; what is longer is decided anew at each call
    CAPACITY = 8192     # a power of two
    MOST_ENTRIES = 4096

cdef struct Entry:
    uint64_t hash
    int count
    int64_t* words
    PyObject* value

cdef struct Table:
    Entry entries[CAPACITY]
    int used

cdef int put(int64_t* words, int at, object x)
cdef int64_t put_length(object x)
cdef uint64_t hash_of(int64_t* words, int count) noexcept
cdef Entry* look_up(Table* table, uint64_t h, int64_t* words, int count) noexcept
cdef int enter(Table* table, uint64_t h, int64_t* words, int count, object value) except -1
cdef int empty_table(Table* table) except -1
