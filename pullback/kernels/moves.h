/* What moves elements: boxes, triangles, elements at indices or at a mask, by size; and what reduces them at
   indices, by type. Each is a template. */

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

#define TEMPLATE "cast.h"
#include "integers.h"
#include "floats.h"
#undef TEMPLATE

#define PB_CASTS(type) {pb_widened_##type, pb_of_double_##type, pb_of_int64_##type}
static struct {
    pb_widen widen;
    pb_narrow of_double, of_int64;
} const pb_casts[] = {PB_CASTS(bool_),   PB_CASTS(uint8),   PB_CASTS(int8),     PB_CASTS(int16),
                      PB_CASTS(int32),   PB_CASTS(int64),   PB_CASTS(float16),  PB_CASTS(bfloat16),
                      PB_CASTS(float32), PB_CASTS(float64)};

/* Numbers in another type; cast.h says what the geometry is. */
static int pb_cast_any(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const from_whole = geometry[0] < 6, count = geometry[2], *given = geometry + 3;
    pb_widen const widen = pb_casts[geometry[0]].widen;
    pb_narrow const narrow = from_whole ? pb_casts[geometry[1]].of_int64 : pb_casts[geometry[1]].of_double;
    int64_t dims[3 * 64], at[64] = {0}, block[PB_CAST_BLOCK];
    (void)scratch;
    memcpy(dims, given, 3 * count * sizeof *dims);
    int64_t const* last = dims + 3 * count - 3;
    char const* p = data[0] + begin * dims[1];
    char* to = data[1] + begin * dims[2];
    dims[0] = end - begin;
    do
        for (int64_t j = 0; j < last[0]; j += PB_CAST_BLOCK) {
            int64_t const n = last[0] - j < PB_CAST_BLOCK ? last[0] - j : PB_CAST_BLOCK;
            widen(block, p + j * last[1], last[1], n);
            narrow(block, to + j * last[2], last[2], n);
        }
    while (pb_next_box(dims, count - 1, at, &p, &to));
    return 0;
}
