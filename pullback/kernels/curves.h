/* The loops of the activations and of power, for float and double, as ufuncs call them.

   The functions of one number stand in `curve_loops.h`, which is read once for each type. Here stands what
   the two types do not share: how exactly the normal distribution has to be computed. */

#ifndef PB_CURVES_H
#define PB_CURVES_H

#include "pullback/kernels/exp.h"

/* erfc(z) for z >= 0 is t exp(p(t) - z z), t = 2 / (2 + z): p, fitted to 7e-9, which is for float. */
PB_INLINE double pb_normal_below_float(float x) {
    double const z = fabs((double)x) * 0.70710678118654752440, t = 2 / (2 + z);
    double p = 0.063085843594330570308;
    p = p * t - 0.55679548566921633987;
    p = p * t + 1.9822865480879336705;
    p = p * t - 3.6969152558712112295;
    p = p * t + 3.822577390243033143;
    p = p * t - 2.1227180445386406272;
    p = p * t + 0.71259183279955155728;
    p = p * t - 0.33794924919783830621;
    p = p * t - 0.056477434272736342873;
    p = p * t + 0.080707503058182515112;
    p = p * t + 0.3751206316724889485;
    p = p * t + 0.9999978343568101213;
    p = p * t - 1.2655121170707261335;
    double const tail = 0.5 * t * pb_exp_short(p - z * z);
    return x > 0 ? 1 - tail : tail;
}

PB_INLINE double pb_normal_below_double(double x) { return 0.5 * erfc(x * -0.70710678118654752440); }

typedef void (*pb_loop)(char** args, npy_intp const* size, npy_intp const* steps, void* data);

#define PB_LOOPS "pullback/kernels/curve_loops.h"
#include "pullback/kernels/for_each_real.h"

#endif
