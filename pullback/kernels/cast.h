/* Numbers in another type: from each to `float`, `double` or `int64_t`, a block at a time, and from there to
   each. A template for the types' own halves of it, and the run that puts them together.

   The geometry is: which types (their places in pb_casts), dims, {size, step, step of the result} of each
   dim. A part of the work is an index of the first dim, or PB_CAST_PART of the only one. */

#include "kinds.h"
#include "walk.h"

#ifndef PB_CAST_H
#define PB_CAST_H
#define PB_CAST_BLOCK 256
#define PB_CAST_PART 8192
#define PB_CAST3(a, b, c) pb_##a##_##b##c
#define PB_CAST2(a, b, c) PB_CAST3(a, b, c)
#define CAST(name) PB_CAST2(name, TYPE, )

/* n numbers between an array and a block: int64_t of whole numbers, double of double, else float */
typedef void (*pb_widen)(void* block, char const* p, int64_t step, int64_t n);
typedef void (*pb_narrow)(void const* block, char* p, int64_t step, int64_t n);
#endif

#if KIND == FLOAT64
#define WIDE double
#elif KIND >= FLOAT16
#define WIDE float
#else
#define WIDE int64_t
#endif
#if KIND == BOOL
#define OF_NUMBER(x) ((x) != 0)
#else
#define OF_NUMBER(x) TO((REAL)(x))
#endif

static PB_CLONES void CAST(widened)(void* block, char const* p, int64_t step, int64_t n) {
    WIDE* const to = block;
    if (step == sizeof(T))
        for (int64_t j = 0; j < n; j++) to[j] = (WIDE)LOAD(((T const*)p)[j]);
    else
        for (int64_t j = 0; j < n; j++) to[j] = (WIDE)LOAD(*(T const*)(p + j * step));
}

#define NARROW(name, FROM)                                                                          \
    static PB_CLONES void CAST(name)(void const* block, char* p, int64_t step, int64_t n) {         \
        FROM const* const from = block;                                                             \
        if (step == sizeof(T))                                                                      \
            for (int64_t j = 0; j < n; j++) ((T*)p)[j] = OF_NUMBER(from[j]);                        \
        else                                                                                        \
            for (int64_t j = 0; j < n; j++) *(T*)(p + j * step) = OF_NUMBER(from[j]);               \
    }
#if KIND == FLOAT16
static void CAST(of_float)(void const* block, char* p, int64_t step, int64_t n) {
    float const* const from = block;
    if (step == sizeof(T))
        pb_to_halves(from, (T*)p, n);
    else
        for (int64_t j = 0; j < n; j++) *(T*)(p + j * step) = TO(from[j]);
}
#else
NARROW(of_float, float)
#endif
NARROW(of_double, double)
NARROW(of_int64, int64_t)

#undef NARROW
#undef WIDE
#undef OF_NUMBER
#include "kinds_end.h"
