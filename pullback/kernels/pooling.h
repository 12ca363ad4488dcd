/* Largest elements of windows, and their places: included once for each number type.

   Arrays are seen as (outer, three spatial dims), contiguous; a part is one of `outer`. The geometry: sizes,
   numbers of windows and steps within a window of the three dims, then the addresses of each dim's first
   places, and of its ends. data: array, largest elements, their places. NaN is the largest; of equal ones the
   first is. */

#include "kinds.h"

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)

static int PB_JOIN(max_windows, TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                      char* scratch) {
    int64_t const *size = geometry, *count = geometry + 3, *step = geometry + 6;
    int64_t const plane = size[0] * size[1] * size[2], windows = count[0] * count[1] * count[2];
    int64_t const *first[3], *last[3];
    (void)scratch;
    for (int d = 0; d < 3; d++) {
        first[d] = (int64_t const*)(intptr_t)geometry[9 + d];
        last[d] = (int64_t const*)(intptr_t)geometry[12 + d];
    }
    for (int64_t part = begin; part < end; part++) {
        T const* x = (T const*)data[0] + part * plane;
        T* y = (T*)data[1] + part * windows;
        int64_t* place = (int64_t*)data[2] + part * windows;
        for (int64_t o0 = 0; o0 < count[0]; o0++)
            for (int64_t o1 = 0; o1 < count[1]; o1++)
                for (int64_t o2 = 0; o2 < count[2]; o2++) {
                    int64_t at = (first[0][o0] * size[1] + first[1][o1]) * size[2] + first[2][o2];
                    REAL best = LOAD(x[at]);
                    for (int64_t i0 = first[0][o0]; i0 < last[0][o0]; i0 += step[0])
                        for (int64_t i1 = first[1][o1]; i1 < last[1][o1]; i1 += step[1]) {
                            int64_t const row = (i0 * size[1] + i1) * size[2];
                            for (int64_t i2 = first[2][o2]; i2 < last[2][o2]; i2 += step[2]) {
                                REAL const value = LOAD(x[row + i2]);
                                if (value > best || IS_NAN(value)) {
                                    best = value;
                                    at = row + i2;
                                }
                            }
                        }
                    *y++ = x[at];
                    *place++ = at;
                }
    }
    return 0;
}

#if KIND >= FLOAT32
/* Elements added at their places. The geometry: places of the result, and of the source; data: source,
   places, result */
static int PB_JOIN(put_places, TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                     char* scratch) {
    int64_t const size = geometry[0], count = geometry[1];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        T const* x = (T const*)data[0] + part * count;
        int64_t const* place = (int64_t const*)data[1] + part * count;
        T* y = (T*)data[2] + part * size;
        memset(y, 0, size * sizeof(T));
        for (int64_t j = 0; j < count; j++) y[place[j]] += x[j];
    }
    return 0;
}

/* The elements at some places. The geometry: places of the source, and of the result; data: source, places,
   result */
static int PB_JOIN(take_places, TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                      char* scratch) {
    int64_t const size = geometry[0], count = geometry[1];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        T const* x = (T const*)data[0] + part * size;
        int64_t const* place = (int64_t const*)data[1] + part * count;
        T* y = (T*)data[2] + part * count;
        for (int64_t j = 0; j < count; j++) y[j] = x[place[j]];
    }
    return 0;
}
#endif

#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
