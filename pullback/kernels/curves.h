/* The loops of the activations and of power, for float and double, as ufuncs call them.

   The functions of one number stand in `curve_loops.h`, which is read once for each type. What the two types
   do not share stands in `single.h` for float, and here for double. */

#ifndef PB_CURVES_H
#define PB_CURVES_H

#include "pullback/kernels/single.h"

PB_INLINE double pb_ndtr_double(double x) { return 0.5 * erfc(x * -0.70710678118654752440); }
PB_INLINE double pb_gelu_double(double x) { return x * pb_ndtr_double(x); }
PB_INLINE double pb_logistic_double(double x) {
    double const q = pb_exp_double(-fabs(x));
    return (x < 0 ? q : 1) / (1 + q);
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

typedef void (*pb_loop)(char** args, npy_intp const* size, npy_intp const* steps, void* data);

#define PB_LOOPS "pullback/kernels/curve_loops.h"
#include "pullback/kernels/for_each_real.h"

/* Of float alone. */
#define PB_FLOAT_LOOP(name)                                                                         \
    static PB_CLONES void name##_loop_float(char** args, npy_intp const* size, npy_intp const* steps, \
                                            void* data) {                                           \
        npy_intp const n = size[0], a = steps[0], b = steps[1];                                     \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (a == sizeof(float) && b == sizeof(float)) {                                             \
            float const* x = (float const*)args[0];                                                 \
            float* y = (float*)args[1];                                                             \
            PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = pb_##name##_float(x[i]);                  \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++)                                                                     \
            *(float*)(args[1] + i * b) = pb_##name##_float(*(float const*)(args[0] + i * a));       \
    }

/* The same by `plain`, which is quick, but for blocks that have numbers for which it will not do. */
#define PB_PLAIN_LOOP(name, plain, IS_ODD, whole)                                                   \
    static PB_CLONES void name##_loop_float(char** args, npy_intp const* size, npy_intp const* steps, \
                                            void* data) {                                           \
        enum { PART = 512 };                                                                        \
        npy_intp const a = steps[0], b = steps[1];                                                  \
        npy_intp start, i;                                                                          \
        (void)data;                                                                                 \
        for (start = 0; start < size[0]; start += PART) {                                           \
            npy_intp const n = size[0] - start < PART ? size[0] - start : PART;                     \
            char *const from = args[0] + start * a, *const to = args[1] + start * b;                \
            float const* x = (float const*)from;                                                    \
            float* y = (float*)to;                                                                  \
            int odd = a != sizeof(float) || b != sizeof(float);                                     \
            if (odd) {                                                                              \
                for (i = 0; i < n; i++) *(float*)(to + i * b) = whole(*(float const*)(from + i * a)); \
                continue;                                                                           \
            }                                                                                       \
            for (i = 0; i < n; i++) odd |= IS_ODD(x[i]);                                            \
            if (odd)                                                                                \
                PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = whole(x[i]);                          \
            else                                                                                    \
                PB_INDEPENDENT for (i = 0; i < n; i++) y[i] = plain(x[i]);                          \
        }                                                                                           \
    }
PB_INLINE float pb_any_sin(float x) { return pb_is_far(x) ? (float)sin(x) : pb_sin_float(x); }
PB_INLINE float pb_any_cos(float x) { return pb_is_far(x) ? (float)cos(x) : pb_cos_float(x); }
PB_INLINE float pb_any_tan(float x) { return pb_is_far(x) ? (float)tan(x) : pb_tan_float(x); }
PB_PLAIN_LOOP(exp, pb_exp_normal, pb_exp_is_not_normal, pb_exp_float)
PB_PLAIN_LOOP(log, pb_log_normal, pb_is_not_normal, pb_log_float)
PB_PLAIN_LOOP(sin, pb_sin_float, pb_is_far, pb_any_sin)
PB_PLAIN_LOOP(cos, pb_cos_float, pb_is_far, pb_any_cos)
PB_PLAIN_LOOP(tan, pb_tan_float, pb_is_far, pb_any_tan)

#endif
