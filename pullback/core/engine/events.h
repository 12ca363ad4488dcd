/* What a profiler notes: an array of records of one size, and the clock that they are timed with.

   The clock counts the processor's own ticks where these are known to be even (x86 with an invariant
   counter), which is quicker to read than the system's. Elsewhere it is the system's, in nanoseconds. */

#ifndef PB_EVENTS_H
#define PB_EVENTS_H

#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <time.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <x86intrin.h>
#define PB_HAS_TICKS 1
#else
#define PB_HAS_TICKS 0
#endif

typedef struct {
    uint64_t start, end; /* by pb_now; an end of 0: it was not seen */
    PyObject *what;      /* owned: an op, a function, a name */
    PyObject *detail;    /* owned, NULL for none */
    uint64_t number;     /* of the node that it made, or that ran; 0 for none */
    int64_t bytes;       /* taken, or given back if negative */
    int32_t outer;       /* the place of the event around, -1 for none */
    uint32_t thread;
    uint8_t kind, backward, in_place;
} pb_event;

static struct {
    pb_event *all;
    int64_t count, capacity;
    uint32_t generation; /* places are those of one generation */
    int even;            /* the processor's ticks are taken */
} pb_log;

/* What is noted, 0 for nothing. It is asked in front of every op, so compilers are told what to expect. */
static int pb_profiling;
#if defined(__GNUC__)
#define PB_PROFILING ((int)__builtin_expect(pb_profiling, 0))
#else
#define PB_PROFILING (pb_profiling)
#endif

static uint64_t pb_nanoseconds(void) {
#if defined(_WIN32)
    LARGE_INTEGER at, rate;
    QueryPerformanceCounter(&at);
    QueryPerformanceFrequency(&rate);
    return (uint64_t)((double)at.QuadPart * (1e9 / (double)rate.QuadPart));
#else
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
#endif
}

static void pb_choose_clock(void) {
#if PB_HAS_TICKS
    unsigned a, b, c, d = 0;
    pb_log.even = __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d >> 8 & 1);
#endif
}

static inline uint64_t pb_now(void) {
#if PB_HAS_TICKS
    if (pb_log.even) return __rdtsc();
#endif
    return pb_nanoseconds();
}

static int pb_more_events(void) {
    int64_t const capacity = pb_log.capacity ? 2 * pb_log.capacity : 4096;
    pb_event *const all = capacity > INT32_MAX ? NULL
                          : (pb_event *)realloc(pb_log.all, (size_t)capacity * sizeof(pb_event));
    if (!all) return -1;
    pb_log.all = all;
    pb_log.capacity = capacity;
    return 0;
}

/* A new event that begins now; its place, -1 where there is no memory. */
static inline int32_t pb_begin(PyObject *what, int kind, int backward, int32_t outer, uint32_t thread) {
    if (pb_log.count == pb_log.capacity && pb_more_events() < 0) return -1;
    pb_event *const e = &pb_log.all[pb_log.count];
    Py_INCREF(what);
    e->end = e->number = 0;
    e->what = what;
    e->detail = NULL;
    e->bytes = 0;
    e->outer = outer;
    e->thread = thread;
    e->kind = (uint8_t)kind;
    e->backward = (uint8_t)backward;
    e->in_place = 0;
    e->start = pb_now();
    return (int32_t)pb_log.count++;
}

/* Forgets all events from a place on. */
static void pb_forget_events(int64_t from) {
    while (pb_log.count > from) {
        pb_event *const e = &pb_log.all[--pb_log.count];
        Py_DECREF(e->what);
        Py_XDECREF(e->detail);
    }
    if (from == 0) {
        free(pb_log.all);
        pb_log.all = NULL;
        pb_log.capacity = 0;
        pb_log.generation++;
    }
}

#endif
