/* A loop for one of the half precisions: the float loop, a block at a time.

   Inputs are widened into blocks on the stack, and the results rounded once, as PyTorch does it. A result of
   another type, as that of a comparison, is written where it belongs. A number may come as a float, which is
   not rounded before. Read `pb_half_loop`. */

#ifndef PB_HALF_LOOP_H
#define PB_HALF_LOOP_H

#include "pullback/core/half.h"
#include <numpy/npy_common.h>

enum { PB_HALF_BLOCK = 256, PB_HALF_INPUTS = 8 };

typedef void (*pb_float_loop)(char**, npy_intp const*, npy_intp const*, void*);

typedef struct {
    pb_float_loop loop;
    void* data;
    int inputs, brain, narrows; /* `brain`: bfloat16; `narrows`: the result is of the half precision, too */
    unsigned int wide;          /* a bit for each input that is one float */
} pb_half_way;

#define PB_WIDEN(TYPE, FROM)                                                                        \
    if (step == 2)                                                                                  \
        for (i = 0; i < n; i++) to[i] = FROM(((TYPE const*)from)[i]);                               \
    else                                                                                            \
        for (i = 0; i < n; i++) to[i] = FROM(*(TYPE const*)(from + i * step));
static PB_CLONES void pb_widen_half(char const* from, npy_intp step, float* PB_RESTRICT to, npy_intp n) {
    npy_intp i;
    PB_WIDEN(pb_half, pb_from_half)
}
static PB_CLONES void pb_widen_bfloat(char const* from, npy_intp step, float* PB_RESTRICT to, npy_intp n) {
    npy_intp i;
    PB_WIDEN(pb_bfloat, pb_from_bfloat)
}
#undef PB_WIDEN

static void pb_narrow_half(float const* PB_RESTRICT from, char* to, npy_intp step, npy_intp n) {
    npy_intp i;
    if (step == 2)
        pb_to_halves(from, (pb_half*)to, n);
    else
        for (i = 0; i < n; i++) *(pb_half*)(to + i * step) = pb_to_half(from[i]);
}
static PB_CLONES void pb_narrow_bfloat(float const* PB_RESTRICT from, char* to, npy_intp step, npy_intp n) {
    npy_intp i;
    if (step == 2)
        for (i = 0; i < n; i++) ((pb_bfloat*)to)[i] = pb_to_bfloat(from[i]);
    else
        for (i = 0; i < n; i++) *(pb_bfloat*)(to + i * step) = pb_to_bfloat(from[i]);
}

static void pb_half_loop(char** args, npy_intp const* size, npy_intp const* steps, void* way) {
    pb_half_way const* const w = (pb_half_way const*)way;
    float room[PB_HALF_INPUTS + 1][PB_HALF_BLOCK];
    char* parts[PB_HALF_INPUTS + 1];
    npy_intp strides[PB_HALF_INPUTS + 1], start;
    int const n = w->inputs;
    int k;
    for (start = 0; start < size[0]; start += PB_HALF_BLOCK) {
        npy_intp const count = size[0] - start < PB_HALF_BLOCK ? size[0] - start : PB_HALF_BLOCK;
        char* const to = args[n] + start * steps[n];
        for (k = 0; k < n; k++) {
            npy_intp const still = steps[k] == 0;
            if (w->wide >> k & 1) {
                parts[k] = args[k];
                strides[k] = 0;
                continue;
            }
            if (!still || start == 0)
                (w->brain ? pb_widen_bfloat : pb_widen_half)(args[k] + start * steps[k], steps[k], room[k],
                                                             still ? 1 : count);
            parts[k] = (char*)room[k];
            strides[k] = still ? 0 : sizeof(float);
        }
        parts[n] = w->narrows ? (char*)room[n] : to;
        strides[n] = w->narrows ? (npy_intp)sizeof(float) : steps[n];
        w->loop(parts, &count, strides, w->data);
        if (w->narrows) (w->brain ? pb_narrow_bfloat : pb_narrow_half)(room[n], to, steps[n], count);
    }
}

#endif
