/* Written by tools/fits.py: polynomials of least relative error in single precision. */

#ifndef PB_FITS_H
#define PB_FITS_H

#include "pullback/core/vectors.h"

/* (exp(r) - 1 - r) / r^2, |r| <= ln 2 / 2; error 2^-28.3 */
PB_INLINE float pb_fit_exp(float t) {
    float p = 0.0013820419553667307f;
    p = PB_FMA(p, t, 0.008368680253624916f);
    p = PB_FMA(p, t, 0.04166826978325844f);
    p = PB_FMA(p, t, 0.1666652113199234f);
    p = PB_FMA(p, t, 0.4999999403953552f);
    return p;
}

/* (log(1 + f) - f + f^2 / 2) / f^3, sqrt 1/2 <= 1 + f <= sqrt 2; error 2^-27.3 */
PB_INLINE float pb_fit_log(float t) {
    float p = -0.0763750746846199f;
    p = PB_FMA(p, t, 0.1276441067457199f);
    p = PB_FMA(p, t, -0.13160263001918793f);
    p = PB_FMA(p, t, 0.14201320707798004f);
    p = PB_FMA(p, t, -0.1662331372499466f);
    p = PB_FMA(p, t, 0.20001249015331268f);
    p = PB_FMA(p, t, -0.250008225440979f);
    p = PB_FMA(p, t, 0.3333333134651184f);
    return p;
}

/* (2 artanh(s) - 2 s) / s^3 in s^2, |s| <= 0.21; error 2^-33.4 */
PB_INLINE float pb_fit_artanh(float t) {
    float p = 0.24243398010730743f;
    p = PB_FMA(p, t, 0.2849811315536499f);
    p = PB_FMA(p, t, 0.4000100791454315f);
    p = PB_FMA(p, t, 0.6666666269302368f);
    return p;
}

/* (sin(r) - r) / r^3 in r^2, |r| <= pi / 4; error 2^-27.9 */
PB_INLINE float pb_fit_sin(float t) {
    float p = -0.000195180851733312f;
    p = PB_FMA(p, t, 0.008332188241183758f);
    p = PB_FMA(p, t, -0.16666655242443085f);
    return p;
}

/* (cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= pi / 4; error 2^-33.1 */
PB_INLINE float pb_fit_cos(float t) {
    float p = 2.443066841806285e-05f;
    p = PB_FMA(p, t, -0.00138873013202101f);
    p = PB_FMA(p, t, 0.04166664555668831f);
    return p;
}

/* (tan(r) - r) / r^3 in r^2, |r| <= pi / 4; error 2^-29.5 */
PB_INLINE float pb_fit_tan(float t) {
    float p = 0.004376817028969526f;
    p = PB_FMA(p, t, 9.059281728696078e-05f);
    p = PB_FMA(p, t, 0.010832840576767921f);
    p = PB_FMA(p, t, 0.021284423768520355f);
    p = PB_FMA(p, t, 0.05405918508768082f);
    p = PB_FMA(p, t, 0.13332673907279968f);
    p = PB_FMA(p, t, 0.33333349227905273f);
    return p;
}

/* erf(x) / x - 1 in x^2, |x| <= 1; error 2^-30.0 */
PB_INLINE float pb_fit_erf(float t) {
    float p = -2.1840917270310456e-06f;
    p = PB_FMA(p, t, 8.626817725598812e-05f);
    p = PB_FMA(p, t, -0.0008117964025586843f);
    p = PB_FMA(p, t, 0.005195809993892908f);
    p = PB_FMA(p, t, -0.026856496930122375f);
    p = PB_FMA(p, t, 0.1128363162279129f);
    p = PB_FMA(p, t, -0.3761262893676758f);
    p = PB_FMA(p, t, 0.12837916612625122f);
    return p;
}

/* log(erfc(x)) in x - 2, 1 <= x <= 4; error 2^-29.7 */
PB_INLINE float pb_fit_log_erfc(float t) {
    float p = 0.00018693118181545287f;
    p = PB_FMA(p, t, -0.0007087044068612158f);
    p = PB_FMA(p, t, 0.003547411412000656f);
    p = PB_FMA(p, t, -0.01648692972958088f);
    p = PB_FMA(p, t, -0.9237543344497681f);
    p = PB_FMA(p, t, -4.4181599617004395f);
    p = PB_FMA(p, t, -5.364941120147705f);
    return p;
}

#define PB_FIRST_ERFC 1.0740069150924683f
/* (x + 3) exp(x^2) erfc(x) in t = (x - 3) / (x + 3), 0 <= x <= 10.2, but for the constant; error 2^-27.0 */
PB_INLINE float pb_fit_erfc(float t) {
    float p = -0.0003149577823933214f;
    p = PB_FMA(p, t, -0.0004702274454757571f);
    p = PB_FMA(p, t, 0.003071034559980035f);
    p = PB_FMA(p, t, -0.0012400482082739472f);
    p = PB_FMA(p, t, -0.026837417855858803f);
    p = PB_FMA(p, t, 0.11953344941139221f);
    p = PB_FMA(p, t, -0.3104662299156189f);
    p = PB_FMA(p, t, 0.5902278423309326f);
    p = PB_FMA(p, t, -0.8833944797515869f);
    return p;
}

#define PB_FIRST_NDTR 0.7552851438522339f
/* (x + 4) exp(x^2 / 2) ndtr(-x) in t = (x - 4) / (x + 4), x <= 14.4, likewise; error 2^-25.7 */
PB_INLINE float pb_fit_ndtr(float t) {
    float p = -0.00012297903595026582f;
    p = PB_FMA(p, t, 0.00019722689467016608f);
    p = PB_FMA(p, t, 0.0015715238405391574f);
    p = PB_FMA(p, t, -0.0035261535085737705f);
    p = PB_FMA(p, t, -0.007529092486947775f);
    p = PB_FMA(p, t, 0.06040757894515991f);
    p = PB_FMA(p, t, -0.18652255833148956f);
    p = PB_FMA(p, t, 0.3871364891529083f);
    p = PB_FMA(p, t, -0.607896625995636f);
    return p;
}

/* erfinv(x) / x - 1 in w - 1, w = -log(1 - x^2) <= 5; error 2^-27.3 */
PB_INLINE float pb_fit_erfinv(float t) {
    float p = -8.88679796418046e-09f;
    p = PB_FMA(p, t, 1.4321912544801307e-07f);
    p = PB_FMA(p, t, -5.311913469085994e-07f);
    p = PB_FMA(p, t, -4.388940396893304e-06f);
    p = PB_FMA(p, t, 3.822898361249827e-05f);
    p = PB_FMA(p, t, 0.00010025275696534663f);
    p = PB_FMA(p, t, -0.002376424614340067f);
    p = PB_FMA(p, t, 0.004250661004334688f);
    p = PB_FMA(p, t, 0.24783287942409515f);
    p = PB_FMA(p, t, 0.12737439572811127f);
    return p;
}

/* the same in sqrt(w) - 3, 5 <= w <= 16.7; error 2^-26.3 */
PB_INLINE float pb_fit_erfinv_far(float t) {
    float p = 0.00011605756299104542f;
    p = PB_FMA(p, t, -0.00030788854928687215f);
    p = PB_FMA(p, t, -6.0153754020575434e-05f);
    p = PB_FMA(p, t, 0.0014832926681265235f);
    p = PB_FMA(p, t, -0.003593543078750372f);
    p = PB_FMA(p, t, 0.005687682423740625f);
    p = PB_FMA(p, t, -0.007638744544237852f);
    p = PB_FMA(p, t, 0.009445127099752426f);
    p = PB_FMA(p, t, 1.0016751289367676f);
    p = PB_FMA(p, t, 1.8329768180847168f);
    return p;
}

#endif
