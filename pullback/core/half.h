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

/* Numbers below 2^-14 are rounded by adding a half, whose last place is theirs. */
PB_INLINE pb_half pb_to_half(float x) {
    uint32_t const all = pb_bits_of(x), sign = (all >> 16) & 0x8000, bits = all & 0x7FFFFFFF;
    uint32_t const small = pb_bits_of(pb_of_bits(bits) + 0.5f) - 0x3F000000;
    uint32_t const normal = (bits + 0xFFF + ((bits >> 13) & 1) - 0x38000000) >> 13;
    uint32_t const large = bits > 0x7F800000 ? 0x7E00 : 0x7C00;
    pb_half y = {(uint16_t)(sign | (bits >= 0x477FF000 ? large : bits < 0x38800000 ? small : normal))};
    return y;
}

#endif
