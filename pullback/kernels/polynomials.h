/* Orthogonal polynomials of whole order n, in double: 0 for orders below zero.

   All are made by recurrences in the order k, from 1 and `more` on, in z = scale * x + shift:

       next = (a + a_k k) z here - (c + c_k k) more             where `more` is the order below, or,
       more = ((a + a_k k) z here + k more) / (k + 1)           of those that add, the step from it, which
                                                                loses nothing at the ends of the interval
   Steps are the outer loop, blocks of numbers the inner one, which is vector code. */

#ifndef PB_POLYNOMIALS_H
#define PB_POLYNOMIALS_H

#include "pullback/core/vectors.h"

#include <numpy/npy_common.h>
#include <stdint.h>

typedef struct {
    char const* name;
    int adds;
    double scale, shift, a, a_k, c, c_k, more_z, more; /* at first `more` is more_z * z + more */
} pb_polynomial;

static pb_polynomial pb_polynomials[] = {
    {"chebyshev_polynomial_t", 0, 1, 0, 2, 0, 1, 0, 1, 0},
    {"chebyshev_polynomial_u", 0, 1, 0, 2, 0, 1, 0, 0, 0},
    {"chebyshev_polynomial_v", 0, 1, 0, 2, 0, 1, 0, 0, 1},
    {"chebyshev_polynomial_w", 0, 1, 0, 2, 0, 1, 0, 0, -1},
    {"shifted_chebyshev_polynomial_t", 0, 2, -1, 2, 0, 1, 0, 1, 0},
    {"shifted_chebyshev_polynomial_u", 0, 2, -1, 2, 0, 1, 0, 0, 0},
    {"shifted_chebyshev_polynomial_v", 0, 2, -1, 2, 0, 1, 0, 0, 1},
    {"shifted_chebyshev_polynomial_w", 0, 2, -1, 2, 0, 1, 0, 0, -1},
    {"hermite_polynomial_h", 0, 1, 0, 2, 0, 0, 2, 0, 0},
    {"hermite_polynomial_he", 0, 1, 0, 1, 0, 0, 1, 0, 0},
    {"legendre_polynomial_p", 1, 1, -1, 1, 2, 0, 0, 0, 0},
    {"laguerre_polynomial_l", 1, -1, 0, 1, 0, 0, 0, 0, 0},
};
enum { PB_POLYNOMIALS = sizeof pb_polynomials / sizeof pb_polynomials[0], PB_BLOCK = 64 };

/* Turns `here`, numbers, into the polynomial of them. */
static PB_CLONES void pb_polynomial_block(pb_polynomial const* p, double order, double* PB_RESTRICT here,
                                          int count) {
    double z[PB_BLOCK], more[PB_BLOCK];
    int64_t const last = order > 0 ? (int64_t)(order < 2147483647 ? order : 2147483647) : 0;
    int64_t k;
    int i;
    for (i = 0; i < count; i++) {
        z[i] = p->scale * here[i] + p->shift;
        more[i] = p->more_z * z[i] + p->more;
        here[i] = 1;
    }
    for (k = 0; k < last; k++) {
        double const a = p->a + p->a_k * (double)k, c = p->c + p->c_k * (double)k;
        double const size = (double)k, next_size = (double)k + 1;
        if (p->adds)
            for (i = 0; i < count; i++) {
                more[i] = (a * z[i] * here[i] + size * more[i]) / next_size;
                here[i] += more[i];
            }
        else
            for (i = 0; i < count; i++) {
                double const next = a * z[i] * here[i] - c * more[i];
                more[i] = here[i];
                here[i] = next;
            }
    }
    for (i = 0; i < count; i++) here[i] = order <= -1 ? 0 : order != order ? order : here[i];
}

#define PB_POLYNOMIAL_LOOP(T)                                                                       \
    static void pb_polynomial_loop_##T(char** args, npy_intp const* size, npy_intp const* steps,    \
                                       void* data) {                                                \
        npy_intp const part = steps[1] == 0 ? PB_BLOCK : 1;                                         \
        npy_intp start, i;                                                                          \
        double block[PB_BLOCK];                                                                     \
        for (start = 0; start < size[0]; start += part) {                                           \
            npy_intp const count = size[0] - start < part ? size[0] - start : part;                 \
            T const order = *(T const*)(args[1] + start * steps[1]);                                \
            for (i = 0; i < count; i++) block[i] = *(T const*)(args[0] + (start + i) * steps[0]);   \
            pb_polynomial_block((pb_polynomial const*)data, order, block, (int)count);              \
            for (i = 0; i < count; i++) *(T*)(args[2] + (start + i) * steps[2]) = (T)block[i];      \
        }                                                                                           \
    }
PB_POLYNOMIAL_LOOP(float)
PB_POLYNOMIAL_LOOP(double)
#undef PB_POLYNOMIAL_LOOP

#endif
