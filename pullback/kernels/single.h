/* Functions of one number in single precision, without branches, so that compilers make vector code of the
   loops they are in. Polynomials are those of tools/fits.py.

   Errors are below two units of the last place, of most below one. What a step rounds off is computed too
   where it would count: a quotient's rest, the lower half of a product. NaN comes through by itself.
   Read `pb_log_normal`, `pb_erf_float`, then PB_TAIL; `angles.h` goes on. */

#ifndef PB_SINGLE_H
#define PB_SINGLE_H

#include "pullback/kernels/exp.h"

PB_INLINE float pb_magnitude(float x) { return pb_of_bits(pb_bits_of(x) & 0x7FFFFFFF); }
PB_INLINE float pb_with_sign(float x, float of) {
    return pb_of_bits((pb_bits_of(x) & 0x7FFFFFFF) | (pb_bits_of(of) & 0x80000000));
}

/* ---- logarithms */

/* A positive normal number is (1 + f) 2^e with 1 + f in [sqrt 1/2, sqrt 2), its log e ln 2 + f + rest. Logs
   to other bases have a factor of f in two parts, `high` and `low`; log10 2 and ln 2 too, of which the upper
   part has few bits. */
#define PB_SPLIT(x)                                                                                 \
    uint32_t const upper = pb_bits_of(x) - 0x3F3504F3; /* sqrt 1/2 */                               \
    float const e = (float)((int32_t)upper >> 23), f = pb_of_bits((upper & 0x7FFFFF) + 0x3F3504F3) - 1;
PB_INLINE float pb_log_rest(float f) { return PB_FMA(pb_fit_log(f), f, -0.5f) * (f * f); }
PB_INLINE float pb_log_normal(float x) {
    PB_SPLIT(x)
    return PB_FMA(e, 0.693145751953125f, PB_FMA(e, 1.42860682030941723212e-6f, pb_log_rest(f)) + f);
}
PB_INLINE float pb_log2_normal(float x) {
    PB_SPLIT(x)
    float const high = 1.44269502162933349609f, low = 1.92596299112661746887e-8f;
    return PB_FMA(f, high, PB_FMA(f, low, pb_log_rest(f) * high)) + e;
}
PB_INLINE float pb_log10_normal(float x) {
    PB_SPLIT(x)
    float const high = 0.434294492006301879883f, low = -1.01030500522e-8f;
    float const part = PB_FMA(f, high, PB_FMA(f, low, pb_log_rest(f) * high));
    return PB_FMA(e, 0.301025390625f, PB_FMA(e, 4.60503898119521374e-6f, part));
}
PB_INLINE int pb_is_not_normal(float x) { return pb_bits_of(x) - 0x00800000 >= 0x7F000000; } /* or negative */
/* `of_power` is the log of 2^23, by which denormals are raised */
#define PB_LOG_OF_ANY(name, normal, of_power)                                                       \
    PB_INLINE float name(float x) {                                                                 \
        float const least = 1.17549435e-38f, raised = x < least ? x * 8388608.0f : x;               \
        float const y = normal(raised) - (x < least ? of_power : 0);                                \
        float const end = x == 0 ? -HUGE_VALF : x < 0 ? NAN : x;                                    \
        return (x > 0) & (x < HUGE_VALF) ? y : end;                                                 \
    }
PB_LOG_OF_ANY(pb_log_float, pb_log_normal, 15.942385152878742f)
PB_LOG_OF_ANY(pb_log2_float, pb_log2_normal, 23.0f)
PB_LOG_OF_ANY(pb_log10_float, pb_log10_normal, 6.923689900271567f)
#undef PB_LOG_OF_ANY

/* 1 + x is (1 + f) 2^e: f, and the `low` that it is rounded by, from x itself, but where 1 does not count. */
PB_INLINE float pb_log_sum(float e, float f, float low) {
    float const sum = PB_FMA(e, 0.693145751953125f, f), off = PB_FMA(e, 0.693145751953125f, -sum) + f;
    return sum + (PB_FMA(e, 1.42860682030941723212e-6f, pb_log_rest(f)) + (off + low));
}
PB_INLINE float pb_log1p_float(float x) {
    float const sum = 1 + x;
    uint32_t const upper = pb_bits_of(sum) - 0x3F3504F3;
    int32_t const k = (int32_t)upper >> 23;
    float const e = (float)k, down = pb_power_of((uint32_t)(127 - k));
    float const large = pb_of_bits((upper & 0x7FFFFF) + 0x3F3504F3) - 1;
    float const f = x < 1e9f ? PB_FMA(x, down, down - 1) : large;
    float const low = x < 1e9f ? PB_FMA(x, down, down - 1 - f) : 0, y = pb_log_sum(e, f, low);
    float const end = x == -1 ? -HUGE_VALF : x < -1 ? NAN : x;
    return (x > -1) & (pb_magnitude(x) > 1e-8f) & (x < HUGE_VALF) ? y : end;
}
/* the same of q in [0, 1] */
PB_INLINE float pb_log1p_unit_float(float q) {
    float const e = q > 0.41421356f ? 1 : 0, f = q > 0.41421356f ? PB_FMA(q, 0.5f, -0.5f) : q;
    return pb_log_sum(e, f, 0);
}

/* log(x / (1 - x)): with y = (1 - x) 2^k near x it is k ln 2 and 2 artanh((x - y) / (x + y)). `over` and
   `under` are sums, and s their quotient, all of which are rounded: `low` is what s is off, `rest` all that
   is small. x may be `raised` by a power of 2, if it is small. */
PB_INLINE float pb_logit_raised(float x, float raised, float power) {
    float const other = 1 - x, off = (1 - other) - x;
    int32_t const k = (int32_t)(pb_bits_of(raised) - pb_bits_of(other) + 0x400000) >> 23;
    float const two = pb_power_of((uint32_t)(k + 127)), y = other * two, e = (float)k - power;
    float const apart = raised - y, over = PB_FMA(-off, two, apart),
                over_low = PB_FMA(-off, two, apart - over);
    float const under = raised + y, inverse = 1 / under;
    float const large = raised > y ? raised : y, small = raised > y ? y : raised;
    float const under_low = PB_FMA(off, two, (large - under) + small), s = over * inverse, t = s * s;
    float const low = (PB_FMA(-s, under, over) + PB_FMA(-s, under_low, over_low)) * inverse;
    float const whole = e * 0.693145751953125f, high = PB_FMA(2.0f, s, whole);
    float const bent = PB_FMA(pb_fit_artanh(t), t * s, PB_FMA(2.0f, s, whole - high));
    return PB_FMA(e, 1.42860682030941723212e-6f, PB_FMA(2.0f, low, bent)) + high;
}
PB_INLINE float pb_logit_plain(float x) { return pb_logit_raised(x, x, 0); }
PB_INLINE int pb_logit_is_not_plain(float x) { return !(x > 1e-30f) | !(x < 1); }
PB_INLINE float pb_logit_float(float x) {
    float const raised = x < 1e-30f ? x * 18446744073709551616.0f : x; /* by 2^64 */
    float const y = pb_logit_raised(x, raised, x < 1e-30f ? 64 : 0);
    float const end = x == 0 ? -HUGE_VALF : x == 1 ? HUGE_VALF : NAN;
    return (x > 0) & (x < 1) ? y : end;
}

/* Exponentials of x + low: n and the remainder, as in PB_REDUCED. */
#define PB_REDUCED_WITH(x, low, BIAS)                                                               \
    float const turn = PB_FMA(x, 1.44269504088896340736f, 12582912.0f + (BIAS));                    \
    float const n = turn - (12582912.0f + (BIAS));                                                  \
    float const r = PB_FMA(n, -0.693145751953125f, x) + PB_FMA(n, -1.42860682030941723212e-6f, low);

/* ---- the logistic function: what its sum was rounded by counts in the quotient */

PB_INLINE float pb_logistic_float(float x) {
    float const q = pb_exp_falling_float(-pb_magnitude(x)), sum = 1 + q, y = (x < 0 ? q : 1) / sum;
    return PB_FMA((sum - 1 - q) * y, x < 0 ? 1 - y : y, y);
}

/* x n / d, of n and d in two parts each, rounded once but for little */
PB_INLINE float pb_times_ratio(float x, float n, float n_low, float d, float d_low) {
    float const inverse = 1 / d, a = x * n, low = PB_FMA(x, n_low, PB_FMA(x, n, -a)), y = a * inverse;
    return PB_FMA(PB_FMA(-y, d, a) + PB_FMA(-y, d_low, low), inverse, y);
}
/* exp(-|z| + low) is (e + e_low) 2^n, with 2^(n + 64) for 2^n since results may be denormal. Where x is -120
   they are zero; where it is 32 they are x. */
#define PB_GATED(z, low)                                                                            \
    float const near = -120.0f > x ? -120.0f : x, fall = -pb_magnitude(z);                          \
    float const bound = -120.0f > fall ? -120.0f : fall;                                            \
    PB_REDUCED_WITH(bound, low, 191)                                                                \
    float const part = PB_FMA(pb_fit_exp(r) * r, r, r), e = 1 + part, e_low = part - (e - 1);       \
    float const raised = pb_power_of(pb_bits_of(turn)), two = raised * 5.421010862427522170e-20f, q = e * two;
#define PB_GATED_END(x, y)                                                                          \
    float const below = (y) * raised * 5.421010862427522170e-20f, inside = x < 0 ? below : y;       \
    return x == -HUGE_VALF ? NAN : x > 32 ? x : pb_with_sign(inside, x);
/* x times the logistic function of z + low, which has the sign of x */
PB_INLINE float pb_gated_float(float x, float z, float z_low) {
    PB_GATED(z, z_low)
    float const sum = 1 + q, sum_low = PB_FMA(e_low, two, 1 - sum + q);
    float const y = pb_times_ratio(near, x < 0 ? e : 1, x < 0 ? e_low : 0, sum, sum_low);
    PB_GATED_END(x, y)
}
PB_INLINE float pb_silu_float(float x) { return pb_gated_float(x, x, 0); }
/* As long as exp(-x) does not overflow, x / (1 + exp(-x)) will do: the sum is rounded once. */
PB_INLINE float pb_exp_above_one(float x) {
    PB_REDUCED(x, 127)
    float const two = pb_power_of(pb_bits_of(turn));
    return PB_FMA(two, PB_FMA(pb_fit_exp(r) * r, r, r), 1 + two);
}
PB_INLINE float pb_silu_plain(float x) { return x / pb_exp_above_one(-x); }
PB_INLINE float pb_logistic_plain(float x) { return 1 / pb_exp_above_one(-x); }
PB_INLINE int pb_silu_is_not_plain(float x) { return !(pb_magnitude(x) < 87); }
#define pb_logistic_is_not_plain pb_silu_is_not_plain

/* x tanh(log(1 + exp x)), with q = exp(-|x|): x q (q + 2) / (q (q + 2) + 2), or, above zero,
   x (1 + 2 q) / (1 + 2 q + 2 q^2) */
PB_INLINE float pb_mish_float(float x) {
    PB_GATED(x, 0)
    float const more = q + 2, more_low = 2 - more + q, low = e_low * two;
    float const over = e * more, over_off = PB_FMA(e, more_low, PB_FMA(e, more, -over));
    float const over_low = PB_FMA(e_low, more + q, over_off), under = PB_FMA(over, two, 2.0f);
    float const under_low = PB_FMA(over_low, two, PB_FMA(over, two, 2 - under));
    float const top = PB_FMA(2.0f, q, 1.0f), top_low = PB_FMA(2.0f, low, 1 - top + 2 * q);
    float const d = PB_FMA(2 * q, q, top), d_low = PB_FMA(4 * q, low, PB_FMA(2 * q, q, top - d) + top_low);
    float const y = pb_times_ratio(near, x < 0 ? over : top, x < 0 ? over_low : top_low, x < 0 ? under : d,
                                   x < 0 ? under_low : d_low);
    PB_GATED_END(x, y)
}

/* The argument of its logistic function goes to 60 and more, so that its low part counts. */
PB_INLINE float pb_gelu_tanh_float(float x) {
    float const bound = 32.0f < x ? 32.0f : x, c = -32.0f > bound ? -32.0f : bound, square = c * c;
    float const steep = 1.59576916694641113281f, cubed = 0.0713548138737678527832f;
    float const factor = PB_FMA(cubed, square, steep), z = c * factor;
    float const rise = factor - steep, off = factor - rise - steep;
    float const less = PB_FMA(cubed, square, -rise) - off - 4.53406804211e-8f;
    float const more = PB_FMA(cubed, PB_FMA(c, c, -square), PB_FMA(square, 2.39883239599e-9f, less));
    float const low = PB_FMA(c, more, PB_FMA(c, factor, -z));
    return pb_gated_float(x, z, x < 0 ? low : -low);
}

/* ---- erf and its kin */

/* From 0.7 on it is 1 - exp(q + low), q = log(erfc): with 2^n (1 + rest) for that, rounded once. */
PB_INLINE float pb_erf_float(float x) {
    float const size = pb_magnitude(x), near = PB_FMA(pb_fit_erf(x * x), x, x);
    float const t = (4.0f < size ? 4.0f : size) - 0.75f, bent = pb_fit_log_erfc(t);
    float const q = PB_FMA(bent, t, PB_LOG_ERFC_0);
    float const low = PB_FMA(bent, t, PB_LOG_ERFC_0 - q) + PB_LOG_ERFC_0_LOW;
    PB_REDUCED_WITH(q, low, 127)
    float const two = pb_power_of(pb_bits_of(turn));
    float const far = PB_FMA(-two, PB_FMA(pb_fit_exp(r) * r, r, r), 1 - two);
    return size < 0.7f ? near : pb_with_sign(far, x);
}

/* exp(-x share x) g with g = (first + t fit(t)) / (x + k), t = (x - k) / (x + k), for x from zero on to where
   it vanishes. `low` is the lower half of the square, `lower` that of g, but for what its divisor and
   its reciprocal are rounded by, `off`: g goes like that to a power between 1 and 3.4. `r_low` is what the
   remainder is rounded by. TIMES may multiply g. */
#define PB_TAIL(name, k, share, first, SECOND, fit, TIMES)                                          \
    PB_INLINE float name(float x) {                                                                 \
        float const part = x * share, square = x * part, low = PB_FMA(x, part, -square);            \
        float const divisor = x + k, inverse = 1 / divisor;                                         \
        float const off = PB_FMA(divisor - k - x, inverse, PB_FMA(-divisor, inverse, 1.0f));        \
        float const t = PB_FMA(inverse, -2.0f * k, 1.0f), p = fit(t), q = PB_FMA(t, p, first);      \
        float g = q * inverse;                                                                      \
        float lower = PB_FMA(PB_FMA(t, p, first - q) SECOND, inverse, PB_FMA(q, inverse, -g));      \
        float const turned = PB_FMA(off, PB_FMA(inverse, 8.2f, 0.65f), -low);                       \
        PB_REDUCED_WITH(-square, turned, 191)                                                       \
        float const r_low = PB_FMA(n, -0.693145751953125f, -square) - r +                           \
                            PB_FMA(n, -1.42860682030941723212e-6f, turned);                         \
        float const bent = PB_FMA(pb_fit_exp(r) * r, r, r_low);                                     \
        TIMES                                                                                       \
        lower = PB_FMA(r, g, PB_FMA(bent, g, lower));                                               \
        return (lower + g) * pb_power_of(pb_bits_of(turn)) * 5.421010862427522170e-20f;             \
    }
#define PB_TIMES_X                                                                                  \
    float const more = g * x;                                                                       \
    lower = PB_FMA(lower, x, PB_FMA(g, x, -more));                                                  \
    g = more;
PB_TAIL(pb_erfc_tail, 3, 1.0f, PB_ERFC_0, , pb_fit_erfc, )
PB_TAIL(pb_ndtr_tail, 4, 0.5f, PB_NDTR_0, +PB_NDTR_0_LOW, pb_fit_ndtr, )
PB_TAIL(pb_gelu_tail, 4, 0.5f, PB_NDTR_0, +PB_NDTR_0_LOW, pb_fit_ndtr, PB_TIMES_X)
#undef PB_TAIL
#undef PB_REDUCED_WITH
#undef PB_TIMES_X

PB_INLINE float pb_erfc_float(float x) {
    float const size = pb_magnitude(x), y = pb_erfc_tail(10.19f < size ? 10.19f : size);
    float const away = x < 0 ? 2 - y : y;
    return size < 0.001f ? PB_FMA(x, -1.12837916709551257390f, 1.0f) : away;
}
PB_INLINE float pb_ndtr_float(float x) {
    float const size = pb_magnitude(x), y = pb_ndtr_tail(14.42f < size ? 14.42f : size);
    return x > 0 ? 1 - y : y;
}
PB_INLINE float pb_gelu_float(float x) {
    float const size = pb_magnitude(x), y = pb_gelu_tail(14.42f < size ? 14.42f : size);
    return x > 0 ? x - y : pb_with_sign(y, x);
}

/* With w = -log(1 - x^2), erfinv(x) / x is smooth in w, and far out in its root: of that in t it is
   a + (b + fit t) t. What is rounded off there is added: of the sums, of a and b, and of the root, whose
   inverse is about 0.35 - 0.056 root there. */
PB_INLINE float pb_erfinv_float(float x) {
    float const w = -pb_log_normal(PB_FMA(-x, x, 1.0f)), root = sqrtf(w < 5 ? 5 : w);
    float const t = w < 5 ? w - 1 : root - 3;
    float const off = PB_FMA(-root, root, w) * PB_FMA(root, -0.056f, 0.35f);
    float const a = w < 5 ? PB_ERFINV_0 : PB_ERFINV_FAR_0, b = w < 5 ? PB_ERFINV_1 : PB_ERFINV_FAR_1;
    float const bent = w < 5 ? pb_fit_erfinv(t) : pb_fit_erfinv_far(t);
    float const p = PB_FMA(bent, t, b), p_low = PB_FMA(bent, t, b - p);
    float const q = PB_FMA(p, t, a), q_low = PB_FMA(p_low, t, PB_FMA(p, t, a - q));
    float const low = w < 5 ? q_low : PB_FMA(p, off, q_low);
    float const y = pb_with_sign(PB_FMA(x, q, x * low), x), end = (x == 1) | (x == -1) ? x * HUGE_VALF : NAN;
    return (x > -1) & (x < 1) ? y : end;
}

#endif
