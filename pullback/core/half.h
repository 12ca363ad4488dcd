/* The two half precisions, to float and back: by bits, rounded to nearest, ties to even. */

#ifndef PB_HALF_H
#define PB_HALF_H

#include "pullback/core/vectors.h"

#include <stdint.h>
#include <string.h>

typedef struct { uint16_t bits; } pb_half;
typedef struct { uint16_t bits; } pb_bfloat;

PB_INLINE float pb_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

PB_INLINE uint32_t pb_bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

PB_INLINE float pb_from_bfloat(pb_bfloat x) { return pb_of_bits((uint32_t)x.bits << 16); }

PB_INLINE pb_bfloat pb_to_bfloat(float x) {
    uint32_t const bits = pb_bits_of(x);
    pb_bfloat y = {(uint16_t)(x != x ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
    return y;
}

/* Exponent and mantissa moved into a float's place are 2^-112 of the number, denormals included. */
PB_INLINE float pb_from_half(pb_half x) {
    uint32_t const sign = (uint32_t)(x.bits & 0x8000) << 16, rest = x.bits & 0x7FFF;
    float const finite = pb_of_bits(rest << 13) * 5.192296858534827628530496329220096e33f;
    uint32_t const bits = rest >= 0x7C00 ? (rest << 13) | 0x7F800000 : pb_bits_of(finite);
    return pb_of_bits(bits | sign);
}

/* The last place of a half is that of a power of 2 that is added: 2^13 times the number's, or the least
   one's. What comes out past the largest half is infinity. A NaN keeps the first bits of its payload. */
PB_INLINE pb_half pb_to_half(float x) {
    uint32_t const all = pb_bits_of(x), sign = (all >> 16) & 0x8000, size = all & 0x7FFFFFFF;
    uint32_t const finite = size < 0x47800000 ? size : 0x47800000, power = finite & 0x7F800000;
    uint32_t const own = power > 0x38800000 ? power : 0x38800000, added = own + (13 << 23);
    uint32_t const sum = pb_bits_of(pb_of_bits(finite) + pb_of_bits(added));
    uint32_t const number = sum - added + ((own - 0x38800000) >> 13);
    pb_half y = {(uint16_t)(sign | (size > 0x7F800000 ? 0x7E00 | (size >> 13 & 0x3FF) : number))};
    return y;
}

/* n numbers, by the processor's instruction for it where there is one: it gives the same bits. */
#if PB_HAS_CLONES
typedef float pb_floats __attribute__((vector_size(32)));
typedef short pb_shorts __attribute__((vector_size(16)));
__attribute__((target("avx,f16c"))) static void pb_to_halves_f16c(float const* from, pb_half* to, int64_t n) {
    for (int64_t i = 0; i + 8 <= n; i += 8) {
        pb_floats given;
        memcpy(&given, from + i, sizeof given);
        pb_shorts const found = __builtin_ia32_vcvtps2ph256(given, 0);
        memcpy(to + i, &found, sizeof found);
    }
    for (int64_t i = n & ~(int64_t)7; i < n; i++) to[i] = pb_to_half(from[i]);
}
#endif
static PB_CLONES void pb_to_halves_plain(float const* PB_RESTRICT from, pb_half* PB_RESTRICT to, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = pb_to_half(from[i]);
}
static inline void pb_to_halves(float const* from, pb_half* to, int64_t n) {
#if PB_HAS_CLONES
    if (__builtin_cpu_supports("f16c")) {
        pb_to_halves_f16c(from, to, n);
        return;
    }
#endif
    pb_to_halves_plain(from, to, n);
}

#endif
