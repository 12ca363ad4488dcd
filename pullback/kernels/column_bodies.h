/* Bodies for what lies across memory: see rows.h, and row_bodies.h, which has the macros. Here the rows of
   pb_work run along memory, and what is worked on together stands below one another in them: a column. Some
   columns at a time, CHUNK at most, go down through all rows. Their sums are made in PB_REAL for SOME rows,
   and over these in double. Read `column_softmax`. */

#define CHUNK 256
#define SOME 32
#define EACH_CHUNK                                                                                  \
    for (int64_t from = 0, m = 0; from < w->length; from += m)                                      \
        if ((m = w->length - from < CHUNK ? w->length - from : CHUNK))
#define X(k) (AT(k, r, 0) + from)
#define TOP(k) (AT(k, 0, 0) + from)
#define EACH_COLUMN for (int64_t i = 0; i < m; i++)
/* Adds a term of each row to `total`. */
#define ADD_UP(total, term)                                                                         \
    for (int64_t some = 0; some < w->rows; some += SOME) {                                          \
        PB_REAL part[CHUNK] = {0};                                                                  \
        for (int64_t r = some; r < w->rows && r < some + SOME; r++) EACH_COLUMN part[i] += term;    \
        EACH_COLUMN total[i] += part[i];                                                            \
    }

/* x | y */
#define SOFTMAX_OF(name, result, by)                                                                \
    static PB_CLONES int F(name)(pb_work const* w) {                                                \
        if (w->rows) EACH_CHUNK {                                                                   \
            PB_REAL top[CHUNK], share[CHUNK];                                                       \
            double total[CHUNK] = {0};                                                              \
            EACH_COLUMN top[i] = TOP(0)[i];                                                         \
            EACH_ROW EACH_COLUMN top[i] = X(0)[i] > top[i] ? X(0)[i] : top[i];                      \
            EACH_ROW {                                                                              \
                PB_REAL const* PB_RESTRICT x = X(0);                                                \
                PB_REAL* PB_RESTRICT y = X(1);                                                      \
                EACH_COLUMN y[i] = EXP_BELOW(x[i] - top[i]);                                        \
            }                                                                                       \
            ADD_UP(total, X(1)[i])                                                                  \
            EACH_COLUMN share[i] = (PB_REAL)by(total[i]);                                           \
            EACH_ROW {                                                                              \
                PB_REAL const* PB_RESTRICT x = X(0);                                                \
                PB_REAL* PB_RESTRICT y = X(1);                                                      \
                (void)x;                                                                            \
                EACH_COLUMN y[i] = result;                                                          \
            }                                                                                       \
        }                                                                                           \
        return 0;                                                                                   \
    }
SOFTMAX_OF(column_softmax, y[i] / share[i], )
SOFTMAX_OF(column_log_softmax, (x[i] - top[i]) - share[i], log)

/* g, y | the gradient of the input */
#define SOFTMAX_SLOPE_OF(name, term, result)                                                        \
    static PB_CLONES int F(name)(pb_work const* w) {                                                \
        EACH_CHUNK {                                                                                \
            PB_REAL share[CHUNK];                                                                   \
            double total[CHUNK] = {0};                                                              \
            ADD_UP(total, term)                                                                     \
            EACH_COLUMN share[i] = (PB_REAL)total[i];                                               \
            EACH_ROW {                                                                              \
                PB_REAL const *PB_RESTRICT g = X(0), *PB_RESTRICT y = X(1);                         \
                PB_REAL* PB_RESTRICT out = X(2);                                                    \
                EACH_COLUMN out[i] = result;                                                        \
            }                                                                                       \
        }                                                                                           \
        return 0;                                                                                   \
    }
SOFTMAX_SLOPE_OF(column_softmax_slope, X(0)[i] * X(1)[i], y[i] * (g[i] - share[i]))
SOFTMAX_SLOPE_OF(column_log_softmax_slope, X(0)[i], g[i] - EXP_FALLING(y[i]) * share[i])

/* x, weight, bias | y, mean, rstd, variance: `normalized` in row_bodies.h */
static PB_CLONES int F(column_normalized)(pb_work const* w) {
    double const count = (double)w->rows, least = w->parameters[0];
    EACH_CHUNK {
        PB_REAL center[CHUNK], variance[CHUNK], scale[CHUNK], shift[CHUNK] = {0};
        double total[CHUNK] = {0}, squares[CHUNK] = {0};
        ADD_UP(total, X(0)[i])
        EACH_COLUMN center[i] = (PB_REAL)(total[i] / count);
        ADD_UP(squares, (X(0)[i] - center[i]) * (X(0)[i] - center[i]))
        EACH_COLUMN {
            double const off = total[i] / count - center[i], square = squares[i] / count - off * off;
            variance[i] = (PB_REAL)square;
            scale[i] = (PB_REAL)(1 / sqrt(square + least));
        }
        size_t const size = (size_t)m * sizeof *scale;
        memcpy(TOP(4), center, size);
        memcpy(TOP(5), scale, size);
        if (w->p[6]) memcpy(TOP(6), variance, size);
        if (w->p[1]) EACH_COLUMN scale[i] *= TOP(1)[i];
        if (w->p[2]) memcpy(shift, TOP(2), size);
        EACH_ROW {
            PB_REAL const* PB_RESTRICT x = X(0);
            PB_REAL* PB_RESTRICT y = X(3);
            EACH_COLUMN y[i] = (x[i] - center[i]) * scale[i] + shift[i];
        }
    }
    return 0;
}

/* g, x, weight, mean, rstd | the gradient of x: `normalized_slope` */
static PB_CLONES int F(column_normalized_slope)(pb_work const* w) {
    double const count = (double)w->rows;
    EACH_CHUNK {
        PB_REAL flat[CHUNK], tilt[CHUNK], scale[CHUNK];
        double total[CHUNK] = {0}, along[CHUNK] = {0};
        PB_REAL const *PB_RESTRICT mean = TOP(3), *PB_RESTRICT rstd = TOP(4);
        ADD_UP(total, X(0)[i])
        ADD_UP(along, (X(1)[i] - mean[i]) * X(0)[i])
        EACH_COLUMN {
            flat[i] = (PB_REAL)(total[i] / count);
            tilt[i] = (PB_REAL)(along[i] / count * rstd[i] * rstd[i]);
            scale[i] = rstd[i];
        }
        if (w->p[2]) EACH_COLUMN scale[i] *= TOP(2)[i];
        EACH_ROW {
            PB_REAL const *PB_RESTRICT g = X(0), *PB_RESTRICT x = X(1);
            PB_REAL* PB_RESTRICT out = X(5);
            EACH_COLUMN out[i] = scale[i] * (g[i] - flat[i] - (x[i] - mean[i]) * tilt[i]);
        }
    }
    return 0;
}

/* g, x, mean, rstd | the gradients of weight and bias: `normalized_sums`; mean and rstd may be a row's own */
static PB_CLONES int F(column_normalized_sums)(pb_work const* w) {
    PB_REAL const none[CHUNK] = {0};
    EACH_CHUNK {
        double along[CHUNK] = {0}, total[CHUNK] = {0};
        for (int64_t some = 0; some < w->rows; some += SOME) {
            PB_REAL a[CHUNK] = {0}, b[CHUNK] = {0};
            for (int64_t r = some; r < w->rows && r < some + SOME; r++) {
                PB_REAL const *PB_RESTRICT g = X(0), *PB_RESTRICT x = X(1);
                if (w->step[3]) {
                    PB_REAL const *PB_RESTRICT mean = w->p[2] ? X(2) : none, *PB_RESTRICT rstd = X(3);
                    EACH_COLUMN a[i] += g[i] * ((x[i] - mean[i]) * rstd[i]);
                } else {
                    PB_REAL const center = w->p[2] ? ONE(2, r) : 0, rstd = ONE(3, r);
                    EACH_COLUMN a[i] += g[i] * ((x[i] - center) * rstd);
                }
                EACH_COLUMN b[i] += g[i];
            }
            EACH_COLUMN along[i] += a[i];
            EACH_COLUMN total[i] += b[i];
        }
        EACH_COLUMN TOP(4)[i] = (PB_REAL)along[i];
        if (w->p[5]) EACH_COLUMN TOP(5)[i] = (PB_REAL)total[i];
    }
    return 0;
}

#undef CHUNK
#undef SOME
#undef EACH_CHUNK
#undef X
#undef TOP
#undef EACH_COLUMN
#undef ADD_UP
#undef SOFTMAX_OF
#undef SOFTMAX_SLOPE_OF
