/* Scans: one template, included once for each op and number type, for numbers that are worked on one after
   another along a row. Some rows go side by side, so that no step waits for the one before it: LANES if they
   lie beside one another, which makes it vector code, else FEW, since rows often lie apart by a power of two,
   and more of them would share lines of a cache.

   What an op defines before it, in terms of kinds.h:

       NAME          the function is pb_NAME_TYPE
       OPERANDS      how many there are
       OPERAND_SIZES the sizes of their numbers
       A, A2         the types of the two accumulators of each lane, s[j] and t[j]
       FIRST, FIRST2 what they begin with
       EACH          what is done with a number: IN(k) is operand k's, OUT(k, type) the result's place in
                     operand k; `i` counts the numbers of the row from 0, the last is `last`

   and, for what goes through the row a second time, from its end, FIRST_BACK and EACH_BACK. */

#include "kinds.h"

#ifndef PB_SCAN_H
#define PB_SCAN_H
#define PB_LANES 16
#define PB_FEW 4
#if defined(__GNUC__) && !defined(__clang__)
#define PB_UNROLL_FEW _Pragma("GCC unroll 4") /* accumulators are registers then */
#else
#define PB_UNROLL_FEW
#endif
#define PB_SCAN_JOIN(name, type, suffix) pb_##name##_##type##suffix
#define PB_SCAN_NAMED(name, type, suffix) PB_SCAN_JOIN(name, type, suffix)
#define FN(suffix) PB_SCAN_NAMED(NAME, TYPE, suffix)
#define OUT(k, type) (*(type*)(p[k] + j * (packed ? (int64_t)sizeof(type) : w->pitch[k])))
#define IN(k) LOAD(OUT(k, T))
#define IN_AFTER(k) LOAD(*(T*)(p[k] + w->step[k] + j * (packed ? (int64_t)sizeof(T) : w->pitch[k])))
#endif

PB_INLINE void FN(_lanes)(pb_work const* w, int64_t from, int64_t lanes, int packed) {
    int64_t const last = w->length - 1;
    char* p[OPERANDS];
    A s[PB_LANES];
    A2 t[PB_LANES];
    int64_t i, j, k;
    for (k = 0; k < OPERANDS; k++) p[k] = w->p[k] + from * w->pitch[k];
    PB_UNROLL_FEW for (j = 0; j < lanes; j++) s[j] = FIRST, t[j] = FIRST2;
    for (i = 0; i <= last; i++) {
        PB_INDEPENDENT PB_UNROLL_FEW for (j = 0; j < lanes; j++) EACH;
        for (k = 0; k < OPERANDS; k++) p[k] += w->step[k];
    }
#ifdef EACH_BACK
    PB_UNROLL_FEW for (j = 0; j < lanes; j++) s[j] = FIRST_BACK;
    for (i = last; i >= 0; i--) {
        for (k = 0; k < OPERANDS; k++) p[k] -= w->step[k];
        PB_INDEPENDENT PB_UNROLL_FEW for (j = 0; j < lanes; j++) EACH_BACK;
    }
#endif
    (void)t, (void)s;
}

static PB_CLONES int FN(_body)(pb_work const* w) {
    int64_t const sizes[] = {OPERAND_SIZES};
    int64_t row = 0;
    int packed = w->rows == PB_LANES;
    for (int k = 0; k < OPERANDS; k++) packed &= w->pitch[k] == sizes[k];
    if (packed) {
        FN(_lanes)(w, 0, PB_LANES, 1);
        return 0;
    }
    for (; row + PB_FEW <= w->rows; row += PB_FEW) FN(_lanes)(w, row, PB_FEW, 0);
    for (; row < w->rows; row++) FN(_lanes)(w, row, 1, 0);
    return 0;
}

static int FN()(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    return pb_rows(geometry, data, begin, end, scratch, sizeof(T), FN(_body));
}

#include "kinds_end.h"
