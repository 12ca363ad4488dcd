/* Functions of one number in single precision as polynomials on short segments, from a table.

   Between a power of 2 and the next lie SEGMENTS segments: the first bits of a number are its segment's key.
   Around zero lies one more, the inner one, where the function has no pole. The polynomials are fitted, in
   double, to the function that SciPy has in double (fitted.pyx); a number outside of the table is given to
   that. What the table costs is a few loads and products a number, whatever the function is.
   Read `pb_fit`, then `pb_fit_part`. */

#ifndef PB_FITTED_H
#define PB_FITTED_H

/* With -fwrapv, which Python's own flags have, GCC makes no good vector code of places that are sums. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-wrapv")
#endif
#include "pullback/core/half.h"
#include "pullback/kernels/special.h"

enum { SEGMENTS = 128, SEGMENT_SHIFT = 16, MOST_OUTPUTS = 4 };

/* The function in double: a loop of SciPy's, which may take a constant first and give several results. */
typedef struct pb_exact pb_exact;
struct pb_exact {
    double (*of)(double x, pb_exact const* exact);
    pb_loop loop;
    void* data;
    double constant;
    int before, output, outputs; /* inputs before x; which result it is, of how many */
};

static double pb_exact_loop(double x, pb_exact const* exact) {
    double results[MOST_OUTPUTS], first = exact->constant;
    npy_intp const one = 1, steps[2 + MOST_OUTPUTS] = {0};
    char* args[2 + MOST_OUTPUTS];
    int k;
    args[0] = (char*)&first;
    args[exact->before] = (char*)&x;
    for (k = 0; k < exact->outputs; k++) args[exact->before + 1 + k] = (char*)(results + k);
    exact->loop(args, &one, steps, exact->data);
    return results[exact->output];
}

/* the derivative of digamma of order n, (-1)^(n + 1) n! zeta(n + 1, x) */
static double pb_exact_polygamma(double x, pb_exact const* exact) {
    double const sign = fmod(exact->constant, 2) == 0 ? 1 : -1;
    return sign * tgamma(exact->constant) * pb_exact_loop(x, exact);
}

/* 2 x erfcx(x) - 2 / sqrt(pi), whose terms cancel for large x: there the asymptotic series */
static double pb_exact_erfcx_slope(double x, pb_exact const* exact) {
    if (x > 50) {
        double const z = 1 / (2 * x * x);
        return -2 * z * 0.56418958354775628695 * (1 - 3 * z * (1 - 5 * z * (1 - 7 * z * (1 - 9 * z))));
    }
    return 2 * x * pb_exact_loop(x, exact) - 1.1283791670955125739;
}

/* The derivatives of e**-|x| I_0 and, of the order 1, of e**-|x| I_1 for x > 0, as both are even; the loop is
   that of all orders. Far out, where terms cancel, by the series of Hankel. */
static double pb_exact_scaled_slope(double x, pb_exact const* exact) {
    double const size = fabs(x), one = exact->constant;
    pb_exact order = *exact;
    if (size > 1000) {
        double const z = 1 / size, first = sqrt(z * 0.15915494309189533577) * z * -0.5;
        return first * (one ? 1 - z * (1.125 + z * 0.5859375) : 1 + z * (0.375 + z * 0.3515625));
    }
    order.constant = 0;
    double const zeroth = pb_exact_loop(size, &order);
    order.constant = 1;
    double const first = pb_exact_loop(size, &order);
    return one ? zeroth - first - (size ? first / size : 0.5) : first - zeroth;
}

static double pb_exact_spherical(double x, pb_exact const* exact) {
    (void)exact;
    return x == 0 ? 1 : isinf(x) ? 0 : sin(x) / x;
}

/* Ai or its slope. SciPy's loop gives NaN far out: there it is zero, or the first terms of the series for
   large -x. */
static double pb_exact_airy(double x, pb_exact const* exact) {
    double const root = sqrt(fabs(x)), angle = root * root * root * (2.0 / 3), near = 1 / (72 * angle);
    double const turned = angle - 0.78539816339744830962, size = sqrt(root) * 1.7724538509055160273;
    if (x > 1000) return exact->output ? -0.0 : 0;
    if (!(x < -1e5)) return pb_exact_loop(x, exact);
    if (isinf(angle)) return exact->output ? NAN : 0;
    if (exact->output) return size / 3.14159265358979323846 * (sin(turned) + 7 * near * cos(turned));
    return (cos(turned) + 5 * near * sin(turned)) / size;
}

static double pb_exact_lgamma(double x, pb_exact const* exact) {
    return x > 0.001 && x < 1e4 ? pb_exact_loop(x, exact) : pb_lgamma_float((float)x);
}

enum { EVEN, ODD, BOTH, POSITIVE, REFLECTED }; /* what is known for x < 0; of x > 1/2: -f(1 - x) */

typedef struct {
    pb_exact exact;
    double* table;         /* the polynomial of the inner segment, those of the others, those for x < 0 */
    int32_t lowest, count; /* the first key of a segment, and how many there are */
    int terms, kind, inner;
} pb_fit;

PB_INLINE uint32_t pb_centre_bits(int32_t key) {
    return ((uint32_t)key << SEGMENT_SHIFT) | (1u << (SEGMENT_SHIFT - 1));
}

/* Where a number lies: its place in the table if it has one. */
typedef struct {
    uint32_t turned, bits; /* whether it was above 1/2, and the bits that it has then */
    int32_t key;           /* its segment, below zero in the inner one */
    int outside;
} pb_fit_place;

PB_INLINE pb_fit_place pb_placed(float given, pb_fit const* fit, int const reflected) {
    uint32_t const turned = reflected ? (0x3F000000u - pb_bits_of(given)) >> 31 : 0, below = turned << 31;
    float const x = reflected ? pb_of_bits(pb_bits_of(given) ^ below) + (float)(int32_t)turned : given;
    uint32_t const bits = pb_bits_of(x), positive = fit->kind >= POSITIVE ? 0x80000000u : 0;
    int32_t const key = (int32_t)((bits & 0x7FFFFFFF) >> SEGMENT_SHIFT) - fit->lowest;
    int32_t const least = fit->inner ? INT32_MIN : 0;
    pb_fit_place const at = {turned, bits, key,
                             (key >= fit->count) | (key < least) | ((bits & positive) != 0)};
    return at;
}

/* A part of a run of numbers: signs are bits, and a place in the table is a sum, so that nothing is a branch.
   Returns whether some are outside of the table, whose results then are not theirs. */
enum { FIT_PART = 128 };
PB_INLINE int pb_fit_part(float const* PB_RESTRICT given, float* PB_RESTRICT y, npy_intp n,
                          pb_fit const* fit, int const terms, int const reflected) {
    int32_t const count = fit->count, lowest = fit->lowest;
    int32_t const negative = fit->kind == BOTH ? (count + 1) * terms : 0;
    uint32_t const odd = fit->kind == ODD ? 0x80000000u : 0;
    double const* const PB_RESTRICT table = fit->table;
    int outside = 0;
    npy_intp i;
    for (i = 0; i < n; i++) {
        pb_fit_place const at = pb_placed(given[i], fit, reflected);
        int32_t const key = at.key < count ? at.key : 0, row = key < 0 ? 0 : key + 1;
        float const centre = key < 0 ? 0 : pb_of_bits(pb_centre_bits(key + lowest));
        double const t = (double)pb_of_bits(at.bits & 0x7FFFFFFF) - (double)centre;
        int32_t const c = row * terms + (at.bits >> 31 ? negative : 0);
        double p = table[c + terms - 1];
        if (terms > 6) p = (p * t + table[c + 6]) * t + table[c + 5];
        if (terms > 4) p = (p * t + table[c + 4]) * t + table[c + 3];
        p = ((p * t + table[c + 2]) * t + table[c + 1]) * t + table[c];
        y[i] = pb_of_bits(pb_bits_of((float)p) ^ (at.bits & odd) ^ (at.turned << 31));
        outside |= at.outside;
    }
    return outside;
}

#define PB_FIT_RUN(name, terms, reflected)                                                          \
    static PB_CLONES void name(char** args, npy_intp size, npy_intp const* steps, pb_fit const* fit) { \
        float x[FIT_PART], room[FIT_PART];                                                          \
        npy_intp start, i;                                                                          \
        for (start = 0; start < size; start += FIT_PART) {                                          \
            npy_intp const n = size - start < FIT_PART ? size - start : FIT_PART;                   \
            char *const from = args[0] + start * steps[0], *const to = args[1] + start * steps[1];  \
            float* const y = steps[1] == sizeof *y ? (float*)to : room;                             \
            if (steps[0] == sizeof *x)                                                              \
                memcpy(x, from, (size_t)n * sizeof *x);                                             \
            else                                                                                    \
                for (i = 0; i < n; i++) x[i] = *(float const*)(from + i * steps[0]);                \
            if (pb_fit_part(x, y, n, fit, terms, reflected))                                        \
                for (i = 0; i < n; i++)                                                             \
                    if (pb_placed(x[i], fit, reflected).outside)                                    \
                        y[i] = (float)fit->exact.of(x[i], &fit->exact);                             \
            if (y == room)                                                                          \
                for (i = 0; i < n; i++) *(float*)(to + i * steps[1]) = y[i];                        \
        }                                                                                           \
    }
PB_FIT_RUN(pb_fit_run_4, 4, 0)
PB_FIT_RUN(pb_fit_run_6, 6, 0)
PB_FIT_RUN(pb_fit_run_8, 8, 0)
PB_FIT_RUN(pb_fit_run_reflected, 6, 1)
#undef PB_FIT_RUN

static void pb_fitted_loop(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    pb_fit const* const fit = (pb_fit const*)data;
    if (fit->kind == REFLECTED)
        pb_fit_run_reflected(args, size[0], steps, fit);
    else
        (fit->terms == 4   ? pb_fit_run_4
         : fit->terms == 6 ? pb_fit_run_6
                           : pb_fit_run_8)(args, size[0], steps, fit);
}
/* What needs more than a loop of SciPy's, in double */
static void pb_exact_own_loop(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    pb_exact const* const exact = (pb_exact const*)data;
    npy_intp i;
    for (i = 0; i < size[0]; i++)
        *(double*)(args[1] + i * steps[1]) = exact->of(*(double const*)(args[0] + i * steps[0]), exact);
}

/* SciPy's, put right at -inf */
static void pb_lgamma_loop(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    npy_intp i;
    for (i = 0; i < size[0]; i++) {
        double const x = *(double const*)(args[0] + i * steps[0]);
        double const y = pb_exact_loop(x, (pb_exact const*)data);
        *(double*)(args[1] + i * steps[1]) = x == -HUGE_VAL ? -x : y;
    }
}

/* Derivatives of digamma: the first two by tables, which `data` has. */
static void pb_polygamma_loop(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    pb_fit const* const* const fits = (pb_fit const* const*)data;
    pb_exact exact = fits[0]->exact;
    char* places[2] = {args[0], args[2]};
    npy_intp const strides[2] = {steps[0], steps[2]};
    npy_intp i;
    if (steps[1] == 0 && size[0]) {
        float const n = *(float const*)args[1];
        if (n == 1 || n == 2) {
            pb_fitted_loop(places, size, strides, (void*)fits[(int)n - 1]);
            return;
        }
    }
    for (i = 0; i < size[0]; i++) {
        float const x = *(float const*)(args[0] + i * steps[0]);
        double const n = trunc(*(float const*)(args[1] + i * steps[1]));
        exact.constant = n + 1;
        *(float*)(args[2] + i * steps[2]) = n == 0 ? pb_digamma_float(x) : (float)exact.of(x, &exact);
    }
}

#endif
