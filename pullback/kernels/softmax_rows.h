/* softmax and log_softmax of a row of n numbers, and their gradients: see `for_each_real.h` for PB_REAL, F.

   Each is a few passes over the row: the largest number, exp(x - largest), the sum, and the result of it.
   Sums run in LANES at a time, so that they are vector code and their error small, and end in double.
   Read `softmax_row`, then `softmax_gradient_row`. */

#define LANES 16
#define EXP F(pb_exp)

static PB_REAL F(largest)(PB_REAL const* x, npy_intp n) {
    PB_REAL lanes[LANES];
    npy_intp i, j;
    for (j = 0; j < LANES; j++) lanes[j] = x[j < n ? j : 0];
    for (i = 0; i + LANES <= n; i += LANES)
        for (j = 0; j < LANES; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    for (; i < n; i++) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
    for (j = 1; j < LANES; j++) lanes[0] = lanes[j] > lanes[0] ? lanes[j] : lanes[0];
    return lanes[0];
}

PB_INLINE double F(sum)(PB_REAL const* x, npy_intp n) {
    PB_REAL lanes[LANES] = {0};
    double total = 0;
    npy_intp i = 0, j;
    for (; i + LANES <= n; i += LANES)
        for (j = 0; j < LANES; j++) lanes[j] += x[i + j];
    for (j = 0; i < n; i++, j++) lanes[j] += x[i];
    for (j = 0; j < LANES; j++) total += lanes[j];
    return total;
}

PB_INLINE double F(dot)(PB_REAL const* x, PB_REAL const* y, npy_intp n) {
    PB_REAL lanes[LANES] = {0};
    double total = 0;
    npy_intp i = 0, j;
    for (; i + LANES <= n; i += LANES)
        for (j = 0; j < LANES; j++) lanes[j] += x[i + j] * y[i + j];
    for (j = 0; i < n; i++, j++) lanes[j] += x[i] * y[i];
    for (j = 0; j < LANES; j++) total += lanes[j];
    return total;
}

/* y = exp(x) / sum(exp(x)) */
static PB_CLONES void F(softmax_row)(PB_REAL const* PB_RESTRICT x, PB_REAL* PB_RESTRICT y, npy_intp n) {
    PB_REAL const top = F(largest)(x, n);
    npy_intp i;
    for (i = 0; i < n; i++) y[i] = EXP(x[i] - top);
    PB_REAL const total = (PB_REAL)F(sum)(y, n);
    for (i = 0; i < n; i++) y[i] /= total;
}

/* y = x - log(sum(exp(x))); y is also the room for the exponentials */
static PB_CLONES void F(log_softmax_row)(PB_REAL const* PB_RESTRICT x, PB_REAL* PB_RESTRICT y, npy_intp n) {
    PB_REAL const top = F(largest)(x, n);
    npy_intp i;
    for (i = 0; i < n; i++) y[i] = EXP(x[i] - top);
    PB_REAL const log_total = (PB_REAL)log(F(sum)(y, n));
    for (i = 0; i < n; i++) y[i] = (x[i] - top) - log_total;
}

/* The gradient of the input, of that of the result, g, and the result, y: y (g - sum(g y)) */
static PB_CLONES void F(softmax_gradient_row)(PB_REAL const* PB_RESTRICT g, PB_REAL const* PB_RESTRICT y,
                                              PB_REAL* PB_RESTRICT out, npy_intp n) {
    PB_REAL const total = (PB_REAL)F(dot)(g, y, n);
    npy_intp i;
    for (i = 0; i < n; i++) out[i] = y[i] * (g[i] - total);
}

/* g - exp(y) sum(g) */
static PB_CLONES void F(log_softmax_gradient_row)(PB_REAL const* PB_RESTRICT g, PB_REAL const* PB_RESTRICT y,
                                                  PB_REAL* PB_RESTRICT out, npy_intp n) {
    PB_REAL const total = (PB_REAL)F(sum)(g, n);
    npy_intp i;
    for (i = 0; i < n; i++) out[i] = g[i] - EXP(y[i]) * total;
}

static void F(softmax_rows)(PB_REAL const* x, PB_REAL* y, npy_intp rows, npy_intp n, int log_of_it) {
    npy_intp r;
    for (r = 0; r < rows; r++) (log_of_it ? F(log_softmax_row) : F(softmax_row))(x + r * n, y + r * n, n);
}

static void F(softmax_gradient_rows)(PB_REAL const* g, PB_REAL const* y, PB_REAL* out, npy_intp rows,
                                     npy_intp n, int log_of_it) {
    npy_intp r;
    for (r = 0; r < rows; r++)
        (log_of_it ? F(log_softmax_gradient_row) : F(softmax_gradient_row))(g + r * n, y + r * n, out + r * n,
                                                                            n);
}

#undef LANES
#undef EXP
