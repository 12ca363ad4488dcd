/* Sine, cosine, tangent, their inverses, and the hyperbolic ones, in single precision: as in `single.h`. */

#ifndef PB_ANGLES_H
#define PB_ANGLES_H

#include "pullback/kernels/single.h"

/* |x| is n turns of pi / 2, which has three parts, and r, of which `low` is rounded off. Up to 2^17 n is the
   nearest whole number, or r at most a hundredth more than half a turn: larger numbers are math.h's. */

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
PB_INLINE int pb_is_far(float x) { return !(pb_magnitude(x) <= 131072.0f); }

/* ---- their inverses

   From a half on the angle is that of the other end, s = sqrt((1 - |x|) / 2), twice. `off` is what the root
   is rounded by, times 1 / 2 s: that by the shift of bits which halves the exponent, good enough. */

PB_INLINE float pb_root_off(float square, float root) {
    return PB_FMA(-root, root, square) * (0.5f * pb_of_bits(0x5F3759DF - (pb_bits_of(square) >> 1)));
}
#define PB_ARC(x)                                                                                   \
    float const size = pb_magnitude(x), far = PB_FMA(size, -0.5f, 0.5f), root = sqrtf(far);         \
    float const square = size < 0.5f ? size * size : far, s = size < 0.5f ? size : root;            \
    float const bent = pb_fit_asin(square) * square * s, off = pb_root_off(far, root);
PB_INLINE float pb_arcsin_float(float x) {
    PB_ARC(x)
    float const low = -4.37113900018624283e-8f, twice = PB_FMA(-2.0f, bent + off, low);
    float const above = 1.57079637050628662109f - 2 * s;
    float const turned = above + (1.57079637050628662109f - above - 2 * s + twice);
    return pb_with_sign(size < 0.5f ? s + bent : turned, x);
}
PB_INLINE float pb_arccos_float(float x) {
    PB_ARC(x)
    float const main = size < 0.5f ? x : 2 * s;
    float const more = size < 0.5f ? pb_with_sign(bent, x) : 2 * (bent + off);
    float const from = x < 0.5f ? x <= -0.5f ? 3.14159274101257324219f : 1.57079637050628662109f : 0;
    float const low = x < 0.5f ? x <= -0.5f ? -8.74227800037248566e-8f : -4.37113900018624283e-8f : 0;
    float const angle = main + (more - low);
    return x < 0.5f ? from - angle : angle;
}
#undef PB_ARC

/* Beyond 1 it is a quarter of a turn less the angle of 1 / x; what that is rounded by counts below 3, by a
   factor between 1 / 2 and 0.9. */
PB_INLINE float pb_arctan_float(float x) {
    float const size = pb_magnitude(x), t = size > 1 ? -1 / size : size, square = t * t;
    float const from = size > 1 ? 1.57079637050628662109f : 0, low = size > 1 ? -4.37113900018624283e-8f : 0;
    float const off = (size > 1) & (size < 3) ? PB_FMA(PB_FMA(t, size, 1.0f) * t, 0.6f, low) : low;
    float const sum = from + t, more = PB_FMA(pb_fit_atan(square) * square, t, off);
    return pb_with_sign(sum + (from - sum + t + more), x);
}

/* ---- hyperbolic ones: a quarter of exp |x|, which does not overflow, is high + low; near zero a
   polynomial */

#define PB_QUARTER(x)                                                                               \
    float const size = pb_magnitude(x), c = 89.5f < size ? 89.5f : size;                            \
    PB_REDUCED(c, 125)                                                                              \
    float const two = pb_power_of(pb_bits_of(turn)), rest = PB_FMA(pb_fit_exp(r) * r, r, r);        \
    float const high = PB_FMA(two, rest, two), low = PB_FMA(two, rest, two - high);
PB_INLINE float pb_cosh_float(float x) {
    PB_QUARTER(x)
    return 2 * (high + (low + 0.0625f / high));
}
PB_INLINE float pb_sinh_float(float x) {
    PB_QUARTER(x)
    float const square = x * x, far = 2 * (high + (low - 0.0625f / high));
    return pb_with_sign(size < 1 ? PB_FMA(pb_fit_sinh(square) * square, size, size) : far, x);
}
#undef PB_QUARTER

#endif
