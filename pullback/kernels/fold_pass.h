/* The loops of one pass of a fold, see fold.h: `fold` along runs, `rows` for WIDTH results at a time.

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
    for (i = LANES / 2; i; i /= 2)
        for (j = 0; j < i; j++) lanes[j] = ADD_ALL(lanes[j], lanes[j + i]);
    return lanes[0];
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

#undef X
#undef MERGE_AFTER
