/* Activations, their slopes, and power: see `for_each_real.h` for PB_REAL and F.

   First the functions of one number, `f(x)` or `f(x, parameters)`, without branches where that can be: a
   choice is computed on both sides. A `_slope` is the derivative. Then `power`. Then, for each function `f`,
   the loop `f_loop` of a ufunc, which LOOP1 to LOOP4 write, by how many inputs it has. Parameters that are
   numbers come with a step of zero, and the contiguous loop over x with such parameters is the one that
   compilers make vector code of; LOOP_VVP is for two runs of numbers and one number. What each computes is
   said where its op is declared, see `curves.pyx`.
   Read `logistic` and `silu`, then LOOP1. */

#define EXP F(pb_exp)
#define FALLING F(pb_exp_falling)

PB_INLINE PB_REAL F(logistic)(PB_REAL x) { return F(pb_logistic)(x); }

PB_INLINE PB_REAL F(gelu)(PB_REAL x) { return F(pb_gelu)(x); }
PB_INLINE PB_REAL F(gelu_slope)(PB_REAL x) {
    return F(pb_ndtr)(x) + x * ((PB_REAL)0.39894228040143267794 * FALLING(x * x * (PB_REAL)-0.5));
}

#define STEEP ((PB_REAL)1.5957691216057307117)
#define CUBED ((PB_REAL)0.07135481627260025)
PB_INLINE PB_REAL F(gelu_tanh)(PB_REAL x) { return F(pb_gelu_tanh)(x); }
PB_INLINE PB_REAL F(gelu_tanh_slope)(PB_REAL x) {
    x = x < -32 ? -32 : x > 32 ? 32 : x; /* beyond it is 0 or 1, but squares are infinite */
    PB_REAL const s = F(logistic)(x * (STEEP + CUBED * (x * x)));
    return s + x * s * (1 - s) * (STEEP + 3 * CUBED * (x * x));
}
#undef STEEP
#undef CUBED

PB_INLINE PB_REAL F(silu)(PB_REAL x) { return F(pb_silu)(x); }
PB_INLINE PB_REAL F(silu_slope)(PB_REAL x) {
    PB_REAL const s = F(logistic)(x);
    return s * (1 + x * (1 - s));
}

PB_INLINE PB_REAL F(mish)(PB_REAL x) { return F(pb_mish)(x); }
/* With q = exp(-|x|), tanh(softplus(x)) is high / (high + low): nothing overflows or cancels. */
PB_INLINE PB_REAL F(mish_slope)(PB_REAL x) {
    PB_REAL const q = FALLING(-PB_ABS(x));
    PB_REAL const low = x < 0 ? 2 : 2 * q * q, high = x < 0 ? q * (q + 2) : 1 + 2 * q;
    PB_REAL const whole = low + high, rest = low * (2 * high + low) / (whole * whole);
    return high / whole + x * rest * F(logistic)(x);
}

PB_INLINE PB_REAL F(logsigmoid)(PB_REAL x) {
    PB_REAL const soft = F(pb_log1p_unit)(FALLING(-PB_ABS(x)));
    return (x < 0 ? x : 0) - soft;
}
PB_INLINE PB_REAL F(softplus)(PB_REAL x, PB_REAL beta, PB_REAL threshold) {
    PB_REAL const z = x * beta, soft = F(pb_log1p_unit)(FALLING(-PB_ABS(z)));
    PB_REAL const y = ((z < 0 ? 0 : z) + soft) / beta;
    return z > threshold ? x : y;
}
PB_INLINE PB_REAL F(softplus_slope)(PB_REAL x, PB_REAL beta, PB_REAL threshold) {
    PB_REAL const z = x * beta, s = F(logistic)(z);
    return z > threshold ? 1 : s;
}

PB_INLINE PB_REAL F(elu)(PB_REAL x, PB_REAL alpha, PB_REAL scale, PB_REAL input_scale) {
    PB_REAL const low = F(pb_expm1_below)(x * input_scale) * alpha;
    return (x >= 0 ? x : low) * scale;  /* -0 stays */
}
PB_INLINE PB_REAL F(elu_slope)(PB_REAL x, PB_REAL alpha, PB_REAL scale, PB_REAL input_scale) {
    PB_REAL const low = EXP(x > 0 ? 0 : x * input_scale) * (alpha * scale * input_scale);
    return x <= 0 ? low : scale;
}

PB_INLINE PB_REAL F(leaky_relu)(PB_REAL x, PB_REAL slope) {
    PB_REAL const low = x * slope;
    return x > 0 ? x : low;
}
PB_INLINE PB_REAL F(leaky_relu_slope)(PB_REAL x, PB_REAL slope) { return x > 0 ? 1 : slope; }
PB_INLINE PB_REAL F(threshold)(PB_REAL x, PB_REAL limit, PB_REAL value) { return x <= limit ? value : x; }
PB_INLINE PB_REAL F(hardtanh)(PB_REAL x, PB_REAL low, PB_REAL high) {
    PB_REAL const y = x < low ? low : x;
    return y > high ? high : y;
}
PB_INLINE PB_REAL F(hardsigmoid)(PB_REAL x) { return F(hardtanh)(x + 3, 0, 6) / 6; }
PB_INLINE PB_REAL F(hardswish)(PB_REAL x) { return x * F(hardtanh)(x + 3, 0, 6) / 6; }
PB_INLINE PB_REAL F(hardswish_slope)(PB_REAL x) {
    PB_REAL const y = x / 3 + (PB_REAL)0.5, z = x < 3 ? y : 1;
    return x <= -3 ? 0 : z;
}
PB_INLINE PB_REAL F(hardshrink)(PB_REAL x, PB_REAL width) { return (x >= -width) & (x <= width) ? 0 : x; }
PB_INLINE PB_REAL F(softshrink)(PB_REAL x, PB_REAL width) {
    PB_REAL const above = x - width, below = x + width, low = x < -width ? below : x - x;
    return x > width ? above : low;
}
/* 1 inside an open interval, else 0 */
PB_INLINE PB_REAL F(within)(PB_REAL x, PB_REAL low, PB_REAL high) { return (x <= low) | (x >= high) ? 0 : 1; }

PB_INLINE PB_REAL F(relu)(PB_REAL x) { return x < 0 ? 0 : x; }  /* -0 and NaN stay */
PB_INLINE PB_REAL F(negative)(PB_REAL x) { return -x; }
PB_INLINE PB_REAL F(sign)(PB_REAL x) { return (PB_REAL)((x > 0) - (x < 0)); }
PB_INLINE PB_REAL F(angle)(PB_REAL x) { return x < 0 ? (PB_REAL)3.14159265358979323846 : x != x ? x : 0; }
PB_INLINE PB_REAL F(rsqrt)(PB_REAL x) { return 1 / PB_SQRT(x); }
PB_INLINE PB_REAL F(frac)(PB_REAL x) { return x - PB_TRUNC(x); }
PB_INLINE PB_REAL F(deg2rad)(PB_REAL x) { return x * (PB_REAL)(3.14159265358979323846 / 180); }
PB_INLINE PB_REAL F(rad2deg)(PB_REAL x) { return x * (PB_REAL)(180 / 3.14159265358979323846); }
PB_INLINE PB_REAL F(nan_to_num)(PB_REAL x, PB_REAL nan, PB_REAL high, PB_REAL low) {
    PB_REAL const y = x == (PB_REAL)HUGE_VAL ? high : x, z = x == -(PB_REAL)HUGE_VAL ? low : y;
    return x != x ? nan : z;
}
PB_INLINE PB_REAL F(heaviside)(PB_REAL x, PB_REAL at_zero) { return x == 0 ? at_zero : x > 0 ? 1 : 0; }

PB_INLINE PB_REAL F(fmod)(PB_REAL rest, PB_REAL y, PB_REAL x, PB_REAL quotient) {
    return rest == 0 ? x * 0 : rest;
}
PB_INLINE PB_REAL F(fmod_exactly)(PB_REAL x, PB_REAL y) { return F(fmod)(PB_FMOD(x, y), y, x, 0); }
PB_INLINE PB_REAL F(remainder)(PB_REAL rest, PB_REAL y, PB_REAL x, PB_REAL quotient) {
    PB_REAL const along = y < 0 ? -rest : rest, turned = rest + y, found = along < 0 ? turned : rest;
    return rest == 0 ? x * 0 : found;
}
PB_INLINE PB_REAL F(remainder_exactly)(PB_REAL x, PB_REAL y) { return F(remainder)(PB_FMOD(x, y), y, x, 0); }
PB_INLINE PB_REAL F(floor_divide)(PB_REAL rest, PB_REAL y, PB_REAL x, PB_REAL quotient) {
    PB_REAL const along = y < 0 ? -rest : rest, below = quotient - 1;
    return along < 0 ? below : quotient;
}
PB_INLINE PB_REAL F(floor_divide_exactly)(PB_REAL x, PB_REAL y) {
    PB_REAL const rest = PB_FMOD(x, y), whole = (x - rest) / y - ((rest != 0) & ((y < 0) != (rest < 0)));
    PB_REAL const below = (PB_REAL)floor(whole), nearest = below + (whole - below > (PB_REAL)0.5);
    return y == 0 ? x / y : whole == 0 ? PB_SIGNED((PB_REAL)0, x / y) : nearest;
}

PB_INLINE PB_REAL F(xlogy)(PB_REAL x, PB_REAL y) {
    PB_REAL const product = x * F(pb_log)(y), known = x == 0 ? 0 : product;
    return y != y ? y : known;
}
PB_INLINE PB_REAL F(copysign)(PB_REAL x, PB_REAL y) { return PB_SIGNED(x, y); }
/* in float by double, in which no square overflows */
PB_INLINE PB_REAL F(hypot)(PB_REAL x, PB_REAL y) {
    double const a = x, b = y;
    PB_REAL const root = (PB_REAL)(sizeof(PB_REAL) == sizeof(float) ? sqrt(a * a + b * b) : hypot(a, b));
    return (PB_ABS(x) == (PB_REAL)HUGE_VAL) | (PB_ABS(y) == (PB_REAL)HUGE_VAL) ? (PB_REAL)HUGE_VAL : root;
}
/* The next number towards y: the next integer, or that before, for the bits of x. */
PB_INLINE PB_REAL F(nextafter)(PB_REAL x, PB_REAL y) {
    F(pb_bits) bits, least = 1;
    PB_REAL next;
    memcpy(&bits, &x, sizeof bits);
    bits += (x > 0) == (y > x) ? 1 : (F(pb_bits))-1;
    least |= (F(pb_bits))(y < 0) << (8 * sizeof bits - 1);
    bits = x == 0 ? least : bits;
    memcpy(&next, &bits, sizeof next);
    return (x != x) | (y != y) ? x + y : x == y ? y : next;
}

/* sin(pi x) / (pi x), of the turn from the nearest whole number */
PB_INLINE PB_REAL F(sinc)(PB_REAL x) {
    double const v = x, whole = floor(v + 0.5), odd = whole - 2 * floor(whole * 0.5);
    double const y = pb_sin_turn(v - whole) * (1 - 2 * odd) / (3.14159265358979323846 * v);
    return (PB_REAL)(v == 0 ? 1 : y);
}

PB_INLINE PB_REAL F(logaddexp)(PB_REAL x, PB_REAL y) {
    PB_REAL const high = x > y ? x : y, apart = x > y ? y - x : x - y;
    PB_REAL const sum = high + F(pb_log1p_unit)(FALLING(apart));
    return x == y ? x + (PB_REAL)0.69314718055994530942 : sum;
}
PB_INLINE PB_REAL F(logaddexp2)(PB_REAL x, PB_REAL y) {
    PB_REAL const high = x > y ? x : y, apart = x > y ? y - x : x - y;
    PB_REAL const more = F(pb_log1p_unit)(FALLING(apart * (PB_REAL)0.69314718055994530942));
    return x == y ? x + 1 : high + more * (PB_REAL)1.44269504088896340736;
}

/* NaN in either is the result */
PB_INLINE PB_REAL F(maximum)(PB_REAL x, PB_REAL y) { return y != y ? y : x < y ? y : x; }
PB_INLINE PB_REAL F(minimum)(PB_REAL x, PB_REAL y) { return y != y ? y : x > y ? y : x; }

/* ---- of two or three numbers */

/* NaN among them, the result is NaN; `high` wins where the bounds cross */
PB_INLINE PB_REAL F(clamp)(PB_REAL x, PB_REAL low, PB_REAL high) {
    PB_REAL const above = low != low ? low : x < low ? low : x;
    return high != high ? high : above > high ? high : above;
}
/* from the nearer end, so that both weights 0 and 1 are exact */
PB_INLINE PB_REAL F(lerp)(PB_REAL x, PB_REAL end, PB_REAL weight) {
    PB_REAL const gap = end - x, near = x + weight * gap, far = end - gap * (1 - weight);
    return PB_ABS(weight) < (PB_REAL)0.5 ? near : far;
}
PB_INLINE PB_REAL F(addcmul)(PB_REAL x, PB_REAL a, PB_REAL b, PB_REAL value) { return x + value * a * b; }
PB_INLINE PB_REAL F(addcdiv)(PB_REAL x, PB_REAL a, PB_REAL b, PB_REAL value) { return x + value * a / b; }

/* x to the power of one number, as PyTorch has it: of 2, 3, -1, -2 and the halves by simpler operations.
   NumPy's loop, handed over as `data`, is quick for x >= 0, so other whole powers get |x|. */
#define EACH(value)                                                                                 \
    {                                                                                               \
        if (a == item && c == item)                                                                 \
            for (i = 0; i < n; i++) {                                                               \
                PB_REAL const v = ((PB_REAL const*)x)[i];                                           \
                ((PB_REAL*)y)[i] = value;                                                           \
            }                                                                                       \
        else                                                                                        \
            for (i = 0; i < n; i++) {                                                               \
                PB_REAL const v = *(PB_REAL const*)(x + i * a);                                     \
                *(PB_REAL*)(y + i * c) = value;                                                     \
            }                                                                                       \
        return;                                                                                     \
    }
static PB_CLONES void F(power_loop)(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    enum { PART = 256 };
    npy_intp const n = size[0], a = steps[0], c = steps[2], item = sizeof(PB_REAL);
    char *const x = args[0], *const y = args[2];
    npy_intp i, start;
    if (n > 1 && steps[1] == 0) {
        PB_REAL const e = *(PB_REAL const*)args[1];
        if (e == 2) EACH(v * v)
        if (e == 3) EACH(v * v * v)
        if (e == -1) EACH(1 / v)
        if (e == -2) EACH(1 / (v * v))
        if (e == (PB_REAL)0.5) EACH(PB_SQRT(v))
        if (e == (PB_REAL)-0.5) EACH(1 / PB_SQRT(v))
        if (e == floor(e) && fabs(e) < 16777216) {
            int const odd = fmod(e, 2) != 0;
            npy_intp const step[3] = {item, 0, item};
            PB_REAL from[PART], to[PART];
            char* parts[3] = {(char*)from, args[1], (char*)to};
            for (start = 0; start < n; start += PART) {
                npy_intp const count = n - start < PART ? n - start : PART;
                for (i = 0; i < count; i++) from[i] = PB_ABS(*(PB_REAL const*)(x + (start + i) * a));
                ((pb_loop)data)(parts, &count, step, NULL);
                for (i = 0; i < count; i++) {
                    PB_REAL const v = *(PB_REAL const*)(x + (start + i) * a);
                    *(PB_REAL*)(y + (start + i) * c) = odd ? PB_SIGNED(to[i], v) : to[i];
                }
            }
            return;
        }
    }
    ((pb_loop)data)(args, size, steps, NULL);
}
#undef EACH

/* ---- the loops ---- */

static void F(pb_by_blocks)(char** args, npy_intp n, npy_intp const* steps,
                            void (*block)(PB_REAL const* x, PB_REAL* y, npy_intp n)) {
    enum { PART = 256 };
    PB_REAL x[PART], y[PART];
    npy_intp i;
    if (steps[0] == sizeof(PB_REAL) && steps[1] == sizeof(PB_REAL)) {
        block((PB_REAL const*)args[0], (PB_REAL*)args[1], n);
        return;
    }
    for (char *from = args[0], *to = args[1]; n > 0;
         from += PART * steps[0], to += PART * steps[1], n -= PART) {
        npy_intp const count = n < PART ? n : PART;
        for (i = 0; i < count; i++) x[i] = *(PB_REAL const*)(from + i * steps[0]);
        block(x, y, count);
        for (i = 0; i < count; i++) *(PB_REAL*)(to + i * steps[1]) = y[i];
    }
}
#define LOOP1(name)                                                                                 \
    static PB_CLONES void F(name##_block)(PB_REAL const* x, PB_REAL* y, npy_intp n) {               \
        npy_intp i;                                                                                 \
        PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = F(name)(x[i]);                                \
    }                                                                                               \
    PB_BLOCK_LOOP_OF(name, PB_REAL)

#define AT(k) (*(PB_REAL const*)(args[k] + i * steps[k]))
#define LOOP(name, count, STILL, LOAD, PASS, PASS_AT)                                               \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0], item = sizeof(PB_REAL);                                         \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (n > 0 && steps[0] == item && steps[count] == item && (STILL)) {                         \
            PB_REAL const* x = (PB_REAL const*)args[0];                                             \
            PB_REAL* y = (PB_REAL*)args[count];                                                     \
            LOAD                                                                                    \
            PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = F(name) PASS;                             \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++) *(PB_REAL*)(args[count] + i * steps[count]) = F(name) PASS_AT;      \
    }
#define P(k) PB_REAL const p##k = *(PB_REAL const*)args[k];
#define V(k) PB_REAL const* PB_RESTRICT v##k = (PB_REAL const*)args[k];
#define RUNS_ON(k, out) (steps[k] == item && args[k] != args[out])
#define LOOP2(name) LOOP(name, 2, steps[1] == 0, P(1), (x[i], p1), (AT(0), AT(1)))
#define LOOP3(name)                                                                                 \
    LOOP(name, 3, steps[1] == 0 && steps[2] == 0, P(1) P(2), (x[i], p1, p2), (AT(0), AT(1), AT(2)))
#define LOOP4(name)                                                                                 \
    LOOP(name, 4, steps[1] == 0 && steps[2] == 0 && steps[3] == 0, P(1) P(2) P(3), (x[i], p1, p2, p3), \
         (AT(0), AT(1), AT(2), AT(3)))

/* Of two tensors alike, or a tensor and a number. */
#define LOOP_EITHER(name)                                                                           \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0], item = sizeof(PB_REAL), b = steps[1];                           \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (n > 0 && steps[0] == item && (b == item || b == 0) && steps[2] == item) {               \
            PB_REAL const *x = (PB_REAL const*)args[0], *y = (PB_REAL const*)args[1], one = *y;     \
            PB_REAL* z = (PB_REAL*)args[2];                                                         \
            if (b)                                                                                  \
                PB_INDEPENDENT for (i = 0; i < n; i++) z[i] = F(name)(x[i], y[i]);                  \
            else                                                                                    \
                PB_INDEPENDENT for (i = 0; i < n; i++) z[i] = F(name)(x[i], one);                   \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++) *(PB_REAL*)(args[2] + i * steps[2]) = F(name)(AT(0), AT(1));        \
    }

/* Of two tensors alike. */
#define LOOP_BOTH(name)                                                                             \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0], item = sizeof(PB_REAL);                                         \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (steps[0] == item && steps[1] == item && steps[2] == item) {                             \
            PB_REAL const *x = (PB_REAL const*)args[0], *y = (PB_REAL const*)args[1];               \
            PB_REAL* z = (PB_REAL*)args[2];                                                         \
            PB_INDEPENDENT for (i = 0; i < n; i++) z[i] = F(name)(x[i], y[i]);                      \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++) *(PB_REAL*)(args[2] + i * steps[2]) = F(name)(AT(0), AT(1));        \
    }

/* A division with remainder. In float the rest x - trunc(x / y) y is exact while the quotient is below 2^24,
   once that is corrected by one where x / y was rounded up. A block in which one is not, and those of double,
   are given to `name_exactly`. */
#define LOOP_REST(name)                                                                             \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        enum { PART = 256 };                                                                        \
        npy_intp const item = sizeof(PB_REAL);                                                      \
        npy_intp start, i;                                                                          \
        (void)data;                                                                                 \
        for (start = 0; start < size[0]; start += PART) {                                           \
            npy_intp const n = size[0] - start < PART ? size[0] - start : PART;                     \
            char const *const p = args[0] + start * steps[0], *const q = args[1] + start * steps[1]; \
            char* const to = args[2] + start * steps[2];                                            \
            PB_REAL x[PART], y[PART], z[PART];                                                      \
            int beyond = sizeof(PB_REAL) > sizeof(float);                                           \
            if (steps[0] == item && steps[1] == item) {                                             \
                memcpy(x, p, (size_t)(n * item));                                                   \
                memcpy(y, q, (size_t)(n * item));                                                   \
            } else                                                                                  \
                for (i = 0; i < n; i++) {                                                           \
                    x[i] = *(PB_REAL const*)(p + i * steps[0]);                                     \
                    y[i] = *(PB_REAL const*)(q + i * steps[1]);                                     \
                }                                                                                   \
            if (!beyond)                                                                            \
                for (i = 0; i < n; i++) {                                                           \
                    PB_REAL const a = x[i], b = y[i], first = PB_TRUNC(a / b);                      \
                    PB_REAL const left = (PB_REAL)PB_FMA(-first, b, a);                             \
                    PB_REAL const less = first - PB_SIGNED((PB_REAL)1, first);                      \
                    PB_REAL const quotient = (left != 0) & ((left < 0) != (a < 0)) ? less : first;  \
                    beyond |= !(PB_ABS(first) < 16777216) | !(b - b == 0);                          \
                    z[i] = F(name)((PB_REAL)PB_FMA(-quotient, b, a), b, a, quotient);               \
                }                                                                                   \
            if (beyond)                                                                             \
                for (i = 0; i < n; i++) z[i] = F(name##_exactly)(x[i], y[i]);                       \
            if (steps[2] == item)                                                                   \
                memcpy(to, z, (size_t)(n * item));                                                  \
            else                                                                                    \
                for (i = 0; i < n; i++) *(PB_REAL*)(to + i * steps[2]) = z[i];                      \
        }                                                                                           \
    }
LOOP_REST(fmod)
LOOP_REST(remainder)
LOOP_REST(floor_divide)
#undef LOOP_REST
LOOP_BOTH(logaddexp)
LOOP_BOTH(logaddexp2)
LOOP_EITHER(xlogy)
LOOP_EITHER(maximum)
LOOP_EITHER(minimum)
LOOP_BOTH(heaviside)
LOOP_BOTH(copysign)
LOOP_BOTH(hypot)
LOOP_BOTH(nextafter)
LOOP1(relu)
LOOP1(negative)
LOOP1(sign)
LOOP1(angle)
LOOP1(rsqrt)
LOOP1(frac)
LOOP1(deg2rad)
LOOP1(rad2deg)
LOOP1(sinc)
LOOP4(nan_to_num)

/* Of two numbers, whether they are so together. */
#define LOOP_LOGIC(name, together)                                                                  \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0], item = sizeof(PB_REAL);                                         \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (steps[0] == item && steps[1] == item && steps[2] == 1) {                                \
            PB_REAL const *x = (PB_REAL const*)args[0], *y = (PB_REAL const*)args[1];               \
            uint8_t* z = (uint8_t*)args[2];                                                         \
            PB_INDEPENDENT for (i = 0; i < n; i++) z[i] = (x[i] != 0) together (y[i] != 0);         \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++) *(uint8_t*)(args[2] + i * steps[2]) = (AT(0) != 0) together (AT(1) != 0); \
    }
LOOP_LOGIC(logical_and, &)
LOOP_LOGIC(logical_or, |)
LOOP_LOGIC(logical_xor, ^)
#undef LOOP_LOGIC

/* Of one number. NumPy's last four write elsewhere where the results have steps. */
#define LOOP_TEST(name, test)                                                                       \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0];                                                                 \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (steps[0] == sizeof(PB_REAL) && steps[1] == 1) {                                         \
            uint8_t* z = (uint8_t*)args[1];                                                         \
            PB_INDEPENDENT for (i = 0; i < n; i++) {                                                \
                PB_REAL const x = ((PB_REAL const*)args[0])[i];                                     \
                z[i] = test;                                                                        \
            }                                                                                       \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++) {                                                                   \
            PB_REAL const x = AT(0);                                                                \
            *(uint8_t*)(args[1] + i * steps[1]) = test;                                             \
        }                                                                                           \
    }
LOOP_TEST(logical_not, x == 0)
LOOP_TEST(isnan, x != x)
LOOP_TEST(isinf, PB_ABS(x) == (PB_REAL)HUGE_VAL)
LOOP_TEST(isfinite, PB_ABS(x) < (PB_REAL)HUGE_VAL)
LOOP_TEST(signbit, (uint8_t)(F(pb_as_bits)(x) >> (8 * sizeof(PB_REAL) - 1)))
#undef LOOP_TEST

#define LOOP_VVP(name)                                                                              \
    LOOP(name, 3, RUNS_ON(1, 3) && steps[2] == 0, V(1) P(2), (x[i], v1[i], p2), (AT(0), AT(1), AT(2)))
#define LOOP_VVVP(name)                                                                             \
    LOOP(name, 4, RUNS_ON(1, 4) && RUNS_ON(2, 4) && steps[3] == 0, V(1) V(2) P(3),                  \
         (x[i], v1[i], v2[i], p3), (AT(0), AT(1), AT(2), AT(3)))

F(LOOP_PLAIN)(logistic)
LOOP1(gelu)
LOOP1(gelu_slope)
LOOP1(gelu_tanh)
LOOP1(gelu_tanh_slope)
F(LOOP_PLAIN)(silu)
LOOP1(silu_slope)
LOOP1(mish)
LOOP1(mish_slope)
LOOP1(logsigmoid)
LOOP1(hardsigmoid)
LOOP1(hardswish)
LOOP1(hardswish_slope)
LOOP2(leaky_relu)
LOOP2(leaky_relu_slope)
LOOP2(hardshrink)
LOOP2(softshrink)
LOOP3(softplus)
LOOP3(softplus_slope)
LOOP3(threshold)
LOOP3(hardtanh)
LOOP3(within)
LOOP4(elu)
LOOP4(elu_slope)
LOOP3(clamp)
LOOP_VVP(lerp)
LOOP_VVVP(addcmul)
LOOP_VVVP(addcdiv)

#undef EXP
#undef FALLING
#undef LOOP_BOTH
#undef LOOP_EITHER
#undef LOOP1
#undef LOOP2
#undef LOOP3
#undef LOOP4
#undef LOOP
#undef LOOP_VVP
#undef LOOP_VVVP
#undef RUNS_ON
#undef AT
#undef P
#undef V
