"""The pool of threads under all work: it is in pool.h, and this module has the only one of a process.

Compiled modules take `cut` from here. How many threads may work is said by `set_threads`; at first it is
OMP_NUM_THREADS, or the number of processors that this process may use.
"""

import os

cdef extern from *:
    """
    #include "pullback/core/pool.h"
    static void pb_set_threads(int64_t n) { pb_set(&pb_pool.threads, n); }
    static int64_t pb_threads(void) { return pb_get(&pb_pool.threads); }
    static void pb_set_least(int64_t n) { pb_set(&pb_pool.least, n); }
    static int64_t pb_least(void) { return pb_get(&pb_pool.least); }
    static int64_t pb_turns(void) { return pb_get(&pb_pool.turn); }
    static int pb_workers(void) {
        pb_hold(&pb_pool.lock);
        int const count = pb_pool.workers;
        pb_leave(&pb_pool.lock);
        return count;
    }
    """
    cutter_t pb_cut
    void pb_watch_forks()
    void pb_set_threads(int64_t)
    int64_t pb_threads()
    void pb_set_least(int64_t)
    int64_t pb_least()
    int64_t pb_turns()
    int pb_workers()
    enum:
        PB_MOST_THREADS

cut = pb_cut
pb_watch_forks()


def threads():
    """How many threads may do one piece of work."""
    return pb_threads()


def set_threads(count):
    """Sets it; more than the pool can have are as many as it can."""
    pb_set_threads(min(count, <int>PB_MOST_THREADS))


def set_least_work(int64_t elements):
    """About how many elements make work that is cut; what it was before."""
    before = pb_least()
    pb_set_least(elements)
    return before


def workers():
    """How many threads the pool has started in this process."""
    return pb_workers()


def turns():
    """How many pieces of work were shared among threads until now."""
    return pb_turns()


def _first_threads():
    """OMP_NUM_THREADS, of whose numbers the first counts, or how many processors this process has."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if said.isdecimal() and int(said):
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


LEAST_WORK = 65536
set_threads(_first_threads())
set_least_work(LEAST_WORK)
