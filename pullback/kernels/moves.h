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

/* of a block as complex numbers */
#define PB_PAIRS(type, real, name, from_type)                                                       \
    static PB_CLONES void pb_of_##name##_##type(void const* block, char* p, int64_t step, int64_t n) { \
        from_type const* const from = block;                                                        \
        if (step == 2 * sizeof(real))                                                               \
            for (int64_t j = 0; j < n; j++) {                                                       \
                ((real*)p)[2 * j] = (real)from[j];                                                  \
                ((real*)p)[2 * j + 1] = 0;                                                          \
            }                                                                                       \
        else                                                                                        \
            for (int64_t j = 0; j < n; j++) {                                                       \
                ((real*)(p + j * step))[0] = (real)from[j];                                         \
                ((real*)(p + j * step))[1] = 0;                                                     \
            }                                                                                       \
    }
PB_PAIRS(complex64, float, float, float)
PB_PAIRS(complex64, float, double, double)
PB_PAIRS(complex64, float, int64, int64_t)
PB_PAIRS(complex128, double, float, float)
PB_PAIRS(complex128, double, double, double)
PB_PAIRS(complex128, double, int64, int64_t)
#undef PB_PAIRS

enum { PB_FIRST_FLOAT = 6, PB_FLOAT64 = 9 };
#define PB_NARROWS(type) {pb_of_int64_##type, pb_of_float_##type, pb_of_double_##type}
#define PB_CASTS(type, plain) {pb_widened_##type, plain, PB_NARROWS(type)}
static struct {
    pb_widen widen;
    int64_t plain; /* the step of numbers that are a block as they lie, or -1 */
    pb_narrow narrow[3];
} const pb_casts[] = {
    PB_CASTS(bool_, -1),   PB_CASTS(uint8, -1),   PB_CASTS(int8, -1),    PB_CASTS(int16, -1),
    PB_CASTS(int32, -1),   PB_CASTS(int64, 8),    PB_CASTS(float16, -1), PB_CASTS(bfloat16, -1),
    PB_CASTS(float32, 4),  PB_CASTS(float64, 8),  {NULL, -1, PB_NARROWS(complex64)},
    {NULL, -1, PB_NARROWS(complex128)},
};

/* Numbers in another type; cast.h says what the geometry is. */
static int pb_cast_any(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const from = geometry[0], count = geometry[2], *given = geometry + 3;
    pb_widen const widen = pb_casts[from].widen;
    pb_narrow const narrow = pb_casts[geometry[1]].narrow[(from >= PB_FIRST_FLOAT) + (from == PB_FLOAT64)];
    int64_t dims[3 * 64], at[64] = {0}, block[PB_CAST_BLOCK];
    (void)scratch;
    memcpy(dims, given, 3 * count * sizeof *dims);
    if (count == 1) { /* by stretches of the one dim */
        begin *= PB_CAST_PART;
        end = end * PB_CAST_PART < dims[0] ? end * PB_CAST_PART : dims[0];
    }
    int64_t const* last = dims + 3 * count - 3;
    char const* p = data[0] + begin * dims[1];
    char* to = data[1] + begin * dims[2];
    dims[0] = end - begin;
    do
        for (int64_t j = 0; j < last[0]; j += PB_CAST_BLOCK) {
            int64_t const n = last[0] - j < PB_CAST_BLOCK ? last[0] - j : PB_CAST_BLOCK;
            char const* const numbers = p + j * last[1];
            int const plain = last[1] == pb_casts[from].plain;
            if (!plain) widen(block, numbers, last[1], n);
            narrow(plain ? numbers : (char const*)block, to + j * last[2], last[2], n);
        }
    while (pb_next_box(dims, count - 1, at, &p, &to));
    return 0;
}
