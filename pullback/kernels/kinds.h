/* The number type of a template that is included once for each: KIND says which.

   T is the type in memory, TYPE its name, REAL what floats are computed in (and T itself for others), LOAD an
   element as a REAL, TO a REAL as an element, LOWEST and HIGHEST the ends of its range, IS_NAN whether a REAL
   is one, EXP_OF its exponential, ABS_OF its magnitude. A template includes this file at its head and
   kinds_end.h at its end; floats.h and integers.h include TEMPLATE for all kinds of a sort. */

#include "pullback/kernels/exp.h"
#include "pullback/core/half.h"

#ifndef PB_KINDS_H
#define PB_KINDS_H
#define BOOL 0
#define UINT8 1
#define INT8 2
#define INT16 3
#define INT32 4
#define INT64 5
#define FLOAT16 9
#define BFLOAT16 10
#define FLOAT32 11
#define FLOAT64 12
/* NaN, once there, stays; nested choices, and no `||`, are what compilers make vector code of */
#define LARGER(a, b) (IS_NAN(b) ? (b) : (b) > (a) ? (b) : (a))
#define SMALLER(a, b) (IS_NAN(b) ? (b) : (b) < (a) ? (b) : (a))
#endif

#if KIND == BOOL
#define LOWEST 0
#define HIGHEST 1
#define T uint8_t
#define TYPE bool_
#elif KIND == UINT8
#define LOWEST 0
#define HIGHEST UINT8_MAX
#define T uint8_t
#define TYPE uint8
#elif KIND == INT8
#define LOWEST INT8_MIN
#define HIGHEST INT8_MAX
#define T int8_t
#define TYPE int8
#elif KIND == INT16
#define LOWEST INT16_MIN
#define HIGHEST INT16_MAX
#define T int16_t
#define TYPE int16
#elif KIND == INT32
#define LOWEST INT32_MIN
#define HIGHEST INT32_MAX
#define T int32_t
#define TYPE int32
#elif KIND == INT64
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#define T int64_t
#define TYPE int64
#elif KIND == FLOAT16
#define T pb_half
#define TYPE float16
#elif KIND == BFLOAT16
#define T pb_bfloat
#define TYPE bfloat16
#elif KIND == FLOAT32
#define T float
#define TYPE float32
#elif KIND == FLOAT64
#define T double
#define TYPE float64
#endif

#if KIND >= FLOAT16
#define LOWEST -INFINITY
#define HIGHEST INFINITY
#define IS_NAN(x) ((x) != (x))
#else
#define IS_NAN(x) 0
#endif

#if KIND == FLOAT16
#define REAL float
#define LOAD(x) pb_from_half(x)
#define TO(x) pb_to_half(x)
#elif KIND == BFLOAT16
#define REAL float
#define LOAD(x) pb_from_bfloat(x)
#define TO(x) pb_to_bfloat(x)
#else
#define REAL T
#define LOAD(x) (x)
#define TO(x) (x)
#endif

#if KIND == FLOAT64
#define EXP_OF pb_exp_double
#define ABS_OF fabs
#else
#define EXP_OF pb_exp_float
#define ABS_OF fabsf
#endif
