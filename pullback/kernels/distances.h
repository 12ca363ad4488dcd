/* Distances between the rows of two stacks of matrices: see for_each_real.h for PB_REAL and F.

   PANEL rows of the second are taken at a time, turned so that one number of each stands side by side: the
   work goes along them, and is vector code. Numbers are added TERMS at a time. Squares of floats that
   overflow or vanish are computed in double. Read `OF_ORDER`, then `panels`. */

#define PANEL 32
#define TERMS 64

#ifndef PB_DISTANCES
#define PB_DISTANCES
typedef struct {
    int64_t n, m, d; /* rows of both matrices, and their length */
    double p;
} pb_distances;

enum { ORDER_0, ORDER_1, ORDER_2, ORDER_3, ORDER_INFINITE, ORDER_ANY };
#endif

/* What row x has to each row of a panel: `more` of two adds a term t, `merge` adds what was added. */
#define OF_ORDER(name, more, merge)                                                                          \
    PB_INLINE void F(name)(PB_REAL const* PB_RESTRICT x, PB_REAL const* PB_RESTRICT panel, int64_t d,        \
                           double p, PB_REAL* PB_RESTRICT out) {                                             \
        PB_REAL total[PANEL] = {0};                                                                          \
        (void)p;                                                                                             \
        for (int64_t start = 0; start < d; start += TERMS) {                                                 \
            int64_t const end = start + TERMS < d ? start + TERMS : d;                                       \
            PB_REAL part[PANEL] = {0};                                                                       \
            for (int64_t k = start; k < end; k++)                                                            \
                for (int j = 0; j < PANEL; j++) {                                                            \
                    PB_REAL const t = x[k] - panel[k * PANEL + j], a = part[j];                              \
                    part[j] = more;                                                                          \
                }                                                                                            \
            for (int j = 0; j < PANEL; j++) {                                                                \
                PB_REAL const a = total[j], b = part[j];                                                     \
                total[j] = merge;                                                                            \
            }                                                                                                \
        }                                                                                                    \
        for (int j = 0; j < PANEL; j++) out[j] = total[j];                                                   \
    }

OF_ORDER(order_0, a + (t != 0), a + b)
OF_ORDER(order_1, a + PB_ABS(t), a + b)
OF_ORDER(order_2, a + t * t, a + b)
OF_ORDER(order_3, a + t * t * PB_ABS(t), a + b)
OF_ORDER(order_infinite, PB_ABS(t) > a || t != t ? PB_ABS(t) : a, b > a || b != b ? b : a)
OF_ORDER(order_any, a + (PB_REAL)pow(PB_ABS(t), p), a + b)
#undef OF_ORDER

/* A euclidean distance that float squares lose. */
static PB_REAL F(far_or_near)(PB_REAL const* x, PB_REAL const* column, int64_t d) {
    double total = 0;
    for (int64_t k = 0; k < d; k++) {
        double const t = (double)x[k] - column[k * PANEL];
        total += t * t;
    }
    return (PB_REAL)sqrt(total);
}

/* Distances of rows first to last of x, one after another, from a panel of y's rows. */
static PB_CLONES void F(panel_of)(pb_distances const* s, PB_REAL const* x, int64_t rows, PB_REAL const* panel,
                                  int order, PB_REAL* out, int64_t pitch, int64_t count) {
    for (int64_t i = 0; i < rows; i++, x += s->d, out += pitch) {
        PB_REAL found[PANEL];
        if (order == ORDER_2) {
            F(order_2)(x, panel, s->d, 2, found);
            for (int j = 0; j < count; j++) {
                PB_REAL const t = found[j];
                int const safe = sizeof(PB_REAL) == 8 || (t > 1e-20 && t < 1e30) || t != t;
                found[j] = safe ? PB_SQRT(t) : F(far_or_near)(x, panel + j, s->d);
            }
        } else if (order == ORDER_1)
            F(order_1)(x, panel, s->d, 1, found);
        else if (order == ORDER_0)
            F(order_0)(x, panel, s->d, 0, found);
        else if (order == ORDER_INFINITE)
            F(order_infinite)(x, panel, s->d, 0, found);
        else {
            if (order == ORDER_3)
                F(order_3)(x, panel, s->d, 3, found);
            else
                F(order_any)(x, panel, s->d, s->p, found);
            for (int j = 0; j < count; j++) found[j] = (PB_REAL)pow(found[j], 1 / s->p);
        }
        memcpy(out, found, count * sizeof *found);
    }
}

PB_INLINE int F(order_of)(double p) {
    if (isinf(p)) return ORDER_INFINITE;
    return p == 2 ? ORDER_2 : p == 1 ? ORDER_1 : p == 3 ? ORDER_3 : p == 0 ? ORDER_0 : ORDER_ANY;
}

static void F(turn)(PB_REAL const* y, int64_t count, int64_t d, PB_REAL* panel) {
    memset(panel, 0, d * PANEL * sizeof *panel);
    for (int64_t j = 0; j < count; j++)
        for (int64_t k = 0; k < d; k++) panel[k * PANEL + j] = y[j * d + k];
}

/* Of all rows from all rows. geometry: rows of both, length, order; data: x, y, result. A part is a panel.
   */
static int F(between)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_distances s = {geometry[0], geometry[1], geometry[2]};
    int64_t const panels = (s.m + PANEL - 1) / PANEL;
    memcpy(&s.p, geometry + 3, sizeof s.p);
    for (int64_t part = begin; part < end; part++) {
        int64_t const matrix = part / panels, from = part % panels * PANEL;
        int64_t const count = s.m - from < PANEL ? s.m - from : PANEL;
        F(turn)((PB_REAL*)data[1] + (matrix * s.m + from) * s.d, count, s.d, (PB_REAL*)scratch);
        F(panel_of)(&s, (PB_REAL*)data[0] + matrix * s.n * s.d, s.n, (PB_REAL*)scratch, F(order_of)(s.p),
                    (PB_REAL*)data[2] + matrix * s.n * s.m + from, s.m, count);
    }
    return 0;
}

/* Of pairs of rows i < j of one matrix, in that order. geometry: rows, length, order; data: x, result. A
   part is a panel of the j. */
static int F(within)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_distances s = {geometry[0], geometry[0], geometry[1]};
    int64_t const n = s.n, panels = (n + PANEL - 1) / PANEL, pairs = n * (n - 1) / 2;
    PB_REAL* const panel = (PB_REAL*)scratch;
    memcpy(&s.p, geometry + 2, sizeof s.p);
    int const order = F(order_of)(s.p);
    for (int64_t part = begin; part < end; part++) {
        int64_t const matrix = part / panels, from = part % panels * PANEL;
        int64_t const count = n - from < PANEL ? n - from : PANEL;
        PB_REAL const* x = (PB_REAL*)data[0] + matrix * n * s.d;
        PB_REAL* out = (PB_REAL*)data[1] + matrix * pairs;
        F(turn)(x + from * s.d, count, s.d, panel);
        for (int64_t i = 0; i < from + count - 1; i++) { /* the pairs of i begin at i (2n - i - 1) / 2 */
            PB_REAL found[PANEL];
            int64_t const skip = i < from ? 0 : i + 1 - from;
            F(panel_of)(&s, x + i * s.d, 1, panel, order, found, 0, count);
            memcpy(out + i * (2 * n - i - 1) / 2 + from + skip - i - 1, found + skip,
                   (count - skip) * sizeof *found);
        }
    }
    return 0;
}

#undef PANEL
#undef TERMS
