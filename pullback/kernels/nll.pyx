"""Losses of class numbers, and their gradients: the runs of nll.h, for all floats."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t

from pullback.core._plans cimport run_t

cdef extern from *:
    """
    #define TEMPLATE "pullback/kernels/nll.h"
    #include "pullback/kernels/floats.h"

    typedef int (*pb_run)(int64_t const*, char**, int64_t, int64_t, char*);
    #define RUN(op, type) {#op, #type, pb_##op##_##type},
    #define FLOATS(op) RUN(op, float16) RUN(op, bfloat16) RUN(op, float32) RUN(op, float64)
    static struct { char const *op, *type; pb_run run; } const pb_runs[] = {FLOATS(nll) FLOATS(nll_slope)};
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
        runs[(<bytes>pb_runs[i].type).decode()] = PyCapsule_New(<void*>pb_runs[i].run, "pullback.run", NULL)
    return found


RUNS = table()
