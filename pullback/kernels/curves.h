/* The loops of the activations and of power, for float and double, as ufuncs call them.

   The functions of one number stand in `curve_loops.h`, which is read once for each type. What the two types
   do not share stands in `single.h` and `angles.h` for float, and here for double. */

#ifndef PB_CURVES_H
#define PB_CURVES_H

#include "pullback/kernels/angles.h"

PB_INLINE double pb_ndtr_double(double x) { return 0.5 * erfc(x * -0.70710678118654752440); }
PB_INLINE double pb_gelu_double(double x) { return x * pb_ndtr_double(x); }
PB_INLINE double pb_logistic_double(double x) {
    double const q = pb_exp_double(-fabs(x));
    return (x < 0 ? q : 1) / (1 + q);
}

PB_INLINE double pb_silu_double(double x) { return x * pb_logistic_double(x); }
PB_INLINE double pb_mish_double(double x) {
    double const q = pb_exp_double(-fabs(x));
    double const low = x < 0 ? 2 : 2 * q * q, high = x < 0 ? q * (q + 2) : 1 + 2 * q;
    return x * (high / (high + low));
}
PB_INLINE double pb_gelu_tanh_double(double x) {
    return x * pb_logistic_double(x * (1.5957691216057307117 + 0.07135481627260025 * (x * x)));
}

PB_INLINE double pb_log_double(double x) { return log(x); }

/* sin(pi r) and cos(pi r) for |r| <= 1/2 */
PB_INLINE double pb_sin_turn(double r) {
    double const x = r * 3.14159265358979323846, t = x * x;
    double p = -1.0 / 51090942171709440000.0;
    p = p * t + 1.0 / 121645100408832000.0;
    p = p * t - 1.0 / 355687428096000.0;
    p = p * t + 1.0 / 1307674368000.0;
    p = p * t - 1.0 / 6227020800.0;
    p = p * t + 1.0 / 39916800.0;
    p = p * t - 1.0 / 362880.0;
    p = p * t + 1.0 / 5040.0;
    p = p * t - 1.0 / 120.0;
    p = p * t + 1.0 / 6.0;
    return x - p * (t * x);
}
PB_INLINE double pb_cos_turn(double r) {
    double const a = r < 0 ? -r : r;
    return pb_sin_turn(0.5 - a);
}

/* integers of the size of a float, and of a double */
typedef uint32_t pb_bits_float;
typedef uint64_t pb_bits_double;
PB_INLINE uint32_t pb_as_bits_float(float x) { return pb_bits_of(x); }
PB_INLINE uint64_t pb_as_bits_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

typedef void (*pb_loop)(char** args, npy_intp const* size, npy_intp const* steps, void* data);

/* Negatives of integers, of whatever sign. NumPy's loops go wrong where they write into their input and it
   has steps of 16 or 64 bytes. */
#define PB_NEGATIVE(T)                                                                              \
    static void pb_negative_##T(char** args, npy_intp const* size, npy_intp const* steps, void* data) { \
        npy_intp const n = size[0];                                                                 \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (steps[0] == sizeof(T) && steps[1] == sizeof(T)) {                                       \
            T const* x = (T const*)args[0];                                                         \
            T* y = (T*)args[1];                                                                     \
            for (i = 0; i < n; i++) y[i] = (T)(0 - x[i]);                                           \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++)                                                                     \
            *(T*)(args[1] + i * steps[1]) = (T)(0 - *(T const*)(args[0] + i * steps[0]));           \
    }
PB_NEGATIVE(uint8_t)
PB_NEGATIVE(uint16_t)
PB_NEGATIVE(uint32_t)
PB_NEGATIVE(uint64_t)
#undef PB_NEGATIVE

/* The loop of a function of one number. A `block` takes runs of them; those that do not run on are copied to
   and fro. Of float alone, by PB_FLOAT_LOOP; PB_PLAIN_LOOP does it by `plain`, which is quick, but for parts
   that have numbers for which it will not do. In the file below, LOOP_PLAIN is that for float. */
#define PB_BLOCK_LOOP(name, T)                                                                      \
    static void name##_loop_##T(char** args, npy_intp const* size, npy_intp const* steps, void* data) { \
        (void)data;                                                                                 \
        pb_by_blocks_##T(args, size[0], steps, name##_block_##T);                                   \
    }
#define PB_BLOCK_LOOP_OF(name, T) PB_BLOCK_LOOP(name, T)
#define PB_FLOAT_LOOP(name)                                                                         \
    static PB_CLONES void name##_block_float(float const* x, float* y, npy_intp n) {                \
        npy_intp i;                                                                                 \
        PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = pb_##name##_float(x[i]);                      \
    }                                                                                               \
    PB_BLOCK_LOOP(name, float)
#define PB_PLAIN_LOOP(name, plain, IS_ODD, whole)                                                   \
    static PB_CLONES void name##_block_float(float const* x, float* y, npy_intp all) {              \
        enum { PART = 512 };                                                                        \
        npy_intp i;                                                                                 \
        for (; all > 0; x += PART, y += PART, all -= PART) {                                        \
            npy_intp const n = all < PART ? all : PART;                                             \
            int odd = 0;                                                                            \
            for (i = 0; i < n; i++) odd |= IS_ODD(x[i]);                                            \
            if (odd)                                                                                \
                PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = whole(x[i]);                          \
            else                                                                                    \
                PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = plain(x[i]);                          \
        }                                                                                           \
    }                                                                                               \
    PB_BLOCK_LOOP(name, float)
#define LOOP_PLAIN_float(name)                                                                      \
    PB_INLINE float pb_any_##name(float x) { /* the same bits beside whatever numbers */            \
        float const plain = pb_##name##_plain(x), whole = pb_##name##_float(x);                     \
        return pb_##name##_is_not_plain(x) ? whole : plain;                                         \
    }                                                                                               \
    PB_PLAIN_LOOP(name, pb_##name##_plain, pb_##name##_is_not_plain, pb_any_##name)
#define LOOP_PLAIN_double(name) LOOP1(name)

#define PB_LOOPS "pullback/kernels/curve_loops.h"
#include "pullback/kernels/for_each_real.h"

PB_INLINE float pb_any_sin(float x) { return pb_is_far(x) ? (float)sin(x) : pb_sin_float(x); }
PB_INLINE float pb_any_cos(float x) { return pb_is_far(x) ? (float)cos(x) : pb_cos_float(x); }
PB_INLINE float pb_any_tan(float x) { return pb_is_far(x) ? (float)tan(x) : pb_tan_float(x); }
PB_PLAIN_LOOP(exp, pb_exp_normal, pb_exp_is_not_normal, pb_exp_float)
PB_PLAIN_LOOP(log, pb_log_normal, pb_is_not_normal, pb_log_float)
PB_PLAIN_LOOP(log2, pb_log2_normal, pb_is_not_normal, pb_log2_float)
PB_PLAIN_LOOP(log10, pb_log10_normal, pb_is_not_normal, pb_log10_float)
PB_PLAIN_LOOP(sin, pb_sin_float, pb_is_far, pb_any_sin)
PB_PLAIN_LOOP(cos, pb_cos_float, pb_is_far, pb_any_cos)
PB_PLAIN_LOOP(tan, pb_tan_float, pb_is_far, pb_any_tan)
PB_FLOAT_LOOP(exp2)
PB_FLOAT_LOOP(expm1)
PB_FLOAT_LOOP(log1p)
PB_FLOAT_LOOP(arcsin)
PB_FLOAT_LOOP(arccos)
PB_FLOAT_LOOP(arctan)
PB_FLOAT_LOOP(sinh)
PB_FLOAT_LOOP(cosh)

#endif
