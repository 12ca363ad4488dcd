"""What `_replay.pyx` shares with the engine: a recording that is ready to run."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from numpy cimport ndarray, npy_intp

from pullback.core._loops cimport loop_t
from pullback.core._plans cimport run_t

cdef enum Home:     # where a memory comes from
    GIVEN           # an array of the caller's
    KEPT            # one that belongs to the recording and is only read
    WORK            # a part of the recording's own memory
    FRESH           # a new array at each run, for the caller to keep
    FOUND           # what a call gives
    LATE            # memory that is taken from its first use to its last

cdef enum ActKind:
    LINE            # a loop over contiguous operands
    LOOP            # a loop over any operands
    RUN             # the run of a plan
    PLAN            # the same of much work
    COPY            # one value into another
    CALL            # a Python function of arrays that gives arrays
    CHECK           # whether a number is what it was
    ASIDE           # a Python function without arguments, which sees and changes what it likes

cdef struct Place:
    int memory
    npy_intp offset

cdef struct Value:
    Place place
    int code, nd
    npy_intp* dims
    npy_intp* strides
    bint contiguous, ordinary   # in rows; by the strides of dims of one, too

cdef struct Act:
    ActKind kind
    int n                   # of places, of results
    int nresults
    Place* places
    npy_intp* steps
    npy_intp size
    loop_t fn
    void* data
    run_t run
    int64_t* geometry
    int64_t parts, scratch, work
    PyObject* what          # what a slow act needs, a tuple

cdef class Replay:
    cdef int nmemories, nvalues, nacts, ngiven
    cdef char** base
    cdef Home* homes
    cdef bint* asked        # whether a value lies in a memory
    cdef Value* values
    cdef PyObject** owners
    cdef PyObject** arrays
    cdef Act* acts
    cdef list held, fresh, passing
    cdef dict forms         # of fresh memories the value that covers them, of late ones their bytes
    cdef char* scratch
    cdef int64_t most_scratch
    cdef readonly bint busy, takes_late
    cdef readonly int at
    cdef object helper          # whose `aside` is called by acts of this kind

    cdef int begin(self, PyObject** given) except -1
    cdef bint run(self) except -1
    cdef int make(self, int memory) except -1
    cdef void end(self) noexcept
    cdef ndarray array(self, int v)
    cdef int own(self, int memory, ndarray a) except -1
    cdef int describe(self, Value* v, int memory, Py_ssize_t offset, int code, shape, strides) except -1
    cdef int prepare(self, Act* act, tuple spec) except -1
    cdef bint line_up(self, Act* act, tuple spec) except -1
    cdef bint point_out(self, Act* act, tuple spec) except -1
    cdef int room(self, Act* act, int n) except -1
    cdef int refuse(self, tuple spec, int status) except -1
    cdef object argument(self, object x)
    cdef int _do(self, Act* act) except -1
