/* Functions of one number in single precision as polynomials on short segments, from a table.

   Between a power of 2 and the next lie SEGMENTS segments: the first bits of a number are its segment's key.
   Around zero lies one more, the inner one, where the function has no pole. The polynomials are fitted, in
   double, to the function that SciPy has in double (fitted.pyx); a number outside of the table is given to
   that. What the table costs is a few loads and products a number, whatever the function is.
   Read `pb_fit`, then `pb_fit_run`. */

#ifndef PB_FITTED_H
#define PB_FITTED_H

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

static double pb_exact_spherical(double x, pb_exact const* exact) {
    (void)exact;
    return x == 0 ? 1 : isinf(x) ? 0 : sin(x) / x;
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

/* Signs are bits, and a place in the table is a sum: nothing here is a branch but the way out. */
PB_INLINE void pb_fit_run(char** args, npy_intp n, npy_intp const* steps, pb_fit const* fit, int const terms,
                          int const reflected) {
    char const* from = args[0];
    char* to = args[1];
    npy_intp const step = steps[0], step_to = steps[1];
    int32_t const lowest = fit->lowest, count = fit->count;
    int32_t const negative = fit->kind == BOTH ? (count + 1) * terms : 0;
    uint32_t const odd = fit->kind == ODD ? 0x80000000u : 0, positive = fit->kind >= POSITIVE;
    uint32_t const pole = !fit->inner;
    double const* const table = fit->table;
    npy_intp i;
    for (i = 0; i < n; i++, from += step, to += step_to) {
        float const given = *(float const*)from;
        uint32_t const turned = reflected ? (0x3F000000u - pb_bits_of(given)) >> 31 : 0; /* above 1/2 */
        float const x = reflected ? given * (1 - 2 * (float)turned) + (float)turned : given;
        uint32_t const bits = pb_bits_of(x), size_bits = bits & 0x7FFFFFFF, below = bits >> 31;
        int32_t const place = (int32_t)(size_bits >> SEGMENT_SHIFT), key = place - lowest;
        if ((key >= count) | ((key < 0) & pole) | (below & positive)) {
            *(float*)to = (float)fit->exact.of(given, &fit->exact);
            continue;
        }
        int32_t const outer = key < 0 ? 0 : -1;
        double const t = pb_of_bits(size_bits) - pb_of_bits(pb_centre_bits(place) & outer);
        double const* const c = table + (((key + 1) & outer) * terms + (int32_t)below * negative);
        double y = c[terms - 1];
        int k;
        for (k = terms - 2; k >= 0; k--) y = y * t + c[k];
        *(float*)to = pb_of_bits(pb_bits_of((float)y) ^ (bits & odd) ^ (turned << 31));
    }
}

static void pb_fitted_loop(char** args, npy_intp const* size, npy_intp const* steps, void* data) {
    pb_fit const* const fit = (pb_fit const*)data;
    if (fit->kind == REFLECTED)
        pb_fit_run(args, size[0], steps, fit, 6, 1);
    else if (fit->terms == 4)
        pb_fit_run(args, size[0], steps, fit, 4, 0);
    else if (fit->terms == 6)
        pb_fit_run(args, size[0], steps, fit, 6, 0);
    else
        pb_fit_run(args, size[0], steps, fit, 8, 0);
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
