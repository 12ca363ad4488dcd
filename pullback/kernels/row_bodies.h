/* Bodies of work on rows for float and double: see rows.h for pb_work, for_each_real.h for PB_REAL and F.

   A body reads each row a few times: the largest number, exp(x - largest), the sum, and the result of it; or
   the mean, what is off it, and the result. Sums run in LANES at a time, so that they are vector code, over
   blocks of BLOCK numbers, and over the blocks in double: fast, and exact enough. SUM writes the loop for one
   term.
   Read `softmax`, then `normalized`. */

#define LANES 16
#define BLOCK 2048
#define EXP_FALLING F(pb_exp_falling)
#define EXP_BELOW F(pb_exp_below)
#define AT(k, row, run) ((PB_REAL*)(w->p[k] + (row) * w->pitch[k] + (run) * w->apart[k]))
#define ONE(k, row) (*AT(k, row, 0))
#define EACH_ROW for (int64_t r = 0; r < w->rows; r++)
#define EACH_RUN for (int64_t s = 0; s < w->segments; s++)

#define FOLD_LANES(of_two)                                                                          \
    for (i = LANES / 2; i; i /= 2)                                                                  \
        for (j = 0; j < i; j++) lanes[j] = of_two;

#define SUM(term)                                                                                   \
    double total = 0;                                                                               \
    int64_t start, i, j;                                                                            \
    for (start = 0; start < n; start += BLOCK) {                                                    \
        int64_t const end = start + BLOCK < n ? start + BLOCK : n;                                  \
        PB_REAL lanes[LANES] = {0};                                                                 \
        for (i = start; i + LANES <= end; i += LANES)                                               \
            for (j = 0; j < LANES; j++) lanes[j] += term(i + j);                                    \
        for (j = 0; i < end; i++, j++) lanes[j] += term(i);                                         \
        FOLD_LANES(lanes[j] + lanes[j + i])                                                         \
        total += lanes[0];                                                                          \
    }                                                                                               \
    return total;

#define ITSELF(i) x[i]
PB_INLINE double F(sum)(PB_REAL const* x, int64_t n) { SUM(ITSELF) }

#define SQUARE(i) ((x[i] - center) * (x[i] - center))
PB_INLINE double F(sum_of_squares)(PB_REAL const* x, PB_REAL center, int64_t n) { SUM(SQUARE) }

#define PRODUCT(i) ((x[i] - center) * g[i])
PB_INLINE double F(sum_of_products)(PB_REAL const* x, PB_REAL center, PB_REAL const* g, int64_t n) {
    SUM(PRODUCT)
}

#define WEIGHTED(i) ((x[i] - center) * (g[i] * weight[i]))
PB_INLINE double F(sum_of_weighted)(PB_REAL const* x, PB_REAL center, PB_REAL const* g, PB_REAL const* weight,
                                    int64_t n) {
    SUM(WEIGHTED)
}

PB_INLINE PB_REAL F(largest)(PB_REAL const* x, int64_t n) {
    PB_REAL lanes[LANES];
    int64_t i, j;
    if (n < LANES)
        for (j = 0; j < LANES; j++) lanes[j] = x[0];
    else
        memcpy(lanes, x, sizeof lanes);
    for (i = 0; i + LANES <= n; i += LANES)
        ONE_BY_ONE for (j = 0; j < LANES; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    for (; i < n; i++) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
    FOLD_LANES(lanes[j + i] > lanes[j] ? lanes[j + i] : lanes[j])
    return lanes[0];
}

/* ---- softmax: x | y

   Short rows take each step together, so that one need not wait for what the last one folds. */

#define TOGETHER 16
#define EACH_OF_THEM for (int64_t k = 0; k < count; k++)

/* The largest numbers of some rows; y = exp(x - largest), and what sums to. Returns how many rows. */
PB_INLINE int64_t F(exponentials)(pb_work const* w, int64_t r, PB_REAL* tops, double* totals) {
    int64_t const n = w->length, most = n <= 1024 ? TOGETHER : 1, left = w->rows - r;
    int64_t const count = left < most ? left : most;
    EACH_OF_THEM tops[k] = F(largest)(AT(0, r + k, 0), n);
    EACH_OF_THEM {
        PB_REAL const* PB_RESTRICT x = AT(0, r + k, 0);
        PB_REAL* PB_RESTRICT y = AT(1, r + k, 0);
        PB_REAL const top = tops[k];
        for (int64_t i = 0; i < n; i++) y[i] = EXP_BELOW(x[i] - top);
    }
    EACH_OF_THEM totals[k] = F(sum)(AT(1, r + k, 0), n);
    return count;
}

/* y = exp(x) / sum(exp(x)) */
static PB_CLONES int F(softmax)(pb_work const* w) {
    PB_REAL tops[TOGETHER];
    double totals[TOGETHER];
    if (w->length)
        for (int64_t r = 0; r < w->rows;) {
            int64_t const count = F(exponentials)(w, r, tops, totals);
            EACH_OF_THEM {
                PB_REAL* PB_RESTRICT y = AT(1, r + k, 0);
                PB_REAL const share = (PB_REAL)(1 / totals[k]);
                for (int64_t i = 0; i < w->length; i++) y[i] *= share;
            }
            r += count;
        }
    return 0;
}

/* y = x - log(sum(exp(x))); y is also the room for the exponentials */
static PB_CLONES int F(log_softmax)(pb_work const* w) {
    PB_REAL tops[TOGETHER];
    double totals[TOGETHER];
    if (w->length)
        for (int64_t r = 0; r < w->rows;) {
            int64_t const count = F(exponentials)(w, r, tops, totals);
            EACH_OF_THEM {
                PB_REAL const* PB_RESTRICT x = AT(0, r + k, 0);
                PB_REAL* PB_RESTRICT y = AT(1, r + k, 0);
                PB_REAL const top = tops[k], log_total = (PB_REAL)log(totals[k]);
                for (int64_t i = 0; i < w->length; i++) y[i] = (x[i] - top) - log_total;
            }
            r += count;
        }
    return 0;
}

/* g, y | the gradient of the input: y (g - sum(g y)) */
static PB_CLONES int F(softmax_slope)(pb_work const* w) {
    int64_t const n = w->length;
    int64_t i;
    EACH_ROW {
        PB_REAL const *PB_RESTRICT g = AT(0, r, 0), *PB_RESTRICT y = AT(1, r, 0);
        PB_REAL* PB_RESTRICT out = AT(2, r, 0);
        PB_REAL const total = (PB_REAL)F(sum_of_products)(g, 0, y, n);
        for (i = 0; i < n; i++) out[i] = y[i] * (g[i] - total);
    }
    return 0;
}

/* g - exp(y) sum(g) */
static PB_CLONES int F(log_softmax_slope)(pb_work const* w) {
    int64_t const n = w->length;
    int64_t i;
    EACH_ROW {
        PB_REAL const *PB_RESTRICT g = AT(0, r, 0), *PB_RESTRICT y = AT(1, r, 0);
        PB_REAL* PB_RESTRICT out = AT(2, r, 0);
        PB_REAL const total = (PB_REAL)F(sum)(g, n);
        for (i = 0; i < n; i++) out[i] = g[i] - EXP_FALLING(y[i]) * total;
    }
    return 0;
}

/* g, x, logsumexp of x | g softmax(x), g and logsumexp being numbers of the row. Of a large logsumexp the
   last digit is more than some exponentials differ by: so these are divided by their sum, which is nearly
   one. */
static PB_CLONES int F(logsumexp_slope)(pb_work const* w) {
    EACH_ROW {
        PB_REAL const g = ONE(0, r), total = ONE(2, r);
        double sum = 0;
        EACH_RUN {
            PB_REAL const* PB_RESTRICT x = AT(1, r, s);
            PB_REAL* PB_RESTRICT out = AT(3, r, s);
            for (int64_t i = 0; i < w->length; i++) out[i] = EXP_FALLING(x[i] - total);
            sum += F(sum)(out, w->length);
        }
        PB_REAL const scale = sum > 0 && sum < INFINITY ? (PB_REAL)(g / sum) : g;
        EACH_RUN {
            PB_REAL* PB_RESTRICT out = AT(3, r, s);
            for (int64_t i = 0; i < w->length; i++) out[i] *= scale;
        }
    }
    return 0;
}

/* ---- normalisation; without a mean to write or to read the center is zero

   Weights and biases have a step, or are one number for each run. */

#define VECTOR(k) (w->p[k] && w->step[k])
#define NUMBER(k, otherwise) (w->p[k] ? *AT(k, r, s) : (otherwise))

/* The mean of a row, corrected for its rounding, and the squares of what is off it, summed. */
#define MOMENTS                                                                                     \
    double mean = 0, squares = 0;                                                                   \
    if (w->p[CENTER]) EACH_RUN mean += F(sum)(AT(0, r, s), n);                                      \
    mean /= count;                                                                                  \
    PB_REAL const center = (PB_REAL)mean;                                                           \
    EACH_RUN squares += F(sum_of_squares)(AT(0, r, s), center, n);                                  \
    squares -= (mean - center) * (mean - center) * count;

/* x | the variance with a correction, parameters[0], or its root if parameters[1]; the mean */
#define CENTER 2
static PB_CLONES int F(moments)(pb_work const* w) {
    int64_t const n = w->length, count = n * w->segments;
    EACH_ROW {
        MOMENTS
        double const variance = (squares > 0 ? squares : squares * 0) / (count - w->parameters[0]);
        ONE(1, r) = (PB_REAL)(w->parameters[1] ? sqrt(variance) : variance);
        ONE(2, r) = center;
    }
    return 0;
}
#undef CENTER

/* x, weight, bias | y, mean, rstd, variance: y = (x - mean) * rstd * weight + bias,
   rstd = 1 / sqrt(variance + eps) */
#define CENTER 4
static PB_CLONES int F(normalized)(pb_work const* w) {
    int64_t const n = w->length, count = n * w->segments;
    int64_t i;
    EACH_ROW {
        MOMENTS
        double const variance = squares / count;
        PB_REAL const rstd = (PB_REAL)(1 / sqrt(variance + w->parameters[0]));
        if (w->p[4]) ONE(4, r) = center;
        ONE(5, r) = rstd;
        if (w->p[6]) ONE(6, r) = (PB_REAL)variance;
        EACH_RUN {
            PB_REAL const *PB_RESTRICT x = AT(0, r, s), *PB_RESTRICT weight = AT(1, r, s);
            PB_REAL const* PB_RESTRICT bias = AT(2, r, s);
            PB_REAL* PB_RESTRICT y = AT(3, r, s);
            if (VECTOR(1) && VECTOR(2))
                for (i = 0; i < n; i++) y[i] = (x[i] - center) * rstd * weight[i] + bias[i];
            else if (VECTOR(1))
                for (i = 0; i < n; i++) y[i] = (x[i] - center) * rstd * weight[i];
            else if (VECTOR(2))
                for (i = 0; i < n; i++) y[i] = (x[i] - center) * rstd + bias[i];
            else {
                PB_REAL const scale = rstd * NUMBER(1, 1), shift = NUMBER(2, 0);
                for (i = 0; i < n; i++) y[i] = (x[i] - center) * scale + shift;
            }
        }
    }
    return 0;
}

/* x, weight, bias, mean, variance | y, by given statistics */
static PB_CLONES int F(scaled)(pb_work const* w) {
    PB_REAL const eps = (PB_REAL)w->parameters[0];
    int64_t const n = w->length;
    EACH_ROW {
        PB_REAL const *PB_RESTRICT x = AT(0, r, 0), *weight = AT(1, r, 0), *bias = AT(2, r, 0);
        PB_REAL const *mean = AT(3, r, 0), *variance = AT(4, r, 0);
        PB_REAL* PB_RESTRICT y = AT(5, r, 0);
        if (!w->step[4]) {
            PB_REAL const scale = 1 / PB_SQRT(*variance + eps) * (weight ? *weight : 1);
            PB_REAL const shift = (bias ? *bias : 0) - *mean * scale;
            for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale + shift;
        } else
            for (int64_t i = 0; i < n; i++) {
                PB_REAL const scale = 1 / PB_SQRT(variance[i] + eps) * (weight ? weight[i] : 1);
                y[i] = x[i] * scale + ((bias ? bias[i] : 0) - mean[i] * scale);
            }
    }
    return 0;
}

/* g, x, weight, mean, rstd | the gradient of x: with h = g * weight and xhat = (x - mean) * rstd
   rstd * (h - mean(h) - xhat * mean(h * xhat)), without mean(h) if the center is zero */
static PB_CLONES int F(normalized_slope)(pb_work const* w) {
    int64_t const n = w->length, count = n * w->segments;
    int64_t i;
    EACH_ROW {
        PB_REAL const center = w->p[3] ? ONE(3, r) : 0, rstd = ONE(4, r);
        double total = 0, along = 0;
        EACH_RUN {
            PB_REAL const *g = AT(0, r, s), *x = AT(1, r, s), *weight = AT(2, r, s);
            if (VECTOR(2)) {
                if (w->p[3]) total += F(sum_of_products)(g, 0, weight, n);
                along += F(sum_of_weighted)(x, center, g, weight, n);
            } else {
                double const factor = NUMBER(2, 1);
                if (w->p[3]) total += factor * F(sum)(g, n);
                along += factor * F(sum_of_products)(x, center, g, n);
            }
        }
        PB_REAL const flat = (PB_REAL)(total / count), tilt = (PB_REAL)(along / count * rstd * rstd);
        EACH_RUN {
            PB_REAL const *PB_RESTRICT g = AT(0, r, s), *PB_RESTRICT x = AT(1, r, s);
            PB_REAL const* PB_RESTRICT weight = AT(2, r, s);
            PB_REAL* PB_RESTRICT out = AT(5, r, s);
            if (VECTOR(2))
                for (i = 0; i < n; i++) out[i] = rstd * (g[i] * weight[i] - flat - (x[i] - center) * tilt);
            else {
                PB_REAL const factor = NUMBER(2, 1);
                for (i = 0; i < n; i++) out[i] = rstd * (g[i] * factor - flat - (x[i] - center) * tilt);
            }
        }
    }
    return 0;
}

/* g, x, mean, rstd | the gradients of a row's weight and bias: the sums of g * xhat and of g */
static PB_CLONES int F(normalized_sums)(pb_work const* w) {
    int64_t const n = w->length;
    int64_t i;
    EACH_ROW {
        double along = 0, total = 0;
        EACH_RUN {
            PB_REAL const *g = AT(0, r, s), *x = AT(1, r, s), *mean = AT(2, r, s), *rstd = AT(3, r, s);
            if (!w->step[3]) {
                along += *rstd * F(sum_of_products)(x, mean ? *mean : 0, g, n);
                total += F(sum)(g, n);
            } else
                for (i = 0; i < n; i++) {
                    along += g[i] * ((x[i] - (mean ? mean[i] : 0)) * rstd[i]);
                    total += g[i];
                }
        }
        ONE(4, r) = (PB_REAL)along;
        if (w->p[5]) ONE(5, r) = (PB_REAL)total;
    }
    return 0;
}

/* ---- x, y | the cosine of their angle, 1 / max(|x|, eps), 1 / max(|y|, eps) */

/* The euclidean norm: where squares would overflow or vanish, of numbers over the largest. */
PB_INLINE double F(length)(PB_REAL const* x, int64_t n) {
    double const squares = F(sum_of_squares)(x, 0, n);
    double top = 0, total = 0;
    if ((squares > 1e-20 && squares < 1e30) || squares != squares) return sqrt(squares);
    for (int64_t i = 0; i < n; i++) top = PB_ABS(x[i]) > top ? PB_ABS(x[i]) : top;
    if (top == 0 || top - top != 0) return top;
    for (int64_t i = 0; i < n; i++) total += (x[i] / top) * (x[i] / top);
    return sqrt(total) * top;
}

static PB_CLONES int F(cosine)(pb_work const* w) {
    double const eps = w->parameters[0];
    int64_t const n = w->length;
    EACH_ROW {
        PB_REAL const *x = AT(0, r, 0), *y = AT(1, r, 0);
        double const a = F(length)(x, n), b = F(length)(y, n);
        double const first = 1 / (a < eps ? eps : a), second = 1 / (b < eps ? eps : b);
        double along = F(sum_of_products)(x, 0, y, n) * first * second;
        if (along - along != 0) { /* the products overflow, but not those of unit vectors */
            along = 0;
            for (int64_t i = 0; i < n; i++) along += (x[i] * first) * (y[i] * second);
        }
        ONE(2, r) = (PB_REAL)along;
        ONE(3, r) = (PB_REAL)first;
        ONE(4, r) = (PB_REAL)second;
    }
    return 0;
}

/* ---- renorm: x | x, of a norm within a limit; the order 1 or 2, the limit, what is added to a norm */

#define MAGNITUDE(i) PB_ABS(x[i])
PB_INLINE double F(sum_of_magnitudes)(PB_REAL const* x, int64_t n) { SUM(MAGNITUDE) }

static PB_CLONES int F(renorm)(pb_work const* w) {
    double const order = w->parameters[0], limit = w->parameters[1], more = w->parameters[2];
    int64_t const n = w->length;
    EACH_ROW {
        PB_REAL const* x = AT(0, r, 0);
        PB_REAL* y = AT(1, r, 0);
        PB_REAL const size = (PB_REAL)(order == 1 ? F(sum_of_magnitudes)(x, n) : F(length)(x, n));
        PB_REAL const by = size > limit ? (PB_REAL)limit / (size + (PB_REAL)more) : 1;
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * by;
    }
    return 0;
}

#define CHUNK 1024 /* numbers that a loss is summed over at a time */
#include "pullback/kernels/loss_bodies.h"
#undef CHUNK
#include "pullback/kernels/column_bodies.h"

/* ---- glu: the halves a, b | a * sigmoid(b), and g, a, b | the gradients of a and b */

static PB_CLONES int F(glu)(pb_work const* w) {
    EACH_ROW EACH_RUN {
        PB_REAL const *PB_RESTRICT a = AT(0, r, s), *PB_RESTRICT b = AT(1, r, s);
        PB_REAL* PB_RESTRICT out = AT(2, r, s);
        for (int64_t i = 0; i < w->length; i++) out[i] = a[i] * F(rise)(b[i]);
    }
    return 0;
}

static PB_CLONES int F(glu_slope)(pb_work const* w) {
    EACH_ROW EACH_RUN {
        PB_REAL const *PB_RESTRICT g = AT(0, r, s), *PB_RESTRICT a = AT(1, r, s);
        PB_REAL const* PB_RESTRICT b = AT(2, r, s);
        PB_REAL *PB_RESTRICT da = AT(3, r, s), *PB_RESTRICT db = AT(4, r, s);
        for (int64_t i = 0; i < w->length; i++) {
            PB_REAL const up = F(rise)(b[i]), down = F(rise)(-b[i]);
            da[i] = g[i] * up;
            db[i] = g[i] * a[i] * up * down;
        }
    }
    return 0;
}

#undef LANES
#undef BLOCK
#undef TOGETHER
#undef EACH_OF_THEM
#undef EXP_FALLING
#undef EXP_BELOW
#undef AT
#undef ONE
#undef EACH_ROW
#undef EACH_RUN
#undef FOLD_LANES
#undef SUM
#undef ITSELF
#undef SQUARE
#undef PRODUCT
#undef WEIGHTED
#undef VECTOR
#undef NUMBER
#undef MOMENTS
#undef CENTER
