/* Losses of an input x and a target y, as bodies for float and double: see rows.h, and row_bodies.h, which
   has the macros. A loss is two functions of two numbers and a third, `k`: its value and its slope by x. LOSS
   makes the bodies of them: `name`, the losses one by one; `name_total`, their sum, over parameters[0];
   `name_slope`, g times the slope, over parameters[0], where g is one number or one for each.

   Operands are x, y, a weight or none, and what is `k` or none, which is else parameters[1]; for a slope g
   stands before them. */

#define LOSS_OPERANDS(first, from)                                                                  \
    PB_REAL const* PB_RESTRICT x = AT(first, r, s) + (from);                                        \
    PB_REAL const* PB_RESTRICT y = AT((first) + 1, r, s) + (from);                                  \
    PB_REAL const* PB_RESTRICT weight = w->p[(first) + 2] ? AT((first) + 2, r, s) + (from) : NULL;  \
    PB_REAL const* PB_RESTRICT third = w->p[(first) + 3] ? AT((first) + 3, r, s) + (from) : NULL;
/* out[i] = up * function(x[i], y[i], k) * weight[i] for n numbers; without weights it is a loop of its own */
#define EACH_OF(out, up, function, n)                                                               \
    if (third || weight)                                                                            \
        for (int64_t i = 0; i < (n); i++)                                                           \
            (out)[i] = up * (function(x[i], y[i], third ? third[i] : k) * (weight ? weight[i] : 1)); \
    else                                                                                            \
        for (int64_t i = 0; i < (n); i++) (out)[i] = up * function(x[i], y[i], k);

#define LOSS(name)                                                                                  \
    static PB_CLONES int F(name)(pb_work const* w) {                                                \
        PB_REAL const k = (PB_REAL)w->parameters[1];                                                \
        EACH_ROW EACH_RUN {                                                                         \
            LOSS_OPERANDS(0, 0)                                                                     \
            PB_REAL* PB_RESTRICT out = AT(4, r, s);                                                 \
            EACH_OF(out, 1, F(name##_value), w->length)                                             \
        }                                                                                           \
        return 0;                                                                                   \
    }                                                                                               \
    static PB_CLONES int F(name##_total)(pb_work const* w) {                                        \
        PB_REAL const k = (PB_REAL)w->parameters[1];                                                \
        double total = 0;                                                                           \
        EACH_ROW EACH_RUN for (int64_t from = 0; from < w->length; from += CHUNK) {                 \
            int64_t const n = w->length - from < CHUNK ? w->length - from : CHUNK;                  \
            PB_REAL some[CHUNK];                                                                    \
            LOSS_OPERANDS(0, from)                                                                  \
            EACH_OF(some, 1, F(name##_value), n)                                                    \
            total += F(sum)(some, n);                                                               \
        }                                                                                           \
        ONE(4, 0) = (PB_REAL)(total / w->parameters[0]);                                            \
        return 0;                                                                                   \
    }                                                                                               \
    static PB_CLONES int F(name##_slope)(pb_work const* w) {                                        \
        PB_REAL const k = (PB_REAL)w->parameters[1], share = (PB_REAL)w->parameters[0];             \
        EACH_ROW EACH_RUN {                                                                         \
            LOSS_OPERANDS(1, 0)                                                                     \
            PB_REAL const* PB_RESTRICT g = AT(0, r, s);                                             \
            PB_REAL* PB_RESTRICT out = AT(5, r, s);                                                 \
            PB_REAL const own = w->step[0] ? 0 : *g / share;                                        \
            if (w->step[0]) {                                                                       \
                EACH_OF(out, g[i] / share, F(name##_bend), w->length)                               \
            } else {                                                                                \
                EACH_OF(out, own, F(name##_bend), w->length)                                        \
            }                                                                                       \
        }                                                                                           \
        return 0;                                                                                   \
    }

PB_INLINE PB_REAL F(mse_value)(PB_REAL x, PB_REAL y, PB_REAL k) { return (x - y) * (x - y); }
PB_INLINE PB_REAL F(mse_bend)(PB_REAL x, PB_REAL y, PB_REAL k) { return 2 * (x - y); }
LOSS(mse)

/* half the square of small distances, and k * (distance - k / 2) beyond; NaN stays in both */
PB_INLINE PB_REAL F(huber_value)(PB_REAL x, PB_REAL y, PB_REAL k) {
    PB_REAL const size = PB_ABS(x - y), near = size < k ? size : k;
    return near * (size - near * (PB_REAL)0.5);
}
PB_INLINE PB_REAL F(huber_bend)(PB_REAL x, PB_REAL y, PB_REAL k) {
    PB_REAL const away = x - y, low = away < -k ? -k : away;
    return low > k ? k : low;
}
LOSS(huber)

PB_INLINE PB_REAL F(smooth_l1_value)(PB_REAL x, PB_REAL y, PB_REAL k) { return F(huber_value)(x, y, k) / k; }
PB_INLINE PB_REAL F(smooth_l1_bend)(PB_REAL x, PB_REAL y, PB_REAL k) { return F(huber_bend)(x, y, k) / k; }
LOSS(smooth_l1)

/* with q = exp(-|z|): log(1 + exp(-z)), and sigmoid(z) */
#define FALL(z) EXP_BELOW(-PB_ABS(z))
#define SOFT(z) (F(pb_log1p_unit)(FALL(z)) + ((z) < 0 ? -(z) : 0))
PB_INLINE PB_REAL F(rise)(PB_REAL z) {
    PB_REAL const q = FALL(z);
    return (z < 0 ? q : 1) / (1 + q);
}

PB_INLINE PB_REAL F(soft_margin_value)(PB_REAL x, PB_REAL y, PB_REAL k) { return SOFT(x * y); }
PB_INLINE PB_REAL F(soft_margin_bend)(PB_REAL x, PB_REAL y, PB_REAL k) { return -y * F(rise)(-x * y); }
LOSS(soft_margin)

/* k is the weight of the positive targets */
PB_INLINE PB_REAL F(bce_logits_value)(PB_REAL x, PB_REAL y, PB_REAL k) {
    PB_REAL const steep = (k - 1) * y + 1, left = 1 - y, taken = k * y;
    /* x may be infinite */
    PB_REAL const above = left == 0 ? 0 : left * x, below = taken == 0 ? 0 : -taken * x;
    return steep * F(pb_log1p_unit)(FALL(x)) + (x < 0 ? below : above);
}
PB_INLINE PB_REAL F(bce_logits_bend)(PB_REAL x, PB_REAL y, PB_REAL k) {
    return (1 - y) * F(rise)(x) - k * y * F(rise)(-x);
}
LOSS(bce_logits)

#undef LOSS_OPERANDS
#undef EACH_OF
#undef LOSS
#undef FALL
#undef SOFT
