/* Sorted rows, elements of a rank, and the most frequent ones: a template for each number type. NaN is the
   largest number, zeros are equal whatever their sign, and equal ones keep their order.

   The geometry is that of ops/indexing/orders.py:

       n, step along the row, number of the result that has values (0: none), that has indices, and how far
       its elements are apart along the row, in elements; two words that say what is wanted; dims,
       {size, step, step of the results} of each dim of the rows, the latter in elements.

   A part of the work is a row. A row becomes entries (entries.h), which are sorted in the scratch. */

#include "kinds.h"

#ifndef PB_ORDER_H
#define PB_ORDER_H
#define PB_ORDER3(a, b, c) pb_##a##_##b##c
#define PB_ORDER2(a, b, c) PB_ORDER3(a, b, c)
#define ORDER(name) PB_ORDER2(name, TYPE, )
enum { PB_RANK, PB_MEDIAN, PB_NANMEDIAN };
#define PB_BLOCK 32 /* keys that are looked at together */
#define PB_ABREAST 8 /* searches */
#define PB_FEW 32 /* entries, up to which those wanted are kept in order while others are looked at */

#define ENTRY uint64_t
#define EN(name) pb_narrow_##name
#define BEFORE(a, b) ((a) < (b))
#define BYTES 4
#define BYTE(e, k) ((e) >> (32 + 8 * (k)) & 255)
#include "entries.h"

typedef struct {
    uint64_t key, place;
} pb_wide;

#define ENTRY pb_wide
#define EN(name) pb_wide_##name
#define PB_WIDE_BEFORE(a, b) ((a).key < (b).key || ((a).key == (b).key && (a).place < (b).place))
#define BEFORE(a, b) PB_WIDE_BEFORE(a, b)
#define BYTES 8
#define BYTE(e, k) ((e).key >> (8 * (k)) & 255)
#include "entries.h"

/* Where a row begins, and how many elements before its results. */
PB_INLINE char const* pb_row_of(int64_t const* geometry, char const* p, int64_t part, int64_t* to) {
    *to = 0;
    for (int64_t d = geometry[7] - 1; d >= 0; d--) {
        int64_t const* dim = geometry + 8 + 3 * d;
        p += part % dim[0] * dim[1];
        *to += part % dim[0] * dim[2];
        part /= dim[0];
    }
    return p;
}
#endif

/* Keys that are in order as unsigned numbers where the elements are. */
#if KIND == FLOAT64
#define BITS uint64_t
#elif KIND == FLOAT32
#define BITS uint32_t
#elif KIND >= FLOAT16
#define BITS uint16_t
#endif
#if KIND == FLOAT64 || KIND == INT64
#define KEY uint64_t
#define E pb_wide
#define EN(name) pb_wide_##name
#define PLACE(e) (int64_t)(e).place
#define KEY_OF(e) (e).key
#define BEFORE(a, b) PB_WIDE_BEFORE(a, b)
#else
#define KEY uint32_t
#define E uint64_t
#define EN(name) pb_narrow_##name
#define PLACE(e) (int64_t)((e) & UINT32_MAX)
#define KEY_OF(e) (uint32_t)((e) >> 32)
#define BEFORE(a, b) ((a) < (b))
#endif

PB_INLINE KEY ORDER(key)(T const* x) {
#ifdef BITS
    BITS bits;
    BITS const sign = (BITS)1 << (8 * sizeof bits - 1);
    memcpy(&bits, x, sizeof bits);
    BITS const turned = bits & sign ? (BITS)~bits : (BITS)(bits | sign), known = bits == sign ? sign : turned;
    return IS_NAN(LOAD(*x)) ? (KEY)(BITS)-1 : (KEY)known;
#elif KIND == BOOL || KIND == UINT8
    return *x;
#else
    return (KEY)*x ^ (KEY)1 << (8 * sizeof(KEY) - 1);
#endif
}

PB_INLINE E ORDER(entry)(KEY key, int64_t place) {
#if KIND == FLOAT64 || KIND == INT64
    pb_wide const e = {key, (uint64_t)place};
    return e;
#else
    return (uint64_t)key << 32 | (uint64_t)place;
#endif
}

/* The entries of a row, largest first if `turned`; how many are numbers. */
static PB_CLONES int64_t ORDER(load)(E* PB_RESTRICT e, char const* p, int64_t n, int64_t step, int turned) {
    KEY const turn = turned ? (KEY)-1 : 0;
    int64_t numbers = n;
    if (step == sizeof(T)) {
        for (int64_t i = 0; i < n; i++) e[i] = ORDER(entry)(ORDER(key)((T const*)p + i) ^ turn, i);
        for (int64_t i = 0; i < n; i++) numbers -= IS_NAN(LOAD(((T const*)p)[i]));
        return numbers;
    }
    for (int64_t i = 0; i < n; i++) {
        T const* x = (T const*)(p + i * step);
        e[i] = ORDER(entry)(ORDER(key)(x) ^ turn, i);
        numbers -= IS_NAN(LOAD(*x));
    }
    return numbers;
}

/* The keys of a block; whether any comes before `last`. */
static PB_CLONES int ORDER(any_before)(KEY* PB_RESTRICT keys, char const* p, int64_t step, KEY turn,
                                       KEY last) {
    int found = 0;
    if (step == sizeof(T))
        for (int i = 0; i < PB_BLOCK; i++) keys[i] = ORDER(key)((T const*)p + i) ^ turn;
    else
        for (int i = 0; i < PB_BLOCK; i++) keys[i] = ORDER(key)((T const*)(p + i * step)) ^ turn;
    for (int i = 0; i < PB_BLOCK; i++) found |= keys[i] < last;
    return found;
}

/* The first few entries of a row, in order: each one that comes before the last of them is put in
   its place. */
static void ORDER(few)(E* e, char const* p, int64_t n, int64_t step, int turned, int64_t count) {
    KEY const turn = turned ? (KEY)-1 : 0;
    ORDER(load)(e, p, count, step, turned);
    EN(insert)(e, count);
    KEY keys[PB_BLOCK];
    for (int64_t from = count; from < n; from += PB_BLOCK) {
        int64_t const some = n - from < PB_BLOCK ? n - from : PB_BLOCK;
        if (some == PB_BLOCK) {
            if (!ORDER(any_before)(keys, p + from * step, step, turn, KEY_OF(e[count - 1]))) continue;
        } else
            for (int64_t i = 0; i < some; i++) keys[i] = ORDER(key)((T const*)(p + (from + i) * step)) ^ turn;
        for (int64_t i = 0; i < some; i++) {
            KEY const key = keys[i];
            if (key >= KEY_OF(e[count - 1])) continue; /* of equal ones the first stay */
            int64_t j = count - 1;
            for (; j && key < KEY_OF(e[j - 1]); j--) e[j] = e[j - 1];
            e[j] = ORDER(entry)(key, from + i);
        }
    }
}

/* The first of a row in order: wanted are whether the largest come first, and how many. */
static int ORDER(order)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const n = geometry[0], step = geometry[1], turned = geometry[5], count = geometry[6];
    E* const e = (E*)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t to;
        char const* p = pb_row_of(geometry, data[0], part, &to);
        int64_t chosen = n;
        int const few = count && count <= PB_FEW && count < n / 4;
        if (few)
            ORDER(few)(e, p, n, step, (int)turned, count);
        else
            ORDER(load)(e, p, n, step, (int)turned);
        /* those up to the last one that is wanted, in the order of their places */
        if (count > PB_FEW && count < n / 4) {
            EN(select)(e, count - 1, n);
            E const last = e[count - 1];
            ORDER(load)(e, p, n, step, (int)turned);
            chosen = 0;
            for (int64_t i = 0; i < n; i++)
                if (!BEFORE(last, e[i])) e[chosen++] = e[i];
        }
        if (!few) EN(sort)(e, chosen, e + n);
        int64_t* const indices = (int64_t*)data[geometry[3]] + to;
        for (int64_t i = 0; i < count; i++) indices[i * geometry[4]] = PLACE(e[i]);
        if (!geometry[2]) continue;
        T* const values = (T*)data[geometry[2]] + to;
        for (int64_t i = 0; i < count; i++)
            values[i * geometry[4]] = *(T const*)(p + PLACE(e[i]) * step);
    }
    return 0;
}

/* The element of a rank: wanted are what decides on it, and the rank itself. */
static int ORDER(rank)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const n = geometry[0], step = geometry[1], rule = geometry[5];
    E* const e = (E*)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t to;
        char const* p = pb_row_of(geometry, data[0], part, &to);
        int64_t rank = geometry[6];
        if (rule == PB_RANK && rank < PB_FEW && rank < n / 8)
            ORDER(few)(e, p, n, step, 0, rank + 1);
        else {
            int64_t const numbers = ORDER(load)(e, p, n, step, 0);
            if (rule == PB_MEDIAN) rank = numbers < n ? numbers : (n - 1) / 2;
            if (rule == PB_NANMEDIAN) rank = numbers ? (numbers - 1) / 2 : 0;
            EN(select)(e, rank, n);
        }
        if (geometry[3]) ((int64_t*)data[geometry[3]])[to] = PLACE(e[rank]);
        if (geometry[2]) ((T*)data[geometry[2]])[to] = *(T const*)(p + PLACE(e[rank]) * step);
    }
    return 0;
}

/* The most frequent element, the smallest of several such, and its last place; each NaN is one of its own. */
static int ORDER(mode)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const n = geometry[0], step = geometry[1];
    E* const e = (E*)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t to, best = 0, most = 0, run = 0;
        char const* p = pb_row_of(geometry, data[0], part, &to);
        int64_t const numbers = ORDER(load)(e, p, n, step, 0);
        EN(sort)(e, n, e + n);
        for (int64_t i = 0; i < numbers; i++) {
            run = i && KEY_OF(e[i]) == KEY_OF(e[i - 1]) ? run + 1 : 1;
            if (run > most) most = run, best = i;
        }
        ((int64_t*)data[geometry[3]])[to] = numbers ? PLACE(e[best]) : 0;
        ((T*)data[geometry[2]])[to] = *(T const*)(p + PLACE(e[best]) * step);
    }
    return 0;
}

/* Where some numbers go, each in a sorted row, side by side: the steps are as many for all of them. */
static void ORDER(find)(char const* const* rows, int64_t n, int64_t step, int64_t behind,
                                  T const* x, int64_t* PB_RESTRICT low) {
    int64_t at[PB_ABREAST] = {0};
    for (int64_t left = n, half; left > 0; left -= half) {
        half = (left + 1) / 2;
        for (int j = 0; j < PB_ABREAST; j++) { /* no branch: which way is not foreseen */
            REAL const y = LOAD(*(T const*)(rows[j] + (at[j] + half - 1) * step)), to = LOAD(x[j]);
            at[j] += -(int64_t)((y < to) | (behind & (y == to))) & half;
        }
    }
    for (int j = 0; j < PB_ABREAST; j++) low[j] = IS_NAN(LOAD(x[j])) ? n : at[j];
}

/* Where numbers go in sorted rows. The geometry is: n, step along a row, whether behind equal ones, bytes of
   the result's elements, dims, {size, step of the rows, of the numbers, of the result} of each dim. */
static int ORDER(search)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const n = geometry[0], step = geometry[1], behind = geometry[2], wide = geometry[3] == 8;
    int64_t const count = geometry[4], *dims = geometry + 5;
    (void)scratch;
    int64_t const* last = dims + 4 * count - 4;
    for (int64_t part = begin, line; part < end; part += line) {
        char const *rows = data[0], *at = data[1];
        char* to = data[2];
        for (int64_t d = count - 1, rest = part; d >= 0; rest /= dims[4 * d], d--) {
            int64_t const i = rest % dims[4 * d];
            rows += i * dims[4 * d + 1];
            at += i * dims[4 * d + 2];
            to += i * dims[4 * d + 3];
        }
        line = last[0] - part % last[0];
        line = line < end - part ? line : end - part;
        for (int64_t j = 0; j < line; j += PB_ABREAST) {
            int64_t const some = line - j < PB_ABREAST ? line - j : PB_ABREAST;
            char const* row[PB_ABREAST];
            T x[PB_ABREAST] = {0};
            int64_t low[PB_ABREAST];
            for (int64_t i = 0; i < PB_ABREAST; i++) row[i] = rows + (i < some ? i : 0) * last[1];
            for (int64_t i = 0; i < some; i++) x[i] = *(T const*)(at + i * last[2]);
            ORDER(find)(row, n, step, behind, x, low);
            for (int64_t i = 0; i < some; i++)
                if (wide)
                    *(int64_t*)(to + i * last[3]) = low[i];
                else
                    *(int32_t*)(to + i * last[3]) = (int32_t)low[i];
            rows += some * last[1], at += some * last[2], to += some * last[3];
        }
    }
    return 0;
}

/* The distinct elements of a row, two steps: sorts it, and says how many there are; then writes each of them,
   which of them every element is, and how many elements are each. */
static int64_t ORDER(distinct)(char const* p, int64_t n, E* e) {
    int64_t const numbers = ORDER(load)(e, p, n, sizeof(T), 0);
    int64_t found = 0;
    EN(sort)(e, n, e + n);
    for (int64_t i = 0; i < n; i++) found += !i || i >= numbers || KEY_OF(e[i]) != KEY_OF(e[i - 1]);
    return found;
}

static void ORDER(told)(char const* p, int64_t n, E const* e, char* values, int64_t* inverse,
                        int64_t* counts) {
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        T const* x = (T const*)p + PLACE(e[i]);
        if (!i || IS_NAN(LOAD(*x)) || KEY_OF(e[i]) != KEY_OF(e[i - 1])) {
            ((T*)values)[++at] = *x;
            counts[at] = 0;
        }
        inverse[PLACE(e[i])] = at;
        counts[at]++;
    }
}

/* The elements of a row that differ from the one before them: their values, which of them every element is,
   and how many elements are each, the last two unless NULL; how many there are. */
static int64_t ORDER(neighbours)(T const* x, int64_t n, T* values, int64_t* inverse, int64_t* counts) {
    int64_t found = 0, first = 0;
    if (!inverse && !counts) { /* without a branch: each one is written, and stays if it differs */
        for (int64_t i = 0; i < n; i++) {
            values[found] = x[i];
            found += !i || LOAD(x[i]) != LOAD(x[i - 1]);
        }
        return found;
    }
    for (int64_t i = 0; i < n; i++) {
        if (!i || LOAD(x[i]) != LOAD(x[i - 1])) {
            if (counts && found) counts[found - 1] = i - first;
            values[found++] = x[i];
            first = i;
        }
        if (inverse) inverse[i] = found - 1;
    }
    if (counts && found) counts[found - 1] = n - first;
    return found;
}

#undef BITS
#undef KEY
#undef E
#undef EN
#undef BEFORE
#undef PLACE
#undef KEY_OF
#include "kinds_end.h"
