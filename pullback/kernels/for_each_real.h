/* Reads a file of loops twice, once for float and once for double: what a template is elsewhere.

   Who wants it says

       #define PB_LOOPS "the file of the loops"
       #include "pullback/kernels/for_each_real.h"

   The file so named is plain C, in which PB_REAL is the type, F(name) is `name_float` or `name_double`,
   and PB_SQRT, PB_ABS, PB_SIGNED, PB_LOG, PB_TRUNC, PB_FMOD are math.h's sqrt, fabs, copysign, ... for it. */

#define PB_JOIN2(a, b) a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define F(name) PB_JOIN(name, PB_REAL)

#define PB_REAL float
#define PB_SQRT sqrtf
#define PB_ABS fabsf
#define PB_SIGNED copysignf
#define PB_LOG logf
#define PB_TRUNC truncf
#define PB_FMOD fmodf
#include PB_LOOPS
#undef PB_REAL
#undef PB_SQRT
#undef PB_ABS
#undef PB_SIGNED
#undef PB_LOG
#undef PB_TRUNC
#undef PB_FMOD

#define PB_REAL double
#define PB_SQRT sqrt
#define PB_ABS fabs
#define PB_SIGNED copysign
#define PB_LOG log
#define PB_TRUNC trunc
#define PB_FMOD fmod
#include PB_LOOPS
#undef PB_REAL
#undef PB_SQRT
#undef PB_ABS
#undef PB_SIGNED
#undef PB_LOG
#undef PB_TRUNC
#undef PB_FMOD

#undef PB_JOIN2
#undef PB_JOIN
#undef F
#undef PB_LOOPS
