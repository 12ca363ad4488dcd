"""What `_pool.pyx` shares: work in parts, done by the threads of the pool (see pool.h)."""

from libc.stdint cimport int64_t

cdef extern from "pullback/core/run.h":
    ctypedef int (*run_t "pb_run")(
        const int64_t* geometry, char** data, int64_t begin, int64_t end, char* scratch) noexcept nogil
    ctypedef int (*cutter_t "pb_cutter")(
        run_t run, const int64_t* geometry, char** data, int64_t parts, char* scratch, int64_t room,
        int64_t work) noexcept nogil

cdef cutter_t cut
