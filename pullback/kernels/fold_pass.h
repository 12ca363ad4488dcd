/* The loops of one pass of a fold, see fold.h: `fold` along runs, `rows` for WIDTH results at a time, `total`
   for either, by slices that threads share.

   A half precision has none of its own: a block of it becomes floats, for whose loops it is. */

#define X(p) LOAD(*(T const*)(p))
#ifdef ROUNDED
#define MERGE_AFTER ROWS
#else
#define MERGE_AFTER INT64_MAX
#endif

#if IS_HALF
static PB_CLONES A PASS_OF(float32, run)(char const* p, int64_t n, int64_t step, A m);
static PB_CLONES void PASS_OF(float32, row)(A* PB_RESTRICT a, char const* p, int64_t n, int64_t step,
                                            A const* m);

static A PASS(run)(char const* p, int64_t n, int64_t step, A m) {
    float x[BLOCK];
    if (n > BLOCK) {
        int64_t const half = n / 2 / LANES * LANES;
        A const a = PASS(run)(p, half, step, m), b = PASS(run)(p + half * step, n - half, step, m);
        return ADD_ALL(a, b);
    }
    WIDEN(p, n, step, x);
    return PASS_OF(float32, run)((char const*)x, n, sizeof *x, m);
}

static void PASS(row)(A* a, char const* p, int64_t n, int64_t step, A const* m) {
    float x[WIDTH];
    WIDEN(p, n, step, x);
    PASS_OF(float32, row)(a, (char const*)x, n, sizeof *x, m);
}
#else
static PB_CLONES A PASS(run)(char const* p, int64_t n, int64_t step, A m) {
    A lanes[LANES];
    int64_t i, j;
    (void)m;
    if (n > BLOCK) {
        int64_t const half = n / 2 / LANES * LANES;
        A const a = PASS(run)(p, half, step, m), b = PASS(run)(p + half * step, n - half, step, m);
        return ADD_ALL(a, b);
    }
    if (n < 8) { /* one after another: so are sums of a few numbers made elsewhere */
        A total = BEGIN;
        for (i = 0; i < n; i++) total = ADD_ONE(total, X(p + i * step), m);
        return total;
    }
    for (j = 0; j < LANES; j++) lanes[j] = BEGIN;
    if (step == sizeof(T)) {
        T const* x = (T const*)p;
        for (i = 0; i + LANES <= n; i += LANES)
            ONE_BY_ONE for (j = 0; j < LANES; j++) lanes[j] = ADD_ONE(lanes[j], LOAD(x[i + j]), m);
        for (j = 0; i < n; i++, j++) lanes[j] = ADD_ONE(lanes[j], LOAD(x[i]), m);
    } else
        for (i = 0; i < n; i++) lanes[i % LANES] = ADD_ONE(lanes[i % LANES], X(p + i * step), m);
#define MERGE_LANES(half)                                                                                    \
    for (j = 0; j < half; j++) lanes[j] = ADD_ALL(lanes[j], lanes[j + half]);
    MERGE_LANES(8) MERGE_LANES(4) MERGE_LANES(2) /* of sizes that the compiler knows: vector code */
#undef MERGE_LANES
    return ADD_ALL(lanes[0], lanes[1]);
}

static PB_CLONES void PASS(row)(A* PB_RESTRICT a, char const* p, int64_t n, int64_t step, A const* m) {
    int64_t j;
    (void)m;
    if (step == sizeof(T))
        for (j = 0; j < n; j++) a[j] = ADD_ONE(a[j], LOAD(((T const*)p)[j]), m[j]);
    else
        for (j = 0; j < n; j++) a[j] = ADD_ONE(a[j], X(p + j * step), m[j]);
}

#endif

static A PASS(fold)(char const* p, int64_t const* dims, int64_t count, int64_t size, A m) {
    int64_t at[64] = {0};
    A total = BEGIN;
    if (!size) return total;
    if (!count) return ADD_ONE(total, X(p), m);
    int64_t const n = dims[2 * count - 2], step = dims[2 * count - 1];
    if (count == 1) return PASS(run)(p, n, step, m);
    do {
        A const a = PASS(run)(p, n, step, m);
        total = ADD_ALL(total, a);
    } while (pb_next(dims, count - 1, at, &p));
    return total;
}

static void PASS(rows)(A* a, char const* p, int64_t n, int64_t step, int64_t const* dims, int64_t count,
                       int64_t size, A const* m) {
    int64_t at[64] = {0}, rows = 0, j;
    A some[WIDTH];
    for (j = 0; j < n; j++) a[j] = some[j] = BEGIN;
    if (size) do {
        PASS(row)(some, p, n, step, m);
        if (++rows % MERGE_AFTER == 0)
            for (j = 0; j < n; j++) {
                a[j] = ADD_ALL(a[j], some[j]);
                some[j] = BEGIN;
            }
    } while (pb_next(dims, count, at, &p));
    for (j = 0; j < n; j++) a[j] = ADD_ALL(a[j], some[j]);
}

typedef struct { /* of which a slice is a part of the work */
    A* a;
    char const* p;
    /* the elements for an index of the first dim, the indices of a slice */
    int64_t n, step, count, size, slice;
    int64_t const* dims;
    A const* m;
} PASS(job);

static int PASS(slices)(int64_t const* given, char** data, int64_t begin, int64_t end, char* scratch) {
    PASS(job) const* const job = (void const*)given;
    int64_t dims[2 * 64];
    (void)data, (void)scratch;
    memcpy(dims, job->dims, 2 * job->count * sizeof *dims);
    for (int64_t s = begin; s < end; s++) {
        int64_t const from = s * job->slice, rest = job->dims[0] - from;
        char const* const p = job->p + from * dims[1];
        dims[0] = rest < job->slice ? rest : job->slice;
        if (job->n)
            PASS(rows)(job->a + s * job->n, p, job->n, job->step, dims, job->count, dims[0] * job->size,
                       job->m);
        else
            job->a[s] = PASS(fold)(p, dims, job->count, dims[0] * job->size, *job->m);
    }
    return 0;
}

/* n results side by side, or the one along runs if n is 0, by about so many slices of the slowest dim. */
static void PASS(total)(A* a, char const* p, int64_t n, int64_t step, int64_t const* dims, int64_t count,
                        int64_t size, A const* m, int64_t slices) {
    int64_t const width = n ? n : 1;
    A some[SLICED];
    if (slices < 2) {
        if (n)
            PASS(rows)(a, p, n, step, dims, count, size, m);
        else
            *a = PASS(fold)(p, dims, count, size, *m);
        return;
    }
    int64_t const slice = ((dims[0] - 1) / slices / LANES + 1) * LANES, parts = (dims[0] - 1) / slice + 1;
    PASS(job) const job = {some, p, n, step, count, size / dims[0], slice, dims, m};
    pb_cut_slices(PASS(slices), (int64_t const*)&job, NULL, parts, NULL, 0, size * width);
    for (int64_t apart = 1; apart < parts; apart *= 2)
        for (int64_t s = 0; s + apart < parts; s += 2 * apart)
            for (int64_t j = 0; j < width; j++) {
                A* const one = some + s * width + j;
                *one = ADD_ALL(*one, one[apart * width]);
            }
    memcpy(a, some, width * sizeof *a);
}

#undef X
#undef MERGE_AFTER
