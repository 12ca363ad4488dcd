/* exp, log1p and friends without branches, so that compilers make vector code of the loops they are in.

   Errors are within two units of the last place, in float within one. Each step is rounded alike on every
   machine, whatever the width of its vectors (see PB_FMA). */

#ifndef PB_EXP_H
#define PB_EXP_H

#include "pullback/core/half.h"
#include "pullback/kernels/fits.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A short loop that GCC is to make vector code of as a loop: unrolled, choices in it would stay branches. */
#if defined(__GNUC__) && !defined(__clang__)
#define ONE_BY_ONE _Pragma("GCC unroll 1")
#else
#define ONE_BY_ONE
#endif

/* x = n ln 2 + r: adding a large constant rounds to an integer, which then stands in the low bits. */

PB_INLINE double pb_two_to_double(int64_t n) {
    int64_t const bits = (int64_t)((uint64_t)(n + 1023) << 52);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

PB_INLINE int64_t pb_low_double(double x, double magic) {
    int64_t a, b;
    memcpy(&a, &x, sizeof a);
    memcpy(&b, &magic, sizeof b);
    return a - b;
}

/* exp(r) - 1 on |r| <= ln 2 / 2: the power series. */
PB_INLINE double pb_rest_double(double r) {
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    return p * (r * r) + r;
}

PB_INLINE double pb_exp_double(double x) {
    double const magic = 6755399441055744.0;
    double c = x > -746.0 ? x : -746.0;
    c = c < 710.0 ? c : 710.0;
    double const turn = c * 1.44269504088896340736 + magic, n = turn - magic;
    double const half = c * 0.72134752044448170368 + magic;
    int64_t const k = pb_low_double(turn, magic), j = pb_low_double(half, magic);
    double const r = (c - n * 0.693145751953125) - n * 1.42860682030941723212e-6;
    double const e = (1 + pb_rest_double(r)) * pb_two_to_double(j) * pb_two_to_double(k - j);
    return x != x ? x : e;
}
/* exp(x) for x <= 0, zero where that would be denormal */
PB_INLINE double pb_exp_below_double(double x) {
    double const magic = 6755399441055744.0, c = -708.39 > x ? -708.39 : x;
    double const turn = c * 1.44269504088896340736 + magic, n = turn - magic;
    double const r = (c - n * 0.693145751953125) - n * 1.42860682030941723212e-6;
    double const e = (1 + pb_rest_double(r)) * pb_two_to_double(pb_low_double(turn, magic));
    return x < -708.39 ? 0 : e;
}
/* exp(x) - 1 for x <= 0, exact for small x */
PB_INLINE double pb_expm1_below_double(double x) {
    double const magic = 6755399441055744.0;
    double c = x < 0 ? x : 0;
    c = c > -60 ? c : -60;
    double const turn = c * 1.44269504088896340736 + magic, n = turn - magic;
    double const two = pb_two_to_double(pb_low_double(turn, magic));
    double const r = (c - n * 0.693145751953125) - n * 1.42860682030941723212e-6;
    double const e = two * pb_rest_double(r) + (two - 1);
    return x != x ? x : e;
}

/* In float: n and the remainder, with BIAS in the low bits of `turn` as well; and 2^(n + BIAS - 127). Choices
   are written so that a NaN goes through them. */
#define PB_REDUCED(x, BIAS)                                                                          \
    float const turn = PB_FMA(x, 1.44269504088896340736f, 12582912.0f + (BIAS));                     \
    float const n = turn - (12582912.0f + (BIAS));                                                   \
    float const r = PB_FMA(n, -1.42860682030941723212e-6f, PB_FMA(n, -0.693145751953125f, x));
PB_INLINE float pb_power_of(uint32_t turn) { return pb_of_bits(turn << 23); }

/* exp(r) on |r| <= ln 2 / 2 */
PB_INLINE float pb_exp_near(float r) { return PB_FMA(PB_FMA(pb_fit_exp(r), r, 1.0f), r, 1.0f); }

/* exp of what is neither large nor denormal, and of any number */
PB_INLINE float pb_exp_normal(float x) {
    PB_REDUCED(x, 127)
    return pb_exp_near(r) * pb_power_of(pb_bits_of(turn));
}
PB_INLINE int pb_exp_is_not_normal(float x) { return !(pb_of_bits(pb_bits_of(x) & 0x7FFFFFFF) < 87.33f); }
PB_INLINE float pb_exp_float(float x) {
    float const above = -104.0f > x ? -104.0f : x, c = 89.0f < above ? 89.0f : above;
    PB_REDUCED(c, 254)
    uint32_t const both = pb_bits_of(turn), half = both >> 1;
    return pb_exp_near(r) * pb_power_of(half) * pb_power_of(both - half);
}
/* exp(x) for x <= 0 */
PB_INLINE float pb_exp_falling_float(float x) {
    float const c = -104.0f > x ? -104.0f : x;
    PB_REDUCED(c, 191)
    return pb_exp_near(r) * pb_power_of(pb_bits_of(turn)) * 5.421010862427522170e-20f; /* 2^-64 */
}
/* the same, zero where that would be denormal */
PB_INLINE float pb_exp_below_float(float x) {
    float const c = -87.33f > x ? -87.33f : x;
    PB_REDUCED(c, 127)
    float const e = pb_exp_near(r) * pb_power_of(pb_bits_of(turn));
    return x < -87.33f ? 0 : e;
}
/* 2^x; its exponent is in two parts, as that of exp */
PB_INLINE float pb_exp2_float(float x) {
    float const above = -151.0f > x ? -151.0f : x, c = 129.0f < above ? 129.0f : above;
    float const turn = c + (12582912.0f + 254), r = c - (turn - (12582912.0f + 254));
    uint32_t const both = pb_bits_of(turn), half = both >> 1;
    return PB_FMA(pb_fit_exp2(r), r, 1.0f) * pb_power_of(half) * pb_power_of(both - half);
}
/* exp(x) - 1, of which half is computed, which does not overflow: 2^n / 2 - 1 / 2 is large for n = 1 beside
   what is left, so that all is added which is rounded off, of the remainder too */
PB_INLINE float pb_expm1_float(float x) {
    float const above = -60.0f > x ? -60.0f : x, c = 89.0f < above ? 89.0f : above;
    PB_REDUCED(c, 126)
    float const half = pb_power_of(pb_bits_of(turn)), less = half - 0.5f, sum = PB_FMA(half, r, less);
    float const off = PB_FMA(n, -1.42860682030941723212e-6f, PB_FMA(n, -0.693145751953125f, c) - r);
    float const bent = PB_FMA(pb_fit_exp(r), r * r, off), low = PB_FMA(half, r, less - sum);
    float const y = 2 * (sum + PB_FMA(half, bent, low + (half - less - 0.5f)));
    return pb_of_bits(pb_bits_of(x) & 0x7FFFFFFF) < 1e-8f ? x : y;
}
/* exp(x) - 1 for x <= 0, exact for small x */
PB_INLINE float pb_expm1_below_float(float x) {
    float const below = 0 < x ? 0 : x, c = -60.0f > below ? -60.0f : below;
    PB_REDUCED(c, 127)
    float const two = pb_power_of(pb_bits_of(turn));
    return PB_FMA(two, PB_FMA(pb_fit_exp(r) * r, r, r), two - 1);
}
#define pb_exp_falling_double pb_exp_double

/* exp in double for a result in float: to 2e-10, zero below -700 */
PB_INLINE double pb_exp_short(double x) {
    double const magic = 6755399441055744.0, c = x < -700 ? -700 : x;
    double const turn = c * 1.44269504088896340736 + magic, n = turn - magic;
    double const r = c - n * 0.69314718055994530942;
    double p = 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1;
    p = p * r + 1;
    return x != x ? x : p * pb_two_to_double(pb_low_double(turn, magic));
}

/* log(1 + q) for q in [0, 1], by the series of 2 artanh(q / (2 + q)) */
PB_INLINE double pb_log1p_unit_double(double q) {
    double const s = q / (2 + q), t = s * s;
    double p = 2.0 / 33;
    p = p * t + 2.0 / 31;
    p = p * t + 2.0 / 29;
    p = p * t + 2.0 / 27;
    p = p * t + 2.0 / 25;
    p = p * t + 2.0 / 23;
    p = p * t + 2.0 / 21;
    p = p * t + 2.0 / 19;
    p = p * t + 2.0 / 17;
    p = p * t + 2.0 / 15;
    p = p * t + 2.0 / 13;
    p = p * t + 2.0 / 11;
    p = p * t + 2.0 / 9;
    p = p * t + 2.0 / 7;
    p = p * t + 2.0 / 5;
    p = p * t + 2.0 / 3;
    return p * (t * s) + 2 * s;
}

#endif
