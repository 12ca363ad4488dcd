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

/* (2^r - 1) / r, |r| <= 1 / 2; error 2^-28.3 */
PB_INLINE float pb_fit_exp2(float t) {
    float p = 0.00015328907466027886f;
    p = PB_FMA(p, t, 0.0013390976237133145f);
    p = PB_FMA(p, t, 0.009618500247597694f);
    p = PB_FMA(p, t, 0.05550359562039375f);
    p = PB_FMA(p, t, 0.24022647738456726f);
    p = PB_FMA(p, t, 0.6931471824645996f);
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

/* (sin(r) - r) / r^3 in r^2, |r| <= 0.79, which is a little more than pi / 4; error 2^-27.8 */
PB_INLINE float pb_fit_sin(float t) {
    float p = -0.00019507877004798502f;
    p = PB_FMA(p, t, 0.008332106284797192f);
    p = PB_FMA(p, t, -0.16666653752326965f);
    return p;
}

/* (cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= 0.79, which is a little more than pi / 4; error 2^-33.1 */
PB_INLINE float pb_fit_cos(float t) {
    float p = 2.443066841806285e-05f;
    p = PB_FMA(p, t, -0.00138873013202101f);
    p = PB_FMA(p, t, 0.04166664555668831f);
    return p;
}

/* (tan(r) - r) / r^3 in r^2, |r| <= 0.79, which is a little more than pi / 4; error 2^-29.3 */
PB_INLINE float pb_fit_tan(float t) {
    float p = 0.004463985096663237f;
    p = PB_FMA(p, t, -8.645067282486707e-05f);
    p = PB_FMA(p, t, 0.010973016731441021f);
    p = PB_FMA(p, t, 0.02122996561229229f);
    p = PB_FMA(p, t, 0.054069872945547104f);
    p = PB_FMA(p, t, 0.13332577049732208f);
    p = PB_FMA(p, t, 0.3333335220813751f);
    return p;
}

/* (asin(s) - s) / s^3 in s^2, |s| <= 1 / 2; error 2^-31.7 */
PB_INLINE float pb_fit_asin(float t) {
    float p = 0.03769691661000252f;
    p = PB_FMA(p, t, 0.014314810745418072f);
    p = PB_FMA(p, t, 0.031839095056056976f);
    p = PB_FMA(p, t, 0.04451337456703186f);
    p = PB_FMA(p, t, 0.07500521838665009f);
    p = PB_FMA(p, t, 0.16666659712791443f);
    return p;
}

/* (atan(s) - s) / s^3 in s^2, |s| <= 1; error 2^-28.5 */
PB_INLINE float pb_fit_atan(float t) {
    float p = -0.0017874144250527024f;
    p = PB_FMA(p, t, 0.010886868461966515f);
    p = PB_FMA(p, t, -0.031126288697123528f);
    p = PB_FMA(p, t, 0.05790604278445244f);
    p = PB_FMA(p, t, -0.08400458097457886f);
    p = PB_FMA(p, t, 0.10951172560453415f);
    p = PB_FMA(p, t, -0.14264051616191864f);
    p = PB_FMA(p, t, 0.1999853104352951f);
    p = PB_FMA(p, t, -0.33333298563957214f);
    return p;
}

/* (sinh(x) - x) / x^3 in x^2, |x| <= 1; error 2^-31.6 */
PB_INLINE float pb_fit_sinh(float t) {
    float p = 2.7822131869470468e-06f;
    p = PB_FMA(p, t, 0.00019842895562760532f);
    p = PB_FMA(p, t, 0.00833331048488617f);
    p = PB_FMA(p, t, 0.1666666716337204f);
    return p;
}

/* erf(x) / x - 1 in x^2, |x| <= 0.71; error 2^-30.1 */
PB_INLINE float pb_fit_erf(float t) {
    float p = 4.8229924232146e-07f;
    p = PB_FMA(p, t, -0.0006906091002747416f);
    p = PB_FMA(p, t, 0.005132706370204687f);
    p = PB_FMA(p, t, -0.02684219926595688f);
    p = PB_FMA(p, t, 0.11283502727746964f);
    p = PB_FMA(p, t, -0.3761262595653534f);
    p = PB_FMA(p, t, 0.12837916612625122f);
    return p;
}

#define PB_LOG_ERFC_0 -1.2418673038482666f
#define PB_LOG_ERFC_0_LOW 4.282487253703948e-08f
/* log(erfc(x)) in x - 0.75, 0.7 <= x <= 4, but for the constant; error 2^-30.3 */
PB_INLINE float pb_fit_log_erfc(float t) {
    float p = -8.27132498670835e-06f;
    p = PB_FMA(p, t, 3.283461774117313e-05f);
    p = PB_FMA(p, t, 0.0001851314736995846f);
    p = PB_FMA(p, t, -0.0022838215809315443f);
    p = PB_FMA(p, t, 0.01270105130970478f);
    p = PB_FMA(p, t, -0.05289793759584427f);
    p = PB_FMA(p, t, -0.8078514933586121f);
    p = PB_FMA(p, t, -2.2258737087249756f);
    return p;
}

#define PB_ERFC_0 1.0740069150924683f
#define PB_ERFC_0_LOW -7.325313688966162e-09f
/* (x + 3) exp(x^2) erfc(x) in t = (x - 3) / (x + 3), 0 <= x <= 10.2, but for the constant; error 2^-28.6 */
PB_INLINE float pb_fit_erfc(float t) {
    float p = -0.0003264906699769199f;
    p = PB_FMA(p, t, -0.00048559988499619067f);
    p = PB_FMA(p, t, 0.0030797559302300215f);
    p = PB_FMA(p, t, -0.0012249334249645472f);
    p = PB_FMA(p, t, -0.026839181780815125f);
    p = PB_FMA(p, t, 0.11952876299619675f);
    p = PB_FMA(p, t, -0.31046614050865173f);
    p = PB_FMA(p, t, 0.5902283191680908f);
    p = PB_FMA(p, t, -0.8833944797515869f);
    return p;
}

#define PB_NDTR_0 0.7552851438522339f
#define PB_NDTR_0_LOW -8.449278610100919e-09f
/* (x + 4) exp(x^2 / 2) ndtr(-x) in t = (x - 4) / (x + 4), 0 <= x <= 14.4, likewise; error 2^-26.5 */
PB_INLINE float pb_fit_ndtr(float t) {
    float p = -0.00013664268772117794f;
    p = PB_FMA(p, t, 0.00016944328672252595f);
    p = PB_FMA(p, t, 0.0015669020358473063f);
    p = PB_FMA(p, t, -0.0035071636084467173f);
    p = PB_FMA(p, t, -0.00752241350710392f);
    p = PB_FMA(p, t, 0.06040297448635101f);
    p = PB_FMA(p, t, -0.18652397394180298f);
    p = PB_FMA(p, t, 0.38713693618774414f);
    p = PB_FMA(p, t, -0.6078965663909912f);
    return p;
}

#define PB_ERFINV_0 1.1273744106292725f
#define PB_ERFINV_0_LOW -1.1796483789794365e-08f
#define PB_ERFINV_1 0.24783289432525635f
#define PB_ERFINV_1_LOW -4.22943591260605e-09f
/* erfinv(x) / x in w - 1, w = -log(1 - x^2) <= 5, but for the first two terms; error 2^-27.4 */
PB_INLINE float pb_fit_erfinv(float t) {
    float p = -8.790800087865591e-09f;
    p = PB_FMA(p, t, 1.4190791830515082e-07f);
    p = PB_FMA(p, t, -5.24674533153302e-07f);
    p = PB_FMA(p, t, -4.401623300509527e-06f);
    p = PB_FMA(p, t, 3.8229001802392304e-05f);
    p = PB_FMA(p, t, 0.00010028140241047367f);
    p = PB_FMA(p, t, -0.002376442775130272f);
    p = PB_FMA(p, t, 0.004250642843544483f);
    return p;
}

#define PB_ERFINV_FAR_0 2.832976818084717f
#define PB_ERFINV_FAR_0_LOW -1.6732293772747653e-08f
#define PB_ERFINV_FAR_1 1.0016752481460571f
#define PB_ERFINV_FAR_1_LOW -1.1813231282076231e-08f
/* the same in sqrt(w) - 3, 5 <= w <= 16.7; error 2^-29.3 */
PB_INLINE float pb_fit_erfinv_far(float t) {
    float p = -2.9310567697393708e-05f;
    p = PB_FMA(p, t, 0.00016040551417972893f);
    p = PB_FMA(p, t, -0.00027785301790572703f);
    p = PB_FMA(p, t, -0.00011984610318904743f);
    p = PB_FMA(p, t, 0.001475346158258617f);
    p = PB_FMA(p, t, -0.0035671754740178585f);
    p = PB_FMA(p, t, 0.005687633529305458f);
    p = PB_FMA(p, t, -0.00764275249093771f);
    p = PB_FMA(p, t, 0.00944530963897705f);
    return p;
}

#endif
