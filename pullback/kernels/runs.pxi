# The compiled runs of a module, as plans take them.
#
# A module's C has the table `pb_runs` (runs.h): the op, the number type or the size of an element, the
# function. It includes this file after it, and has `RUNS`. A kind of work that has no types in its table, as
# the steps of steps.pyx, makes its capsules itself by `capsule_of`.

from pullback.core._plans cimport capsule_of, run_t

cdef extern from *:
    struct Named "pb_named":
        const char* op
        const char* type
        run_t run
    const Named* pb_runs
    int pb_count


def table():
    """The compiled runs: op -> dtype's name, or the size of an element -> capsule."""
    found = {}
    cdef int i
    for i in range(pb_count):
        runs = found.setdefault((<bytes>pb_runs[i].op).decode(), {})
        name = (<bytes>pb_runs[i].type).decode().rstrip("_")
        runs[int(name) if name.isdigit() else name] = capsule_of(pb_runs[i].run)
    return found


RUNS = table()
