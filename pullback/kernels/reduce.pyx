"""Folds over any dims: sums, products, extremes. The ops are in reduce.h, the template is fold.h."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t

from pullback.core._plans cimport run_t

cdef extern from *:
    """
    #include "pullback/kernels/reduce.h"

    typedef int (*pb_run)(int64_t const*, char**, int64_t, int64_t, char*);
    #define FLOATS(op) {#op, "float16", pb_##op##_float16}, {#op, "bfloat16", pb_##op##_bfloat16}, \\
                       {#op, "float32", pb_##op##_float32}, {#op, "float64", pb_##op##_float64},
    static struct { char const *op, *type; pb_run run; } const pb_runs[] = {
        FLOATS(sum) FLOATS(mean) FLOATS(squares) FLOATS(prod) FLOATS(amax) FLOATS(amin)
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
        runs[(<bytes>pb_runs[i].type).decode()] = PyCapsule_New(<void*>pb_runs[i].run, "pullback.run", NULL)
    return found


RUNS = table()
