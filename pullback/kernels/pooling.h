/* Largest elements of windows, and their places: included once for each number type.

   Arrays are seen as (outer, three spatial dims), contiguous; a part is one of `outer`. The geometry: sizes,
   numbers of windows and steps within a window of the three dims, then the addresses of each dim's first
   places, and of its ends. data: array, largest elements, their places, -1 in a window without elements. NaN
   is the largest; of equal ones the first is. */

#include "kinds.h"

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)

#ifndef PB_POOLING_H
#define PB_POOLING_H
enum { AT_ONCE = 64, WIDE = 16 }; /* windows side by side, elements of one */

/* Windows of the last dim with as many elements each, that begin equally far apart: from which to which, the
   elements of each, how far */
typedef struct {
    int64_t from, to, width, stride;
} pb_regular;

static pb_regular pb_regular_windows(int64_t count, int64_t const* first, int64_t const* last) {
    pb_regular r = {0, 0, 0, 1};
    for (int64_t o = 0; o < count; o++)
        if (last[o] - first[o] > r.width) r.width = last[o] - first[o], r.from = o;
    r.to = r.from;
    if (r.from + 1 < count) r.stride = first[r.from + 1] - first[r.from];
    while (r.width && r.to < count && last[r.to] - first[r.to] == r.width
           && first[r.to] == first[r.from] + (r.to - r.from) * r.stride)
        r.to++;
    return r;
}
#endif

#if KIND >= FLOAT32
/* The largest so far, and their places, of `n` windows that are `stride` apart, beside one more of each */
PB_INLINE void PB_JOIN(larger, TYPE)(T const* x, int32_t at, int64_t stride, int64_t n, T* PB_RESTRICT best,
                                     int32_t* PB_RESTRICT place) {
    for (int64_t j = 0; j < n; j++) {
        T const value = x[j * stride];
        int const larger = (value > best[j]) | IS_NAN(value);
        best[j] = larger ? value : best[j];
        place[j] = larger ? at + (int32_t)(j * stride) : place[j];
    }
}

/* Regular windows, some of them side by side: of the first two dims `low` to `high` are in them */
static PB_CLONES void PB_JOIN(side_by_side, TYPE)(T const* x, int64_t const* size, int64_t const* step,
                                                  int64_t const* low, int64_t const* high, int64_t start,
                                                  pb_regular r, T* y, int64_t* place) {
    T best[AT_ONCE];
    int32_t at[AT_ONCE];
    int64_t const count = r.to - r.from;
    for (int64_t done = 0; done < count; done += AT_ONCE) {
        int64_t const n = count - done < AT_ONCE ? count - done : AT_ONCE, from = start + done * r.stride;
        int64_t const head = (low[0] * size[1] + low[1]) * size[2] + from;
        for (int64_t j = 0; j < n; j++) {
            best[j] = x[head + j * r.stride];
            at[j] = (int32_t)(head + j * r.stride);
        }
        for (int64_t i0 = low[0]; i0 < high[0]; i0 += step[0])
            for (int64_t i1 = low[1]; i1 < high[1]; i1 += step[1])
                for (int64_t i2 = 0; i2 < r.width; i2 += step[2]) {
                    int64_t const k = (i0 * size[1] + i1) * size[2] + from + i2;
                    if (k == head) continue;
                    if (r.stride == 1) PB_JOIN(larger, TYPE)(x + k, (int32_t)k, 1, n, best, at);
                    else if (r.stride == 2) PB_JOIN(larger, TYPE)(x + k, (int32_t)k, 2, n, best, at);
                    else PB_JOIN(larger, TYPE)(x + k, (int32_t)k, r.stride, n, best, at);
                }
        for (int64_t j = 0; j < n; j++) {
            y[done + j] = best[j];
            place[done + j] = at[j];
        }
    }
}

/* One window whose rows are long: the largest of every WIDE-th of their elements first, of which the last
   NaN, or the first of the largest, is taken then */
static PB_CLONES int64_t PB_JOIN(wide, TYPE)(T const* x, int64_t const* size, int64_t const* step,
                                             int64_t const* low, int64_t const* high) {
    T best[WIDE] = {0};
    int32_t at[WIDE] = {0};
    int64_t const width = high[2] - low[2], most = width < WIDE ? width : WIDE;
    int64_t const head = (low[0] * size[1] + low[1]) * size[2] + low[2];
    for (int64_t j = 0; j < most; j++) best[j] = x[head + j], at[j] = (int32_t)(head + j);
    for (int64_t i0 = low[0]; i0 < high[0]; i0 += step[0])
        for (int64_t i1 = low[1]; i1 < high[1]; i1 += step[1]) {
            int64_t const row = (i0 * size[1] + i1) * size[2] + low[2];
            int64_t k = 0;
            for (; k + WIDE <= width; k += WIDE)
                PB_JOIN(larger, TYPE)(x + row + k, (int32_t)(row + k), 1, WIDE, best, at);
            PB_JOIN(larger, TYPE)(x + row + k, (int32_t)(row + k), 1, width - k, best, at);
        }
    int64_t one = 0;
    for (int64_t j = 1; j < most; j++) {
        int const later = at[j] > at[one];
        if (IS_NAN(best[j]) ? !IS_NAN(best[one]) || later
                            : best[j] > best[one] || (best[j] == best[one] && !later))
            one = j;
    }
    return at[one];
}
#endif

/* The windows of one image: of each dim its size, how many windows, the step within one, and where each
   begins and ends */
static void PB_JOIN(image_windows, TYPE)(T const* x, T* y, int64_t* place, int64_t const* size,
                                         int64_t const* count, int64_t const* step, int64_t* const* first,
                                         int64_t* const* last, pb_regular regular) {
    int const few = size[0] * size[1] * size[2] <= INT32_MAX; /* places of 32 bits */
    for (int64_t o0 = 0; o0 < count[0]; o0++)
        for (int64_t o1 = 0; o1 < count[1]; o1++)
            for (int64_t o2 = 0; o2 < count[2]; o2++) {
                if (first[0][o0] >= last[0][o0] || first[1][o1] >= last[1][o1] ||
                    first[2][o2] >= last[2][o2]) { /* steps over all elements */
                    *y++ = TO(LOWEST);
                    *place++ = -1;
                    continue;
                }
#if KIND >= FLOAT32
                if (last[2][o2] - first[2][o2] > count[2] && step[2] == 1 && few) {
                    int64_t const low[3] = {first[0][o0], first[1][o1], first[2][o2]};
                    int64_t const high[3] = {last[0][o0], last[1][o1], last[2][o2]};
                    int64_t const at = PB_JOIN(wide, TYPE)(x, size, step, low, high);
                    *y++ = x[at];
                    *place++ = at;
                    continue;
                }
                if (o2 == regular.from && regular.to > o2) {
                    int64_t const low[2] = {first[0][o0], first[1][o1]};
                    int64_t const high[2] = {last[0][o0], last[1][o1]};
                    PB_JOIN(side_by_side, TYPE)(x, size, step, low, high, first[2][o2], regular, y, place);
                    y += regular.to - o2, place += regular.to - o2;
                    o2 = regular.to - 1;
                    continue;
                }
#else
                (void)regular, (void)few;
#endif
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

static int PB_JOIN(max_windows, TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                      char* scratch) {
    int64_t const *size = geometry, *count = geometry + 3, *step = geometry + 6;
    int64_t const plane = size[0] * size[1] * size[2], windows = count[0] * count[1] * count[2];
    int64_t *first[3], *last[3];
    (void)scratch;
    for (int d = 0; d < 3; d++) {
        first[d] = (int64_t*)(intptr_t)geometry[9 + d];
        last[d] = (int64_t*)(intptr_t)geometry[12 + d];
    }
    pb_regular regular = pb_regular_windows(count[2], first[2], last[2]);
    if (plane > INT32_MAX) regular.to = regular.from;
    for (int64_t part = begin; part < end; part++)
        PB_JOIN(image_windows, TYPE)((T const*)data[0] + part * plane, (T*)data[1] + part * windows,
                                     (int64_t*)data[2] + part * windows, size, count, step, first, last,
                                     regular);
    return 0;
}

#if KIND >= FLOAT16
#define NEAREST(x) LOAD(TO(x))

/* The same of windows without gaps that begin at steps which a random sample varies by one, each image's
   own. The geometry: sizes, numbers of windows and their sizes, where the sample of each dim is (in
   bytes), channels, the steps of the samples from image to image and from channel to channel; data:
   array, samples, largest elements, their places; scratch: a place for each window's begin and end */
static int PB_JOIN(fractional_windows, TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                             char* scratch) {
    int64_t const *size = geometry, *count = geometry + 3, *width = geometry + 6, *of_dim = geometry + 9;
    int64_t const plane = size[0] * size[1] * size[2], windows = count[0] * count[1] * count[2];
    int64_t const step[3] = {1, 1, 1}, channels = geometry[12];
    int64_t *first[3], *last[3], *room = (int64_t*)scratch;
    for (int d = 0; d < 3; d++) {
        first[d] = room;
        last[d] = room + count[d];
        room += 2 * count[d];
    }
    for (int64_t part = begin; part < end; part++) {
        char const* samples = data[1] + part / channels * geometry[13] + part % channels * geometry[14];
        for (int d = 0; d < 3; d++) {
            int64_t const n = count[d], latest = size[d] - width[d];
            REAL const sample = LOAD(*(T const*)(samples + of_dim[d]));
            REAL const gaps = NEAREST((REAL)(n - 1));
            REAL const alpha = n > 1 ? NEAREST(NEAREST((REAL)latest) / gaps) : 0;
            REAL const from = NEAREST(sample * alpha);
            for (int64_t i = 0; i < n; i++) {
                REAL const to = NEAREST(NEAREST(NEAREST((REAL)i) + sample) * alpha);
                int64_t const far = i == n - 1 || !(ABS_OF(to) < 1e9f && ABS_OF(from) < 1e9f);
                int64_t const start = far ? latest : (int64_t)to - (int64_t)from;
                first[d][i] = start < 0 ? 0 : start > latest ? latest : start;
                last[d][i] = first[d][i] + width[d];
            }
        }
        PB_JOIN(image_windows, TYPE)((T const*)data[0] + part * plane, (T*)data[2] + part * windows,
                                     (int64_t*)data[3] + part * windows, size, count, step, first, last,
                                     (pb_regular){0, 0, 0, 1});
    }
    return 0;
}
#undef NEAREST
#endif

#if KIND >= FLOAT16
/* Zeros with elements put at their places, the last of several; status 1 for a place outside. The geometry:
   places of the result, and of the source; data: source, places, result */
static int PB_JOIN(set_places, TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                     char* scratch) {
    int64_t const size = geometry[0], count = geometry[1];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        T const* x = (T const*)data[0] + part * count;
        int64_t const* place = (int64_t const*)data[1] + part * count;
        T* y = (T*)data[2] + part * size;
        memset(y, 0, size * sizeof(T));
        for (int64_t j = 0; j < count; j++) {
            if ((uint64_t)place[j] >= (uint64_t)size) return 1;
            y[place[j]] = x[j];
        }
    }
    return 0;
}
#endif

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
        for (int64_t j = 0; j < count; j++)
            if ((uint64_t)place[j] < (uint64_t)size) y[place[j]] += x[j];
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
        for (int64_t j = 0; j < count; j++) y[j] = (uint64_t)place[j] < (uint64_t)size ? x[place[j]] : 0;
    }
    return 0;
}
#endif

#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
