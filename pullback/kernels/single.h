/* Functions of one number in single precision, without branches, so that compilers make vector code of the
   loops they are in. Polynomials are those of tools/fits.py.

   Errors are below two units of the last place, of most below one. What a step rounds off is computed too
   where it would count: a quotient's rest, the lower half of a product. NaN comes through by itself.
   Read `pb_log_normal`, `pb_erf_float`, then PB_TAIL. */

#ifndef PB_SINGLE_H
#define PB_SINGLE_H

#include "pullback/kernels/exp.h"

PB_INLINE float pb_magnitude(float x) { return pb_of_bits(pb_bits_of(x) & 0x7FFFFFFF); }
PB_INLINE float pb_with_sign(float x, float of) {
    return pb_of_bits((pb_bits_of(x) & 0x7FFFFFFF) | (pb_bits_of(of) & 0x80000000));
}

/* ---- logarithms */

/* log x of a positive normal number: m 2^e with m in [sqrt 1/2, sqrt 2) */
PB_INLINE float pb_log_normal(float x) {
    uint32_t const upper = pb_bits_of(x) - 0x3F3504F3; /* sqrt 1/2 */
    float const e = (float)((int32_t)upper >> 23), f = pb_of_bits((upper & 0x7FFFFF) + 0x3F3504F3) - 1;
    float const rest = PB_FMA(pb_fit_log(f), f, -0.5f) * (f * f);
    return PB_FMA(e, 0.693145751953125f, PB_FMA(e, 1.42860682030941723212e-6f, rest) + f);
}
PB_INLINE int pb_is_not_normal(float x) { return pb_bits_of(x) - 0x00800000 >= 0x7F000000; } /* or negative */
PB_INLINE float pb_log_float(float x) {
    float const least = 1.17549435e-38f, raised = x < least ? x * 8388608.0f : x; /* by 2^23 */
    float const y = pb_log_normal(raised) - (x < least ? 15.942385152878742f : 0);
    float const end = x == 0 ? -HUGE_VALF : x < 0 ? NAN : x;
    return (x > 0) & (x < HUGE_VALF) ? y : end;
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

/* ---- the logistic function: what its sum was rounded by counts in the quotient */

PB_INLINE float pb_logistic_float(float x) {
    float const q = pb_exp_falling_float(-pb_magnitude(x)), sum = 1 + q, y = (x < 0 ? q : 1) / sum;
    return PB_FMA((sum - 1 - q) * y, x < 0 ? 1 - y : y, y);
}

/* ---- erf and its kin

   Exponentials of x + low: n and the remainder, as in PB_REDUCED. */

#define PB_REDUCED_WITH(x, low, BIAS)                                                               \
    float const turn = PB_FMA(x, 1.44269504088896340736f, 12582912.0f + (BIAS));                    \
    float const n = turn - (12582912.0f + (BIAS));                                                  \
    float const r = PB_FMA(n, -0.693145751953125f, x) + PB_FMA(n, -1.42860682030941723212e-6f, low);

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
   its reciprocal are rounded by, `off`: g goes like that to a power between 1 and 3.4. TIMES may multiply
   g. */
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
        float const rest = PB_FMA(pb_fit_exp(r) * r, r, r);                                         \
        TIMES                                                                                       \
        return (PB_FMA(rest, g, lower) + g) * pb_power_of(pb_bits_of(turn)) * 5.421010862427522170e-20f; \
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
    float const w = -pb_log_normal((1 - x) * (1 + x)), root = sqrtf(w < 5 ? 5 : w);
    float const t = w < 5 ? w - 1 : root - 3;
    float const off = PB_FMA(-root, root, w) * PB_FMA(root, -0.056f, 0.35f);
    float const a = w < 5 ? PB_ERFINV_0 : PB_ERFINV_FAR_0, b = w < 5 ? PB_ERFINV_1 : PB_ERFINV_FAR_1;
    float const bent = w < 5 ? pb_fit_erfinv(t) : pb_fit_erfinv_far(t);
    float const p = PB_FMA(bent, t, b), p_low = PB_FMA(bent, t, b - p);
    float const q = PB_FMA(p, t, a), q_low = PB_FMA(p_low, t, PB_FMA(p, t, a - q));
    float const low = w < 5 ? q_low : PB_FMA(p, off, q_low);
    float const y = PB_FMA(x, q, x * low), end = (x == 1) | (x == -1) ? x * HUGE_VALF : NAN;
    return (x > -1) & (x < 1) ? y : end;
}

/* ---- sine, cosine, tangent

   |x| is n turns of pi / 2, which has three parts, and r, of which `low` is rounded off. To 2^22 n is exact:
   larger numbers are math.h's. */

typedef struct {
    uint32_t turn; /* n in its low bits */
    float r, low, square;
} pb_turned;

PB_INLINE pb_turned pb_turned_by(float x) {
    float const size = pb_magnitude(x), turn = PB_FMA(size, 0.636619772367581343076f, 12582912.0f);
    float const n = turn - 12582912.0f, above = PB_FMA(n, -1.57079637050628662109f, size);
    float const part = n * -4.37113882867379294e-8f, r = above - part, back = r - above;
    float const error = (above - (r - back)) - (part + back) - PB_FMA(n, -4.37113882867379294e-8f, -part);
    pb_turned const turned = {pb_bits_of(turn), r, PB_FMA(n, 1.71512451e-15f, error), r * r};
    return turned;
}
PB_INLINE float pb_sine_of(pb_turned at) {
    return PB_FMA(pb_fit_sin(at.square) * at.square, at.r, at.low) + at.r;
}
PB_INLINE float pb_cosine_of(pb_turned at) {
    float const half = at.square * 0.5f, top = 1 - half, rest = PB_FMA(-at.r, at.low, (1 - top) - half);
    return PB_FMA(at.square * at.square, pb_fit_cos(at.square), rest) + top;
}
PB_INLINE float pb_sin_float(float x) {
    pb_turned const at = pb_turned_by(x);
    float const y = at.turn & 1 ? pb_cosine_of(at) : pb_sine_of(at);
    return pb_of_bits(pb_bits_of(y) ^ ((at.turn << 30 ^ pb_bits_of(x)) & 0x80000000));
}
PB_INLINE float pb_cos_float(float x) {
    pb_turned const at = pb_turned_by(x);
    float const y = at.turn & 1 ? pb_sine_of(at) : pb_cosine_of(at);
    return pb_of_bits(pb_bits_of(y) ^ ((at.turn + 1) << 30 & 0x80000000));
}
/* a quarter of a turn makes -1 / tan of it */
PB_INLINE float pb_tan_float(float x) {
    pb_turned const at = pb_turned_by(x);
    float const bent = PB_FMA(pb_fit_tan(at.square) * at.square, at.r, PB_FMA(at.low, at.square, at.low));
    float const y = bent + at.r, low = bent - (y - at.r), inverse = 1 / y;
    float const off = PB_FMA(-low, inverse, PB_FMA(-y, inverse, 1.0f));
    float const other = PB_FMA(off, inverse, inverse);
    return pb_of_bits(pb_bits_of(at.turn & 1 ? other : y) ^ ((at.turn << 31 ^ pb_bits_of(x)) & 0x80000000));
}
PB_INLINE int pb_is_far(float x) { return !(pb_magnitude(x) <= 4194304.0f); }

#endif
