/* exp, log1p and friends without branches, so that compilers make vector code of the loops they are in.

   Errors are within two units of the last place. Without fused multiply-adds (setup.py sees to that) each
   step is rounded alike on every machine, whatever the width of its vectors. */

#ifndef PB_EXP_H
#define PB_EXP_H

#include "pullback/core/vectors.h"

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

PB_INLINE float pb_two_to_float(int32_t n) {
    uint32_t const bits = (uint32_t)(n + 127) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

PB_INLINE double pb_two_to_double(int64_t n) {
    int64_t const bits = (int64_t)((uint64_t)(n + 1023) << 52);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

PB_INLINE int32_t pb_low_float(float x, float magic) {
    int32_t a, b;
    memcpy(&a, &x, sizeof a);
    memcpy(&b, &magic, sizeof b);
    return a - b;
}

PB_INLINE int64_t pb_low_double(double x, double magic) {
    int64_t a, b;
    memcpy(&a, &x, sizeof a);
    memcpy(&b, &magic, sizeof b);
    return a - b;
}

/* exp(r) - 1 on |r| <= ln 2 / 2: the power series, in float with its last coefficients fitted. */
PB_INLINE float pb_rest_float(float r) {
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    return p * (r * r) + r;
}

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

#define PB_EXP(T, INT, MAGIC, LOW, LEAST, HIGH, LN2_HIGH, LN2_LOW)                                  \
    PB_INLINE T pb_exp_##T(T x) {                                                                   \
        T const magic = (T)MAGIC;                                                                   \
        T c = x > (T)LOW ? x : (T)LOW;                                                              \
        c = c < (T)HIGH ? c : (T)HIGH;                                                              \
        T const turn = c * (T)1.44269504088896340736 + magic, n = turn - magic;                     \
        T const half = c * (T)0.72134752044448170368 + magic;                                       \
        INT const k = pb_low_##T(turn, magic), j = pb_low_##T(half, magic);                         \
        T const r = (c - n * (T)LN2_HIGH) - n * (T)LN2_LOW;                                         \
        T const e = (1 + pb_rest_##T(r)) * pb_two_to_##T(j) * pb_two_to_##T(k - j);                 \
        return x != x ? x : e;                                                                      \
    }                                                                                               \
    /* exp(x) for x <= 0, zero where that would be denormal */                                     \
    PB_INLINE T pb_exp_below_##T(T x) {                                                             \
        T const magic = (T)MAGIC, c = (T)LEAST > x ? (T)LEAST : x;                                  \
        T const turn = c * (T)1.44269504088896340736 + magic, n = turn - magic;                     \
        T const r = (c - n * (T)LN2_HIGH) - n * (T)LN2_LOW;                                         \
        T const e = (1 + pb_rest_##T(r)) * pb_two_to_##T(pb_low_##T(turn, magic));                  \
        return x < (T)LEAST ? 0 : e;                                                                \
    }                                                                                               \
    /* exp(x) - 1 for x <= 0, exact for small x */                                                  \
    PB_INLINE T pb_expm1_below_##T(T x) {                                                           \
        T const magic = (T)MAGIC;                                                                   \
        T c = x < 0 ? x : 0;                                                                        \
        c = c > -60 ? c : -60;                                                                      \
        T const turn = c * (T)1.44269504088896340736 + magic, n = turn - magic;                     \
        T const two = pb_two_to_##T(pb_low_##T(turn, magic));                                       \
        T const r = (c - n * (T)LN2_HIGH) - n * (T)LN2_LOW;                                         \
        T const e = two * pb_rest_##T(r) + (two - 1);                                               \
        return x != x ? x : e;                                                                      \
    }

PB_EXP(float, int32_t, 12582912.0, -104.0, -87.33, 89.0, 0.693359375, -2.12194440e-4)
PB_EXP(double, int64_t, 6755399441055744.0, -746.0, -708.39, 710.0, 0.693145751953125,
       1.42860682030941723212e-6)

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
PB_INLINE float pb_log1p_unit_float(float q) {
    float const s = q / (2 + q), t = s * s;
    float p = 2.0f / 15;
    p = p * t + 2.0f / 13;
    p = p * t + 2.0f / 11;
    p = p * t + 2.0f / 9;
    p = p * t + 2.0f / 7;
    p = p * t + 2.0f / 5;
    p = p * t + 2.0f / 3;
    return p * (t * s) + 2 * s;
}

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
