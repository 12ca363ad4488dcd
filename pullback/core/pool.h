/* One pool of threads under all work that may be cut: runs of plans, elementwise loops, programs, casts.

   Work is a function and a number of parts, any cut of which gives the same bits. `pb_cut` has them done by
   the caller and, where it pays, by some workers. Each of these has a share of the parts, which run on, and
   takes pieces from its beginning; who is done with its own takes pieces from the others'. So a worker that
   comes late costs nothing: the caller does its share as well.

       one at a time   a caller that finds the pool in use, a run within a run too, does its work by itself
       sleep           a worker without work looks out for some for some hundred microseconds, then sleeps
       errors          the status of the first part, in order, that has one; parts before it are all done
       fork            the child has no workers, and makes new ones when it first needs them
       Python          workers know nothing of it, and never hold the GIL; signals are left to its threads

   Read `pb_cut`, then `pb_take_pieces` and `pb_work_on`. Everything in `pb_pool` but what is atomic is under
   its lock. */

#ifndef PB_POOL_H
#define PB_POOL_H

#include "pullback/core/run.h"
#include <stdlib.h>

#if defined(_WIN32)
#include <windows.h>
typedef SRWLOCK pb_lock;
typedef CONDITION_VARIABLE pb_bell;
#define pb_hold AcquireSRWLockExclusive
#define pb_leave ReleaseSRWLockExclusive
#define pb_wait(bell, lock) SleepConditionVariableSRW(bell, lock, INFINITE, 0)
#define pb_ring WakeAllConditionVariable
#define PB_LOCK_INIT SRWLOCK_INIT
#define PB_BELL_INIT CONDITION_VARIABLE_INIT
#else
#include <pthread.h>
#include <signal.h>
typedef pthread_mutex_t pb_lock;
typedef pthread_cond_t pb_bell;
#define pb_hold pthread_mutex_lock
#define pb_leave pthread_mutex_unlock
#define pb_wait pthread_cond_wait
#define pb_ring pthread_cond_broadcast
#define PB_LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#define PB_BELL_INIT PTHREAD_COND_INITIALIZER
#endif

#if defined(_MSC_VER)
#define pb_get(p) InterlockedCompareExchange64((LONG64 volatile*)(p), 0, 0)
#define pb_set(p, x) InterlockedExchange64((LONG64 volatile*)(p), x)
#define pb_add(p, x) InterlockedExchangeAdd64((LONG64 volatile*)(p), x)
#define pb_pause YieldProcessor
#else
#define pb_get(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define pb_set(p, x) __atomic_store_n(p, x, __ATOMIC_RELEASE)
#define pb_add(p, x) __atomic_fetch_add(p, x, __ATOMIC_ACQ_REL)
#if defined(__x86_64__)
#define pb_pause __builtin_ia32_pause
#else
#define pb_pause() (void)0
#endif
#endif

enum {
    PB_MOST_THREADS = 64,
    PB_PIECES = 4,        /* of a share: so many times its owner takes some of it */
    PB_LOOKS = 20000,     /* a worker looks out for work before it sleeps: less than a millisecond */
    PB_STACK = 4 << 20,   /* bytes */
    PB_KEPT = 1 << 22     /* bytes of scratch memory that a worker keeps */
};

typedef struct {
    int64_t next; /* atomic */
    int64_t end, piece;
    char apart[104]; /* no two in a line of the cache, nor in neighbours */
} pb_share;

typedef struct {
    pb_run run;
    int64_t const* geometry;
    char** data;
    int64_t room, shares;
    int64_t failed; /* atomic: the first part of a piece that failed */
    int status;
    pb_share share[PB_MOST_THREADS];
} pb_job;

static struct {
    pb_lock lock;
    pb_bell work, done;
    pb_job* job;     /* that workers may join */
    int next, wanted; /* the share of the next that joins, how many may */
    int workers, asleep, busy;
    int64_t active;  /* atomic: workers in the job */
    int64_t turn;    /* atomic: how many jobs there were */
    int64_t threads; /* atomic: how many may do one piece of work */
    int64_t least;   /* atomic: below so much work nobody is woken */
} pb_pool = {PB_LOCK_INIT, PB_BELL_INIT, PB_BELL_INIT, NULL, 0, 0, 0, 0, 0, 0, 0, 1, 0};

/* Does what is left of one share after another, the own first. */
static void pb_take_pieces(pb_job* job, int64_t own, char* scratch) {
    for (int64_t k = 0; k < job->shares; k++) {
        pb_share* const share = &job->share[(own + k) % job->shares];
        for (;;) {
            int64_t const begin =
                pb_get(&share->next) < share->end ? pb_add(&share->next, share->piece) : share->end;
            if (begin >= share->end) break;
            if (begin > pb_get(&job->failed)) continue;
            int64_t const rest = share->end - begin;
            int const status = job->run(job->geometry, job->data, begin,
                                        begin + (rest < share->piece ? rest : share->piece), scratch);
            if (!status) continue;
            pb_hold(&pb_pool.lock);
            if (begin < job->failed) {
                pb_set(&job->failed, begin);
                job->status = status;
            }
            pb_leave(&pb_pool.lock);
        }
    }
}

/* A worker, from its first job to the end of the process. */
static void pb_work_on(void) {
    char* scratch = NULL;
    int64_t room = 0, turn = 0;
    for (;;) {
        for (int look = 0; look < PB_LOOKS && pb_get(&pb_pool.turn) == turn; look++) pb_pause();
        pb_hold(&pb_pool.lock);
        if (!pb_pool.wanted && pb_get(&pb_pool.turn) == turn) {
            pb_pool.asleep++;
            pb_wait(&pb_pool.work, &pb_pool.lock);
            pb_pool.asleep--;
        }
        turn = pb_get(&pb_pool.turn);
        if (!pb_pool.wanted) { /* it was too late: more may come soon */
            pb_leave(&pb_pool.lock);
            continue;
        }
        pb_job* const job = pb_pool.job;
        int64_t const own = pb_pool.next++;
        pb_pool.wanted--;
        pb_add(&pb_pool.active, 1);
        pb_leave(&pb_pool.lock);
        if (job->room > room || (room > PB_KEPT && job->room < PB_KEPT)) {
            free(scratch);
            room = job->room;
            scratch = malloc(room);
        }
        if (scratch || !job->room)
            pb_take_pieces(job, own, scratch);
        else
            room = 0; /* the others do it */
        pb_hold(&pb_pool.lock);
        if (pb_add(&pb_pool.active, -1) == 1) pb_ring(&pb_pool.done);
        pb_leave(&pb_pool.lock);
    }
}

#if defined(_WIN32)
static DWORD WINAPI pb_worker(void* nothing) {
    (void)nothing;
    pb_work_on();
    return 0;
}

static int pb_start_worker(void) {
    HANDLE const thread = CreateThread(NULL, PB_STACK, pb_worker, NULL, 0, NULL);
    if (thread) CloseHandle(thread);
    return thread != NULL;
}

static void pb_watch_forks(void) {}
#else
static void* pb_worker(void* nothing) {
    pb_work_on();
    return nothing;
}

static int pb_start_worker(void) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    int failed;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV), sigdelset(&all, SIGBUS), sigdelset(&all, SIGFPE), sigdelset(&all, SIGILL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PB_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, &attributes, pb_worker, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}

static void pb_before_fork(void) { pb_hold(&pb_pool.lock); }
static void pb_after_fork(void) { pb_leave(&pb_pool.lock); }
static void pb_in_child(void) {
    pb_lock const lock = PB_LOCK_INIT;
    pb_bell const bell = PB_BELL_INIT;
    pb_pool.lock = lock, pb_pool.work = pb_pool.done = bell;
    pb_pool.job = NULL;
    pb_pool.wanted = pb_pool.workers = pb_pool.asleep = pb_pool.busy = 0;
    pb_pool.active = 0;
}
static void pb_watch_forks(void) { (void)pthread_atfork(pb_before_fork, pb_after_fork, pb_in_child); }
#endif

/* How many threads, the caller among them, may do some work; the pool is then taken. */
static int64_t pb_take_pool(int64_t parts, int64_t work) {
    int64_t threads = pb_get(&pb_pool.threads);
    if (threads > parts) threads = parts;
    if (threads < 2 || work < pb_get(&pb_pool.least)) return 1;
    pb_hold(&pb_pool.lock);
    if (pb_pool.busy)
        threads = 1;
    else
        while (pb_pool.workers < threads - 1 && pb_start_worker()) pb_pool.workers++;
    if (threads > pb_pool.workers + 1) threads = pb_pool.workers + 1;
    if (threads > 1) pb_pool.busy = 1;
    pb_leave(&pb_pool.lock);
    return threads;
}

/* See `pb_cutter`; the status. */
static int pb_cut(pb_run run, int64_t const* geometry, char** data, int64_t parts, char* scratch,
                  int64_t room,
                  int64_t work) {
    int64_t const threads = pb_take_pool(parts, work);
    int64_t k, from = 0;
    pb_job job;
    if (threads < 2) return run(geometry, data, 0, parts, scratch);
    job.run = run, job.geometry = geometry, job.data = data, job.room = room, job.shares = threads;
    job.failed = INT64_MAX, job.status = 0;
    for (k = 0; k < threads; k++) {
        int64_t const size = parts / threads + (k < parts % threads);
        job.share[k].next = from;
        job.share[k].end = from += size;
        job.share[k].piece = (size + PB_PIECES - 1) / PB_PIECES;
    }
    pb_hold(&pb_pool.lock);
    pb_pool.job = &job;
    pb_pool.next = 1;
    pb_pool.wanted = (int)threads - 1;
    pb_add(&pb_pool.turn, 1);
    if (pb_pool.asleep) pb_ring(&pb_pool.work);
    pb_leave(&pb_pool.lock);
    pb_take_pieces(&job, 0, scratch);
    pb_hold(&pb_pool.lock);
    pb_pool.wanted = 0; /* whoever comes now has come too late */
    pb_leave(&pb_pool.lock);
    for (int look = 0; look < PB_LOOKS && pb_get(&pb_pool.active); look++) pb_pause();
    pb_hold(&pb_pool.lock);
    while (pb_get(&pb_pool.active)) pb_wait(&pb_pool.done, &pb_pool.lock);
    pb_pool.busy = 0;
    pb_leave(&pb_pool.lock);
    return job.status;
}

#endif
