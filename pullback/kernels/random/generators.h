/* The numeric ground of `generators.pyx`: the Mersenne Twister, Box and Muller's transform, narrow floats.

   Random words are taken by the block, since twisting and tempering then run eight wide. Every bit
   here is fixed by the arithmetic as written: compile with contraction off, so that a fused
   multiply-add happens where `fma` stands and nowhere else. Loops that want AVX2 and FMA are
   compiled twice and the wide one is picked when the machine has them; without them `fma` is the C
   library's, slower and with the same bits.

   Read `Twister` and `twister_words`, then `box_muller_floats_body`. */

#ifndef PULLBACK_RANDOM_H
#define PULLBACK_RANDOM_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define RNG_INLINE static __forceinline
#define RNG_RESTRICT __restrict
#else
#define RNG_INLINE static inline __attribute__((always_inline))
#define RNG_RESTRICT __restrict__
#endif

/* RNG_WIDE(f, (params), (args)) defines f from f_body, once plain and once for AVX2 with FMA. */
#if defined(__x86_64__) && defined(__GNUC__)
#define RNG_WIDE(name, params, args)                                                             \
    __attribute__((target("avx2,fma"))) static void name##_wide params { name##_body args; }     \
    static void name##_plain params { name##_body args; }                                        \
    static void name params                                                                      \
    {                                                                                            \
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) name##_wide args;   \
        else name##_plain args;                                                                  \
    }
#else
#define RNG_WIDE(name, params, args) static void name params { name##_body args; }
#endif

/* ---- The Mersenne Twister (Matsumoto and Nishimura, 1998: MT19937) ---- */

enum { TWISTER_N = 624, TWISTER_M = 397 };
enum { RNG_BLOCK = 1024 }; /* how many numbers are made at a time: a multiple of sixteen */

typedef struct {
    uint64_t seed;
    int32_t left;        /* words to go before the state is twisted again, plus one */
    uint32_t next;       /* where in the state the next word stands */
    uint32_t state[TWISTER_N];
    double spare;        /* the second normal of a pair, kept for the next single one */
    int has_spare;
    float spare_float;   /* carried through saved states; nothing on the CPU makes one */
    int has_spare_float;
} Twister;

/* A saved generator, byte for byte as PyTorch lays it out; fields of older engines stay zero. */
typedef struct {
    uint64_t seed;
    int32_t left, seeded;
    uint64_t next;
    uint64_t state[TWISTER_N];
    double old_x, spare, old_rho;
    int32_t has_spare, gap;
    float spare_float;
    uint8_t has_spare_float, end_gap[3];
} SavedTwister;

static void twister_seed(Twister *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->seed = seed;
    t->left = 1;
    t->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < TWISTER_N; i++) {
        uint32_t before = t->state[i - 1];
        t->state[i] = 1812433253u * (before ^ (before >> 30)) + i;
    }
}

static void twister_save(const Twister *t, SavedTwister *saved)
{
    memset(saved, 0, sizeof *saved);
    saved->seed = t->seed;
    saved->left = t->left;
    saved->seeded = 1;
    saved->next = t->next;
    for (int i = 0; i < TWISTER_N; i++) saved->state[i] = t->state[i];
    saved->has_spare = t->has_spare;
    saved->spare = t->has_spare ? t->spare : 0.0;
    saved->has_spare_float = (uint8_t)t->has_spare_float;
    saved->spare_float = t->has_spare_float ? t->spare_float : 0.0f;
}

/* 0 when the saved fields are no state of a twister: then t is untouched. */
static int twister_load(Twister *t, const SavedTwister *saved)
{
    uint32_t next = (uint32_t)saved->next;
    if (!saved->seeded || saved->left < 1 || saved->left > TWISTER_N || next > TWISTER_N) return 0;
    if (next + (uint32_t)saved->left - 1 > TWISTER_N) return 0; /* would read past the state */
    t->seed = saved->seed;
    t->left = saved->left;
    t->next = next;
    for (int i = 0; i < TWISTER_N; i++) t->state[i] = (uint32_t)saved->state[i];
    t->has_spare = saved->has_spare != 0;
    t->spare = saved->spare;
    t->has_spare_float = saved->has_spare_float != 0;
    t->spare_float = saved->spare_float;
    return 1;
}

RNG_INLINE uint32_t twist_word(uint32_t high, uint32_t low, uint32_t far)
{
    uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
    return far ^ (mixed >> 1) ^ ((0u - (low & 1u)) & 0x9908b0dfu);
}

RNG_INLINE uint32_t temper(uint32_t w)
{
    w ^= w >> 11;
    w ^= (w << 7) & 0x9d2c5680u;
    w ^= (w << 15) & 0xefc60000u;
    return w ^ (w >> 18);
}

RNG_INLINE void twist_state_body(uint32_t *s)
{
    const int near_end = TWISTER_N - TWISTER_M;
    for (int i = 0; i < near_end; i++) s[i] = twist_word(s[i], s[i + 1], s[i + TWISTER_M]);
    for (int i = near_end; i < TWISTER_N - 1; i++)
        s[i] = twist_word(s[i], s[i + 1], s[i - near_end]);
    s[TWISTER_N - 1] = twist_word(s[TWISTER_N - 1], s[0], s[TWISTER_M - 1]);
}
RNG_WIDE(twist_state, (uint32_t *s), (s))

RNG_INLINE void temper_words_body(const uint32_t *RNG_RESTRICT s, uint32_t *RNG_RESTRICT out, int n)
{
    for (int i = 0; i < n; i++) out[i] = temper(s[i]);
}
RNG_WIDE(temper_words, (const uint32_t *s, uint32_t *out, int n), (s, out, n))

static void twister_renew(Twister *t)
{
    twist_state(t->state);
    t->left = TWISTER_N + 1;
    t->next = 0;
}

/* The next n words, in the order in which n single draws give them. */
static void twister_words(Twister *t, uint32_t *out, int n)
{
    while (n > 0) {
        if (t->left == 1) twister_renew(t);
        int take = t->left - 1 < n ? t->left - 1 : n;
        temper_words(t->state + t->next, out, take);
        t->next += (uint32_t)take;
        t->left -= take;
        out += take;
        n -= take;
    }
}

RNG_INLINE uint32_t twister_word(Twister *t)
{
    if (t->left == 1) twister_renew(t);
    t->left--;
    return temper(t->state[t->next++]);
}

RNG_INLINE uint64_t twister_long(Twister *t)
{
    uint64_t high = twister_word(t);
    return high << 32 | twister_word(t);
}

/* Two words as a double in [0, 1) with 53 random bits. */
RNG_INLINE double unit_double(uint32_t high, uint32_t low)
{
    return ((high & 0x1fffffu) * 4294967296.0 + low) * 0x1p-53;
}

RNG_INLINE double twister_unit(Twister *t)
{
    uint32_t high = twister_word(t);
    return unit_double(high, twister_word(t));
}

RNG_INLINE void unit_doubles_body(
    const uint32_t *RNG_RESTRICT words, double *RNG_RESTRICT out, int n)
{
    for (int i = 0; i < n; i++) out[i] = unit_double(words[2 * i], words[2 * i + 1]);
}
RNG_WIDE(unit_doubles, (const uint32_t *words, double *out, int n), (words, out, n))

/* A word as a float in [0, 1) with 24 random bits. */
RNG_INLINE void unit_floats_body(
    const uint32_t *RNG_RESTRICT words, float *RNG_RESTRICT out, int n)
{
    for (int i = 0; i < n; i++) out[i] = (float)(int32_t)(words[i] & 0xffffffu) * 0x1p-24f;
}
RNG_WIDE(unit_floats, (const uint32_t *words, float *out, int n), (words, out, n))

RNG_INLINE void affine_doubles_body(double *x, int n, double scale, double shift)
{
    for (int i = 0; i < n; i++) x[i] = fma(x[i], scale, shift);
}
RNG_WIDE(affine_doubles, (double *x, int n, double scale, double shift), (x, n, scale, shift))

RNG_INLINE void affine_floats_body(float *x, int n, float scale, float shift)
{
    for (int i = 0; i < n; i++) x[i] = fmaf(x[i], scale, shift);
}
RNG_WIDE(affine_floats, (float *x, int n, float scale, float shift), (x, n, scale, shift))

/* ---- Box and Muller's transform, sixteen at a time ---- */

RNG_INLINE uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

RNG_INLINE float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a where the mask's bits are set, b elsewhere: no branch, so that loops stay wide. */
RNG_INLINE float choose(uint32_t mask, float a, float b)
{
    return bits_float((float_bits(a) & mask) | (float_bits(b) & ~mask));
}

/* log x for x in (0, 1]: x = 2^e (1 + m) with 1 + m in [sqrt(1/2), sqrt(2)), and Cephes'
   polynomial in m. */
RNG_INLINE float unit_log(float x)
{
    uint32_t bits = float_bits(x);
    float half_up = bits_float((bits & 0x007fffffu) | 0x3f000000u);
    uint32_t small = 0u - (uint32_t)(half_up < 0.707106781186547524f);
    float e = (float)((int32_t)(bits >> 23) - 126 + (int32_t)small);
    float m = (half_up - 1.0f) + choose(small, half_up, 0.0f);
    float p = 7.0376836292e-2f;
    p = fmaf(p, m, -1.1514610310e-1f);
    p = fmaf(p, m, 1.1676998740e-1f);
    p = fmaf(p, m, -1.2420140846e-1f);
    p = fmaf(p, m, 1.4249322787e-1f);
    p = fmaf(p, m, -1.6668057665e-1f);
    p = fmaf(p, m, 2.0000714765e-1f);
    p = fmaf(p, m, -2.4999993993e-1f);
    p = fmaf(p, m, 3.3333331174e-1f);
    float square = m * m;
    float tail = fmaf(p * m, square, e * -2.12194440e-4f);
    tail = fmaf(square, -0.5f, tail);
    return fmaf(e, 0.693359375f, m + tail); /* log 2 = 0.693359375 - 2.12194440e-4 */
}

/* sin x and cos x for x >= 0: x less the nearest even multiple of pi/4, in three steps, then
   Cephes' two polynomials; which of them is the sine, and the signs, follow from the octant. */
RNG_INLINE void sine_cosine(float x, float *sine, float *cosine)
{
    int32_t octant = ((int32_t)(x * 1.27323954473516f) + 1) & ~1;
    float turns = (float)octant;
    x = fmaf(turns, -0.78515625f, x);
    x = fmaf(turns, -2.4187564849853515625e-4f, x);
    x = fmaf(turns, -3.77489497744594108e-8f, x);
    float z = x * x;
    float c = 2.443315711809948e-5f;
    c = fmaf(c, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = fmaf(c * z, z, z * -0.5f) + 1.0f;
    float s = -1.9515295891e-4f;
    s = fmaf(s, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = fmaf(s * z, x, x);
    uint32_t swap = 0u - ((uint32_t)octant >> 1 & 1u);
    *sine = bits_float(float_bits(choose(swap, c, s)) ^ ((uint32_t)octant & 4u) << 29);
    *cosine = bits_float(float_bits(choose(swap, s, c)) ^ (~((uint32_t)octant - 2u) & 4u) << 29);
}

/* Uniforms in place to normals: in each sixteen, number j and number j + 8 make a pair. n is a
   multiple of 16. */
RNG_INLINE void box_muller_floats_body(float *x, ptrdiff_t n, float mean, float std)
{
    for (ptrdiff_t i = 0; i < n; i += 16) {
        float *RNG_RESTRICT a = x + i;
        float *RNG_RESTRICT b = x + i + 8;
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 1
#endif
        for (int j = 0; j < 8; j++) {
            float sine, cosine;
            float radius = sqrtf(-2.0f * unit_log(1.0f - a[j]));
            sine_cosine(6.28318530717958648f * b[j], &sine, &cosine);
            a[j] = fmaf(radius * cosine, std, mean);
            b[j] = fmaf(radius * sine, std, mean);
        }
    }
}
RNG_WIDE(box_muller_floats, (float *x, ptrdiff_t n, float mean, float std), (x, n, mean, std))

/* One normal number; the generator keeps the second of each pair. */
static double twister_normal(Twister *t)
{
    if (t->has_spare) {
        t->has_spare = 0;
        return t->spare;
    }
    double angle = 6.28318530717958648 * twister_unit(t);
    double radius = sqrt(-2.0 * log1p(-twister_unit(t)));
    t->has_spare = 1;
    t->spare = radius * sin(angle);
    return radius * cos(angle);
}

static void box_muller_doubles(double *x, ptrdiff_t n, double mean, double std)
{
    for (ptrdiff_t i = 0; i < n; i += 16) {
        for (int j = 0; j < 8; j++) {
            double radius = sqrt(-2.0 * log(1.0 - x[i + j]));
            double angle = 6.28318530717958648 * x[i + j + 8];
            x[i + j] = fma(radius * cos(angle), std, mean);
            x[i + j + 8] = fma(radius * sin(angle), std, mean);
        }
    }
}

/* ---- Narrow floats, to nearest, ties to even ---- */

RNG_INLINE uint16_t to_bfloat16(float x)
{
    uint32_t bits = float_bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

RNG_INLINE uint16_t to_float16(float x)
{
    uint32_t bits = float_bits(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x47800000u) return (uint16_t)(sign | 0x7c00u);
    if (size < 0x38800000u) /* below 2^-14: adding 1/2 rounds to a multiple of 2^-24 */
        return (uint16_t)(sign | (float_bits(bits_float(size) + 0.5f) - 0x3f000000u));
    size -= 0x38000000u;
    return (uint16_t)(sign | (size + 0xfffu + (size >> 13 & 1u)) >> 13);
}

#endif
