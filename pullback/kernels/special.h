/* Special functions of single precision: those of single.h, and some computed in double without branches;
   those of double precision are SciPy's, put right at the poles.

   Errors of those in double are those of the last rounding but for a hundredth of a unit. Polynomials are
   series. Read `pb_log_wide`, `pb_digamma_float`, then the loops. */

#ifndef PB_SPECIAL_H
#define PB_SPECIAL_H

#include "pullback/kernels/curves.h"

/* log x of a positive normal number, to its last place: m 2^e with m in [sqrt 1/2, sqrt 2), and the series of
   2 artanh((m - 1) / (m + 1)) */
PB_INLINE double pb_log_wide(double x) {
    int64_t bits, upper;
    double m, e;
    memcpy(&bits, &x, sizeof bits);
    upper = bits - 0x3FE6A09E00000000; /* sqrt 1/2 */
    bits -= upper & (int64_t)0xFFF0000000000000;
    memcpy(&m, &bits, sizeof m);
    bits = (upper >> 52) + 0x4338000000000000; /* the integer in the low bits of 1.5 * 2^52 */
    memcpy(&e, &bits, sizeof e);
    e -= 6755399441055744.0;
    double const f = m - 1, s = f / (2 + f), t = s * s;
    double p = 2.0 / 21;
    p = p * t + 2.0 / 19;
    p = p * t + 2.0 / 17;
    p = p * t + 2.0 / 15;
    p = p * t + 2.0 / 13;
    p = p * t + 2.0 / 11;
    p = p * t + 2.0 / 9;
    p = p * t + 2.0 / 7;
    p = p * t + 2.0 / 5;
    p = p * t + 2.0 / 3;
    return e * 0.693147180369123816490 + ((p * (t * s) + 2 * s) + e * 1.90821492927058770002e-10);
}

PB_INLINE float pb_entr_float(float x) {
    double const v = x, inside = v > 0 && v < HUGE_VAL ? v : 1;
    double const y = -inside * pb_log_wide(inside), end = v == 0 ? 0 : -HUGE_VAL;
    return (float)(v != v ? v : v > 0 && v < HUGE_VAL ? y : end);
}

/* ---- gamma ---- */

/* digamma: below zero by digamma(1 - x) - pi / tan(pi x), below 8 by the recurrence, then the series at
   infinity, whose coefficients are B(2k) / 2k. */
PB_INLINE float pb_digamma_float(float x) {
    double const v = x, below = v < 0 ? v : -0.25, turn = below - floor(below + 0.5);
    double const a = v < 0 ? 1 - v : v;
    double const low = a < 8 ? a : 1, z = a < 8 ? a + 8 : a;
    double over = 1, under = low;
    int i;
    for (i = 1; i < 8; i++) {
        over = over * (low + i) + under;
        under *= low + i;
    }
    double const t = 1 / (z * z);
    double p = -691.0 / 32760;
    p = p * t + 1.0 / 132;
    p = p * t - 1.0 / 240;
    p = p * t + 1.0 / 252;
    p = p * t - 1.0 / 120;
    p = p * t + 1.0 / 12;
    double y = pb_log_wide(z < 1e300 ? z : 1) - 0.5 / z - p * t;
    y = y - (a < 8 ? over / under : 0);
    y = y - (v < 0 ? 3.14159265358979323846 * pb_cos_turn(turn) / pb_sin_turn(turn) : 0);
    y = v < 0 && turn == 0 ? NAN : y; /* a pole, between infinities of both signs */
    y = v == 0 ? -1 / v : y;
    y = v == HUGE_VAL ? v : v == -HUGE_VAL ? NAN : y;
    return (float)(v != v ? v : y);
}

/* log |gamma|: below zero by log(pi / |sin(pi x)|) - lgamma(1 - x), below 8 by the recurrence, then
   Stirling's series, whose coefficients are B(2k) / (2k (2k - 1)). */
PB_INLINE float pb_lgamma_float(float x) {
    double const v = x, below = v < 0 ? v : -0.25, turn = below - floor(below + 0.5);
    double const a = v < 0 ? 1 - v : v;
    double const low = a < 8 ? (a > 0 ? a : 1) : 1, z = a < 8 ? low + 8 : a;
    double under = low;
    int i;
    for (i = 1; i < 8; i++) under *= low + i;
    double const r = 1 / z, t = r * r, w = z < 1e300 ? z : 1;
    double p = -691.0 / 360360;
    p = p * t + 1.0 / 1188;
    p = p * t - 1.0 / 1680;
    p = p * t + 1.0 / 1260;
    p = p * t - 1.0 / 360;
    p = p * t + 1.0 / 12;
    double y = (w - 0.5) * pb_log_wide(w) - w + (0.91893853320467274178 + p * r);
    y = y - (a < 8 ? pb_log_wide(under) : 0);
    double const sine = pb_sin_turn(turn), size = sine < 0 ? -sine : sine;
    double const turned = 1.14472988584940017414 - pb_log_wide(size > 0 ? size : 1) - y;
    y = v < 0 ? turned : v == 1 || v == 2 ? 0 : y;
    y = v == 0 || (v < 0 && turn == 0) || v == HUGE_VAL || v == -HUGE_VAL ? HUGE_VAL : y;
    return (float)(v != v ? v : y);
}

/* ---- the loops ---- */

PB_FLOAT_LOOP(erf)
PB_FLOAT_LOOP(erfc)
PB_FLOAT_LOOP(erfinv)
PB_PLAIN_LOOP(logit, pb_logit_plain, pb_logit_is_not_plain, pb_logit_float)
PB_FLOAT_LOOP(ndtr)
PB_FLOAT_LOOP(entr)
PB_FLOAT_LOOP(digamma)
#undef PB_FLOAT_LOOP
#undef PB_PLAIN_LOOP

/* SciPy's loop is `data`'s; `name`(x, y) puts right what it gave. The input may be where the result goes. */
typedef struct {
    pb_loop loop;
    void* data;
} pb_scipy;

#define PB_DOUBLE_LOOP(name)                                                                        \
    static void name##_loop_double(char** args, npy_intp const* size, npy_intp const* steps, void* data) { \
        pb_scipy const* const scipy = (pb_scipy const*)data;                                        \
        npy_intp const one = 1;                                                                     \
        npy_intp i;                                                                                 \
        for (i = 0; i < size[0]; i++) {                                                             \
            double const x = *(double const*)(args[0] + i * steps[0]);                              \
            double* const y = (double*)(args[1] + i * steps[1]);                                    \
            char* places[2] = {args[0] + i * steps[0], (char*)y}; /* the loop moves them on */      \
            scipy->loop(places, &one, steps, scipy->data);                                          \
            *y = name(x, *y);                                                                       \
        }                                                                                           \
    }

PB_INLINE double pb_as_it_is(double x, double y) { return x != x ? x : y; }
PB_INLINE double pb_poles(double x, double y) {
    return x == 0 ? -1 / x : x < 0 && x == floor(x) ? NAN : y;
}
PB_INLINE double pb_zero_as_it_is(double x, double y) { return x != x || x == 0 ? x : y; }
PB_DOUBLE_LOOP(pb_as_it_is)
PB_DOUBLE_LOOP(pb_zero_as_it_is)
PB_DOUBLE_LOOP(pb_poles)
#undef PB_DOUBLE_LOOP

/* The upper incomplete gamma function from the lower one, which SciPy finds sooner, where that is not almost
   1: `data` has both. */
static void igammac_loop_float(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    pb_scipy const* const scipy = (pb_scipy const*)data;
    npy_intp const one = 1, still[3] = {0};
    npy_intp i;
    for (i = 0; i < size[0]; i++) {
        double a = *(float const*)(args[0] + i * steps[0]), x = *(float const*)(args[1] + i * steps[1]), y;
        char* places[3] = {(char*)&a, (char*)&x, (char*)&y};
        scipy[0].loop(places, &one, still, scipy[0].data);
        y = 1 - y;
        if (!(y > 1e-6)) scipy[1].loop(places, &one, still, scipy[1].data);
        *(float*)(args[2] + i * steps[2]) = (float)y;
    }
}

/* Hurwitz's zeta function by the formula of Euler and Maclaurin: the first terms one by one, then, with the
   next one, b^-s, the integral and Bernoulli's numbers. Where s is large beside b what is left out is small
   beside the first terms. */
static PB_CLONES void pb_zeta_block(double const* s, double const* q, double* PB_RESTRICT y, npy_intp n) {
    enum { TERMS = 6 };
    npy_intp i;
    for (i = 0; i < n; i++) {
        double const v = s[i], b = q[i] + TERMS, r = 1 / b, t = r * r;
        double p = 1.0 / 47900160;
        p = 1.0 / 1209600 - p * (v + 7) * (v + 8) * t;
        p = 1.0 / 30240 - p * (v + 5) * (v + 6) * t;
        p = 1.0 / 720 - p * (v + 3) * (v + 4) * t;
        p = 1.0 / 12 - p * (v + 1) * (v + 2) * t;
        y[i] = pb_exp_double(-v * pb_log_wide(b)) * (b / (v - 1) + 0.5 + p * v * r);
    }
    for (int k = 0; k < TERMS; k++)
        for (i = 0; i < n; i++) y[i] += pb_exp_double(-s[i] * pb_log_wide(q[i] + k));
}
/* It for s that is not above 1, for q that is not positive, and for infinite ones. Of m terms below zero,
   (-1)^s f^-s to (-1)^s (f + m - 1)^-s, the sum is that from f on without that from f + m on. */
static double pb_zeta_beyond(double s, double q) {
    double const whole = ceil(-q), f = 1 - (q + whole), sign = fmod(s, 2) == 0 ? 1 : -1;
    double const from[3] = {q + whole, f, f + whole}, powers[3] = {s, s, s};
    double y[3];
    if (!(s > 1) | (q != q)) return s == 1 ? HUGE_VAL : NAN;
    if (q == HUGE_VAL) return 0;
    if (s == HUGE_VAL) return q == 1 ? 1 : q > 1 ? NAN : HUGE_VAL;
    if (q == floor(q)) return HUGE_VAL;
    if (s != floor(s)) return NAN;
    pb_zeta_block(powers, from, y, 3);
    return y[0] + sign * (y[1] - y[2]);
}
static void zeta_loop_float(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    enum { PART = 128 };
    double s[PART], q[PART], y[PART];
    npy_intp start, i;
    (void)data;
    for (start = 0; start < size[0]; start += PART) {
        npy_intp const n = size[0] - start < PART ? size[0] - start : PART;
        char const *const from = args[0] + start * steps[0], *const other = args[1] + start * steps[1];
        char* const to = args[2] + start * steps[2];
        for (i = 0; i < n; i++) s[i] = *(float const*)(from + i * steps[0]);
        for (i = 0; i < n; i++) q[i] = *(float const*)(other + i * steps[1]);
        for (i = 0; i < n; i++) s[i] = s[i] > 1e30 && s[i] < HUGE_VAL ? 1e30 : s[i];
        pb_zeta_block(s, q, y, n);
        for (i = 0; i < n; i++)
            if (!((s[i] > 1) & (s[i] < HUGE_VAL) & (q[i] > 0) & (q[i] < HUGE_VAL)))
                y[i] = pb_zeta_beyond(s[i], q[i]);
        for (i = 0; i < n; i++) *(float*)(to + i * steps[2]) = (float)y[i];
    }
}

#endif
