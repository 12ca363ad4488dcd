/* What moves elements: boxes, triangles, elements at indices or at a mask, by size; and what reduces them at indices, by
   type. Each is a template. */

#define TEMPLATE "move.h"
#include "sizes.h"
#undef TEMPLATE
#define TEMPLATE "triangle.h"
#include "sizes.h"
#undef TEMPLATE
#include "at.h"
#define TEMPLATE "take_put.h"
#include "sizes.h"
#undef TEMPLATE

#define TEMPLATE "mask.h"
#include "sizes.h"
#undef TEMPLATE

#define TEMPLATE "scatter.h"

#define NAME at_sum
#define STEP(a, x) PLUS(a, x)
#define IDENTITY 0
#include "integers.h"
#include "floats.h"
#undef NAME

#define MEAN
#define NAME at_mean
#include "integers.h"
#include "floats.h"
#undef MEAN
#undef NAME
#undef STEP
#undef IDENTITY

#define NAME at_prod
#define STEP(a, x) TIMES(a, x)
#define IDENTITY 1
#include "integers.h"
#include "floats.h"
#undef NAME
#undef STEP
#undef IDENTITY

#define NAME at_amax
#define STEP(a, x) LARGER(a, x)
#define IDENTITY LOWEST
#include "integers.h"
#include "floats.h"
#undef NAME
#undef STEP
#undef IDENTITY

#define NAME at_amin
#define STEP(a, x) SMALLER(a, x)
#define IDENTITY HIGHEST
#include "integers.h"
#include "floats.h"
#undef NAME
#undef STEP
#undef IDENTITY
#undef TEMPLATE
