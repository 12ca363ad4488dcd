"""Folds over any dims: sums, products, extremes, truth, moments, norms.

The ops are in reduce.h, the templates are fold.h and pick.h.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t

from pullback.core._plans cimport run_t

cdef extern from *:
    """
    #include "pullback/kernels/reduce.h"

    typedef int (*pb_run)(int64_t const*, char**, int64_t, int64_t, char*);
    #define RUN(op, type) {#op, #type, pb_##op##_##type},
    #define PICK(op, type) {#op "_pick", #type, pb_##op##_##type##_pick},
    #define FLOATS(M, op) M(op, float16) M(op, bfloat16) M(op, float32) M(op, float64)
    #define WHOLE(M, op) M(op, bool_) M(op, uint8) M(op, int8) M(op, int16) M(op, int32) M(op, int64)
    #define BOTH(M, op) FLOATS(M, op) WHOLE(M, op)
    static struct { char const *op, *type; pb_run run; } const pb_runs[] = {
        BOTH(RUN, sum) BOTH(RUN, prod) BOTH(RUN, count_nonzero) FLOATS(RUN, mean)
        BOTH(RUN, amax) BOTH(RUN, amin) BOTH(PICK, amax) BOTH(PICK, amin) BOTH(RUN, any) BOTH(RUN, all)
        FLOATS(RUN, var) FLOATS(RUN, std) FLOATS(RUN, logsumexp)
        FLOATS(RUN, norm1) FLOATS(RUN, norm2) FLOATS(RUN, norm_inf)
    };
    #define pb_count ((int)(sizeof pb_runs / sizeof *pb_runs))
    """
    struct Named:
        const char* op
        const char* type
        run_t run
    const Named* pb_runs
    int pb_count


def table():
    """The compiled runs: op -> dtype's name -> capsule."""
    found = {}
    cdef int i
    for i in range(pb_count):
        runs = found.setdefault((<bytes>pb_runs[i].op).decode(), {})
        name = (<bytes>pb_runs[i].type).decode().rstrip("_")
        runs[name] = PyCapsule_New(<void*>pb_runs[i].run, "pullback.run", NULL)
    return found


RUNS = table()
