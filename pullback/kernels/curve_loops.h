/* Activations, their slopes, and power: see `for_each_real.h` for PB_REAL and F.

   First the functions of one number, `f(x)` or `f(x, parameters)`, without branches where that can be: a
   choice is computed on both sides. A `_slope` is the derivative. Then `power`. Then, for each function `f`,
   the loop `f_loop` of a ufunc, which LOOP1 to LOOP4 write, by how many inputs it has. Parameters that are
   numbers come with a step of zero, and the contiguous loop over x with such parameters is the one that
   compilers make vector code of. What each computes is said where its op is declared, see `curves.pyx`.
   Read `logistic` and `silu`, then LOOP1. */

#define EXP F(pb_exp)

PB_INLINE PB_REAL F(logistic)(PB_REAL x) {
    PB_REAL const q = EXP(-(x < 0 ? -x : x));
    return (x < 0 ? q : 1) / (1 + q);
}

PB_INLINE PB_REAL F(gelu)(PB_REAL x) { return (PB_REAL)(x * F(pb_normal_below)(x)); }
PB_INLINE PB_REAL F(gelu_slope)(PB_REAL x) {
    return (PB_REAL)(F(pb_normal_below)(x) + x * (0.39894228040143267794 * EXP(x * x * (PB_REAL)-0.5)));
}

#define STEEP ((PB_REAL)1.5957691216057307117)
#define CUBED ((PB_REAL)0.07135481627159652)
PB_INLINE PB_REAL F(gelu_tanh)(PB_REAL x) { return x * F(logistic)(x * (STEEP + CUBED * (x * x))); }
PB_INLINE PB_REAL F(gelu_tanh_slope)(PB_REAL x) {
    PB_REAL const s = F(logistic)(x * (STEEP + CUBED * (x * x)));
    return s + x * s * (1 - s) * (STEEP + 3 * CUBED * (x * x));
}
#undef STEEP
#undef CUBED

PB_INLINE PB_REAL F(silu)(PB_REAL x) { return x * F(logistic)(x); }
PB_INLINE PB_REAL F(silu_slope)(PB_REAL x) {
    PB_REAL const s = F(logistic)(x);
    return s * (1 + x * (1 - s));
}

/* With q = exp(-|x|), tanh(softplus(x)) is high / (high + low): nothing overflows or cancels. */
PB_INLINE PB_REAL F(mish)(PB_REAL x) {
    PB_REAL const q = EXP(-(x < 0 ? -x : x));
    PB_REAL const low = x < 0 ? 2 : 2 * q * q, high = x < 0 ? q * (q + 2) : 1 + 2 * q;
    return x * (high / (high + low));
}
PB_INLINE PB_REAL F(mish_slope)(PB_REAL x) {
    PB_REAL const q = EXP(-(x < 0 ? -x : x));
    PB_REAL const low = x < 0 ? 2 : 2 * q * q, high = x < 0 ? q * (q + 2) : 1 + 2 * q;
    PB_REAL const whole = low + high, rest = low * (2 * high + low) / (whole * whole);
    return high / whole + x * rest * F(logistic)(x);
}

PB_INLINE PB_REAL F(logsigmoid)(PB_REAL x) {
    PB_REAL const soft = F(pb_log1p_unit)(EXP(-(x < 0 ? -x : x)));
    return (x < 0 ? x : 0) - soft;
}
PB_INLINE PB_REAL F(softplus)(PB_REAL x, PB_REAL beta, PB_REAL threshold) {
    PB_REAL const z = x * beta, soft = F(pb_log1p_unit)(EXP(-(z < 0 ? -z : z)));
    PB_REAL const y = ((z < 0 ? 0 : z) + soft) / beta;
    return z > threshold ? x : y;
}
PB_INLINE PB_REAL F(softplus_slope)(PB_REAL x, PB_REAL beta, PB_REAL threshold) {
    PB_REAL const z = x * beta, s = F(logistic)(z);
    return z > threshold ? 1 : s;
}

PB_INLINE PB_REAL F(elu)(PB_REAL x, PB_REAL alpha, PB_REAL scale, PB_REAL input_scale) {
    PB_REAL const low = F(pb_expm1_below)(x * input_scale) * alpha;
    return (x > 0 ? x : low) * scale;
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
    PB_REAL const above = x - width, below = x + width, low = x < -width ? below : x * 0;
    return x > width ? above : low;
}
/* 1 inside an open interval, else 0 */
PB_INLINE PB_REAL F(within)(PB_REAL x, PB_REAL low, PB_REAL high) { return (x <= low) | (x >= high) ? 0 : 1; }

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

#define LOOP1(name)                                                                                 \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0], a = steps[0], b = steps[1], item = sizeof(PB_REAL);             \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (a == item && b == item && args[0] != args[1]) {                                         \
            PB_REAL const* PB_RESTRICT x = (PB_REAL const*)args[0];                                 \
            PB_REAL* PB_RESTRICT y = (PB_REAL*)args[1];                                             \
            for (i = 0; i < n; i++) y[i] = F(name)(x[i]);                                           \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++)                                                                     \
            *(PB_REAL*)(args[1] + i * b) = F(name)(*(PB_REAL const*)(args[0] + i * a));             \
    }

#define AT(k) (*(PB_REAL const*)(args[k] + i * steps[k]))
#define LOOP(name, count, STILL, LOAD, PASS, PASS_AT)                                               \
    static PB_CLONES void F(name##_loop)(char** args, npy_intp const* size, npy_intp const* steps,  \
                                         void* data) {                                              \
        npy_intp const n = size[0], item = sizeof(PB_REAL);                                         \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (n > 0 && steps[0] == item && steps[count] == item && (STILL) && args[0] != args[count]) { \
            PB_REAL const* PB_RESTRICT x = (PB_REAL const*)args[0];                                 \
            PB_REAL* PB_RESTRICT y = (PB_REAL*)args[count];                                         \
            LOAD                                                                                    \
            for (i = 0; i < n; i++) y[i] = F(name) PASS;                                            \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++) *(PB_REAL*)(args[count] + i * steps[count]) = F(name) PASS_AT;      \
    }
#define P(k) PB_REAL const p##k = *(PB_REAL const*)args[k];
#define LOOP2(name) LOOP(name, 2, steps[1] == 0, P(1), (x[i], p1), (AT(0), AT(1)))
#define LOOP3(name)                                                                                 \
    LOOP(name, 3, steps[1] == 0 && steps[2] == 0, P(1) P(2), (x[i], p1, p2), (AT(0), AT(1), AT(2)))
#define LOOP4(name)                                                                                 \
    LOOP(name, 4, steps[1] == 0 && steps[2] == 0 && steps[3] == 0, P(1) P(2) P(3), (x[i], p1, p2, p3), \
         (AT(0), AT(1), AT(2), AT(3)))

LOOP1(logistic)
LOOP1(gelu)
LOOP1(gelu_slope)
LOOP1(gelu_tanh)
LOOP1(gelu_tanh_slope)
LOOP1(silu)
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

#undef EXP
#undef LOOP1
#undef LOOP2
#undef LOOP3
#undef LOOP4
#undef LOOP
#undef AT
#undef P
