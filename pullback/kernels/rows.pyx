"""Work on rows: running sums and products, extremes so far, and their gradients.

The ops are in scans.h, its template is scan.h; rows.h has what they share.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t

from pullback.core._plans cimport run_t

cdef extern from *:
    """
    #include "pullback/kernels/rows.h"
    #include "pullback/kernels/scans.h"

    typedef int (*pb_run)(int64_t const*, char**, int64_t, int64_t, char*);
    #define RUN(op, type) {#op, #type, pb_##op##_##type},
    #define FLOATS(op) RUN(op, float16) RUN(op, bfloat16) RUN(op, float32) RUN(op, float64)
    #define WHOLE(op)                                                                               \\
        RUN(op, bool_) RUN(op, uint8) RUN(op, int8) RUN(op, int16) RUN(op, int32) RUN(op, int64)
    static struct { char const *op, *type; pb_run run; } const pb_runs[] = {
        FLOATS(cumsum) WHOLE(cumsum) FLOATS(cumprod) WHOLE(cumprod) FLOATS(cummax) WHOLE(cummax)
        FLOATS(cummin) WHOLE(cummin) FLOATS(logcumsumexp)
        FLOATS(prod_slope) FLOATS(cumprod_slope) FLOATS(logcumsumexp_slope)
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
