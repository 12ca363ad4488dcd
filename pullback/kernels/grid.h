/* Images sampled at the places of a grid, all derivatives of that, and grids of affine maps: included
   once for float and double.

   A place weighs a few pixels around it with a product of one weight for each dim: a polynomial of how
   far it is from the pixel below. A derivative with respect to a coordinate takes the derivative of that
   dim's weights. So the same loops serve all orders: `order` says which derivative of each dim is meant.
   Three of them: `samples` weighs pixels, `scatter` is its transpose, and `slopes` gives the derivatives
   to all coordinates of the product of samples and cotangents. Everything is in (d, h, w); images without
   depth have one layer.

   Arrays are contiguous: x (batch, channels, *size), the grid (batch, *places, dims) with its coordinates
   in the order w, h, d, y (batch, channels, *places). An image has less than 2**31 pixels. A part is one
   image. The geometry is a pb_image. Places are worked on in blocks: `locate` finds pixels and weights of
   each dim, `combine` those of all dims together. */

#include "kinds.h"

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define F(name) PB_JOIN(name, TYPE)

#ifndef PB_GRID_H
#define PB_GRID_H
#define PB_PLACES 64
#define PB_TAPS 16
enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };

typedef struct {
    int64_t size[3], count, channels, dims, mode, padding, corners, order[3];
} pb_image;
#endif

/* Of a block of places: the pixels of each dim as steps in memory (-1 for none), the weights of the
   derivative that is asked for, and those of the next one */
typedef struct {
    int32_t tap[3][4][PB_PLACES];
    T weight[3][4][PB_PLACES], slope[3][4][PB_PLACES];
    int taps[3];
} F(block);

/* A coordinate reflected into [low, high], by its ends; the sign of its derivative */
PB_INLINE T F(reflected)(T x, T low, T high, T* sign) {
    T const span = high - low;
    if (span <= 0) {
        *sign = 0;
        return 0;
    }
    x -= low;
    if (x < 0) {
        x = -x;
        *sign = -*sign;
    }
    T const flips = (T)floor(x / span), rest = x - flips * span;
    if (fmod(flips, 2) == 0) return rest + low;
    *sign = -*sign;
    return span - rest + low;
}

/* A pixel coordinate after the padding; `factor` is multiplied with its derivative */
PB_INLINE T F(padded)(T x, int64_t n, pb_image const* im, T* factor) {
    if (im->padding == REFLECTION)
        x = im->corners ? F(reflected)(x, 0, (T)(n - 1), factor)
                        : F(reflected)(x, (T)-0.5, (T)n - (T)0.5, factor);
    if (im->padding != ZEROS) {
        if (!(x > 0)) {
            *factor = 0;
            return 0;
        }
        if (x >= n - 1) {
            *factor = 0;
            return (T)(n - 1);
        }
    }
    return x;
}

/* Keys' kernel with a slope of -3/4 at one, and its derivatives: within [0, 1], and within [1, 2] */
PB_INLINE T F(near)(T x, int64_t order) {
    T const a = (T)-0.75;
    return order == 0   ? ((a + 2) * x - (a + 3)) * x * x + 1
           : order == 1 ? (3 * (a + 2) * x - 2 * (a + 3)) * x
           : order == 2 ? 6 * (a + 2) * x - 2 * (a + 3)
           : order == 3 ? 6 * (a + 2)
                        : 0;
}

PB_INLINE T F(far)(T x, int64_t order) {
    T const a = (T)-0.75;
    return order == 0   ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
           : order == 1 ? (3 * a * x - 10 * a) * x + 8 * a
           : order == 2 ? 6 * a * x - 10 * a
           : order == 3 ? 6 * a
                        : 0;
}

PB_INLINE void F(cubic)(T t, int64_t order, T* w) {
    T const flip = order & 1 ? -1 : 1; /* two pixels lie on the other side */
    w[0] = F(far)(t + 1, order);
    w[1] = F(near)(t, order);
    w[2] = flip * F(near)(1 - t, order);
    w[3] = flip * F(far)(2 - t, order);
}

/* The two pixels around n pixel coordinates, and their linear weights */
static PB_CLONES void F(linear)(T const* PB_RESTRICT x, int64_t n, int32_t size, int32_t step,
                                int32_t* PB_RESTRICT below, int32_t* PB_RESTRICT above,
                                T* PB_RESTRICT by_below, T* PB_RESTRICT by_above) {
    T const last = (T)size;
    for (int64_t j = 0; j < n; j++) {
        T const low = x[j] > -2 ? x[j] : -2, at = low < last ? low : last; /* those outside have no pixels */
        int32_t const whole = (int32_t)at, i = whole - ((T)whole > at);
        T const t = at - (T)i;
        below[j] = i * step | -(int32_t)((uint32_t)i >= (uint32_t)size);
        above[j] = (i + 1) * step | -(int32_t)((uint32_t)(i + 1) >= (uint32_t)size);
        by_below[j] = 1 - t;
        by_above[j] = t;
    }
}

/* The derivatives of some order of both linear weights, at coordinates whose derivatives are `scale` */
static void F(linear_slope)(T const* scale, int64_t n, int64_t order, T* below, T* above) {
    for (int64_t j = 0; j < n; j++) {
        above[j] = order == 1 ? scale[j] : 0;
        below[j] = -above[j];
    }
}

/* The nearest pixel, or the four of cubic weights, at one pixel coordinate */
static void F(other)(T x, T scale, int64_t j, int64_t step, pb_image const* im, F(block)* p, int d) {
    int64_t const n = im->size[d], order = im->order[d];
    int const taps = im->mode == CUBIC ? 4 : 1;
    T const low = im->mode == NEAREST ? (T)nearbyint(x) : (T)floor(x);
    T weight[4] = {order == 0}, slope[4] = {0}, power = 1, unused = 1;
    int const known = fabs(x) <= 1e15;
    if (im->mode == CUBIC && known) {
        F(cubic)(x - low, order, weight);
        F(cubic)(x - low, order + 1, slope);
    }
    for (int64_t k = 0; k < order; k++) power *= scale;
    for (int k = 0; k < taps; k++) {
        T at = low + (T)(k - (im->mode == CUBIC));
        if (im->mode == CUBIC) at = F(padded)(at, n, im, &unused);
        p->weight[d][k][j] = known ? weight[k] * power : 0;
        p->slope[d][k][j] = known ? slope[k] * power * scale : 0;
        p->tap[d][k][j] = known && 0 <= at && at < n ? (int32_t)at * (int32_t)step : -1;
    }
}

/* Coordinates in [-1, 1] as pixel coordinates, every `step`-th of them */
static PB_CLONES void F(unfolded)(T const* grid, int64_t step, int64_t n, int64_t size, int64_t corners,
                                  T* PB_RESTRICT x) {
    T const all = (T)size, half = (T)(size - 1) / 2;
    for (int64_t j = 0; j < n; j++) x[j] = grid[j * step] + 1;
    if (corners)
        for (int64_t j = 0; j < n; j++) x[j] *= half;
    else
        for (int64_t j = 0; j < n; j++) x[j] = (x[j] * all - 1) / 2;
}

/* The pixels and weights of each dim at n places; with `slopes` also the weights of the next derivative */
static void F(locate)(T const* grid, int64_t n, pb_image const* im, F(block)* p, int slopes) {
    int64_t step = im->size[0] * im->size[1] * im->size[2];
    for (int d = 0; d < 3; d++) {
        int64_t const size = im->size[d];
        T const half = (T)(im->corners ? size - 1 : size) / 2;
        T x[PB_PLACES], scale[PB_PLACES];
        step /= size;
        if (d < 3 - im->dims) {
            p->taps[d] = 1;
            for (int64_t j = 0; j < n; j++) {
                p->tap[d][0][j] = 0;
                p->weight[d][0][j] = 1;
                p->slope[d][0][j] = 0;
            }
            continue;
        }
        p->taps[d] = im->mode == CUBIC ? 4 : im->mode == NEAREST ? 1 : 2;
        F(unfolded)(grid + 2 - d, im->dims, n, size, im->corners, x);
        for (int64_t j = 0; j < n; j++) scale[j] = half;
        if (im->mode != CUBIC && im->padding != ZEROS)
            for (int64_t j = 0; j < n; j++) x[j] = F(padded)(x[j], size, im, &scale[j]);
        if (im->mode == LINEAR) {
            F(linear)(x, n, (int32_t)size, (int32_t)step, p->tap[d][0], p->tap[d][1], p->weight[d][0],
                      p->weight[d][1]);
            if (im->order[d]) F(linear_slope)(scale, n, im->order[d], p->weight[d][0], p->weight[d][1]);
            if (slopes) F(linear_slope)(scale, n, im->order[d] + 1, p->slope[d][0], p->slope[d][1]);
        } else
            for (int64_t j = 0; j < n; j++) F(other)(x[j], scale[j], j, step, im, p, d);
    }
}

/* The pixels of all dims together at some places: where they are, the products of their weights, and
   whether they are inside the image (1 or 0): those outside are said to be at 0 */
typedef struct {
    int32_t at[PB_TAPS][PB_PLACES];
    T weight[PB_TAPS][PB_PLACES], inside[PB_TAPS][PB_PLACES];
} F(pixels);

/* How many pixels each place has */
static PB_CLONES int F(combine)(F(block) const* p, int64_t n, F(pixels)* to) {
    int k = 0;
    for (int a = 0; a < p->taps[0]; a++)
        for (int b = 0; b < p->taps[1]; b++)
            for (int c = 0; c < p->taps[2]; c++, k++) {
                int32_t const *i = p->tap[0][a], *j = p->tap[1][b], *l = p->tap[2][c];
                T const *u = p->weight[0][a], *v = p->weight[1][b], *w = p->weight[2][c];
                for (int64_t o = 0; o < n; o++) {
                    int32_t const out = (i[o] | j[o] | l[o]) >> 31;
                    to->at[k][o] = ~out & (i[o] + j[o] + l[o]);
                    to->inside[k][o] = (T)(1 + out);
                    to->weight[k][o] = u[o] * v[o] * w[o];
                }
            }
    return k;
}

/* The weighted pixels of one channel at n places. `taps` is a constant where this is called. */
PB_INLINE void F(weigh)(T const* x, T* PB_RESTRICT y, int64_t n, F(pixels) const* p, int taps) {
    for (int64_t o = 0; o < n; o++) {
        T total = 0;
        for (int k = 0; k < taps; k++) {
            T const term = p->weight[k][o] * x[p->at[k][o]];
            total += p->inside[k][o] > 0 ? term : 0;
        }
        y[o] = total;
    }
}

static PB_CLONES void F(weighed)(T const* x, T* PB_RESTRICT y, int64_t n, F(pixels) const* p, int taps) {
    if (taps == 1)
        F(weigh)(x, y, n, p, 1);
    else if (taps == 4)
        F(weigh)(x, y, n, p, 4);
    else if (taps == 8)
        F(weigh)(x, y, n, p, 8);
    else
        F(weigh)(x, y, n, p, PB_TAPS);
}

static int F(samples)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_image const* im = (pb_image const*)geometry;
    int64_t const plane = im->size[0] * im->size[1] * im->size[2];
    F(block) p;
    F(pixels) all;
    (void)scratch;
    for (int64_t part = begin; part < end; part++)
        for (int64_t first = 0; first < im->count; first += PB_PLACES) {
            int64_t const n = im->count - first < PB_PLACES ? im->count - first : PB_PLACES;
            T const* x = (T const*)data[0] + part * im->channels * plane;
            T* y = (T*)data[2] + part * im->channels * im->count + first;
            F(locate)((T const*)data[1] + (part * im->count + first) * im->dims, n, im, &p, 0);
            int const taps = F(combine)(&p, n, &all);
            for (int64_t c = 0; c < im->channels; c++)
                F(weighed)(x + c * plane, y + c * im->count, n, &all, taps);
        }
    return 0;
}

/* A value of each channel added to the pixels of one place, by their weights */
PB_INLINE void F(spread)(T* PB_RESTRICT x, T const* y, int64_t channels, int64_t plane, int64_t count,
                         int32_t const* at, T const* weight, int taps) {
    for (int64_t c = 0; c < channels; c++)
        for (int k = 0; k < taps; k++) x[c * plane + at[k]] += weight[k] * y[c * count];
}

/* data: y, grid, x */
static int F(scatter)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_image const* im = (pb_image const*)geometry;
    int64_t const plane = im->size[0] * im->size[1] * im->size[2];
    int32_t at[PB_TAPS];
    T weight[PB_TAPS];
    F(block) p;
    F(pixels) all;
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        T* x = (T*)data[2] + part * im->channels * plane;
        memset(x, 0, im->channels * plane * sizeof(T));
        for (int64_t first = 0; first < im->count; first += PB_PLACES) {
            int64_t const n = im->count - first < PB_PLACES ? im->count - first : PB_PLACES;
            T const* y = (T const*)data[0] + part * im->channels * im->count + first;
            F(locate)((T const*)data[1] + (part * im->count + first) * im->dims, n, im, &p, 0);
            int const count = F(combine)(&p, n, &all);
            for (int64_t o = 0; o < n; o++) {
                int taps = 0;
                for (int k = 0; k < count; k++)
                    if (all.inside[k][o] > 0) {
                        at[taps] = all.at[k][o];
                        weight[taps++] = all.weight[k][o];
                    }
                if (taps == 4)
                    F(spread)(x, y + o, im->channels, plane, im->count, at, weight, 4);
                else
                    F(spread)(x, y + o, im->channels, plane, im->count, at, weight, taps);
            }
        }
    }
    return 0;
}

/* The sums over channels of a pixel times a cotangent, at n places; zero without a pixel */
static PB_CLONES void F(dots)(T const* x, T const* g, pb_image const* im, int64_t n,
                              int32_t const* PB_RESTRICT at, T const* PB_RESTRICT inside,
                              T* PB_RESTRICT dot) {
    int64_t const plane = im->size[0] * im->size[1] * im->size[2];
    for (int64_t o = 0; o < n; o++) dot[o] = 0;
    for (int64_t c = 0; c < im->channels; c++) {
        for (int64_t o = 0; o < n; o++) {
            T const term = x[at[o]] * g[o];
            dot[o] += inside[o] > 0 ? term : 0;
        }
        x += plane;
        g += im->count;
    }
}

static PB_CLONES void F(add_slopes)(T* PB_RESTRICT sum, T const* u, T const* v, T const* w, T const* dot,
                                    int64_t n) {
    for (int64_t o = 0; o < n; o++) sum[o] += u[o] * v[o] * w[o] * dot[o];
}

/* data: y, x, grid, and the derivatives, which lie as the grid */
static int F(slopes)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_image const* im = (pb_image const*)geometry;
    int64_t const plane = im->size[0] * im->size[1] * im->size[2];
    T dot[PB_PLACES];
    F(block) p;
    F(pixels) all;
    (void)scratch;
    for (int64_t part = begin; part < end; part++)
        for (int64_t first = 0; first < im->count; first += PB_PLACES) {
            int64_t const n = im->count - first < PB_PLACES ? im->count - first : PB_PLACES;
            int64_t const place = (part * im->count + first) * im->dims;
            T const* x = (T const*)data[1] + part * im->channels * plane;
            T const* g = (T const*)data[0] + part * im->channels * im->count + first;
            T sums[3][PB_PLACES] = {{0}}, *out = (T*)data[3] + place;
            F(locate)((T const*)data[2] + place, n, im, &p, 1);
            int const count = F(combine)(&p, n, &all);
            for (int k = 0; k < count; k++) {
                int const a = k / (p.taps[1] * p.taps[2]), b = k / p.taps[2] % p.taps[1], c = k % p.taps[2];
                T const *u = p.weight[0][a], *v = p.weight[1][b], *w = p.weight[2][c];
                F(dots)(x, g, im, n, all.at[k], all.inside[k], dot);
                if (im->dims == 3) F(add_slopes)(sums[2], p.slope[0][a], v, w, dot, n);
                F(add_slopes)(sums[1], u, p.slope[1][b], w, dot, n);
                F(add_slopes)(sums[0], u, v, p.slope[2][c], dot, n);
            }
            for (int64_t o = 0; o < n; o++)
                for (int64_t d = 0; d < im->dims; d++) out[o * im->dims + d] = sums[d][o];
        }
    return 0;
}

/* The coordinate of pixel i of n in [-1, 1]: of its middle where the corners' middles are the ends */
PB_INLINE T F(coordinate)(int64_t i, int64_t n, int64_t corners) {
    T const line = n == 1 ? 0 : i == n - 1 ? 1 : (T)(-1 + (double)i * (2.0 / (double)(n - 1)));
    return corners ? line : line * (T)((double)(n - 1) / (double)n);
}

/* The places of all pixels, moved by matrices (dims, dims + 1). The geometry: sizes, dims, corners; data:
   matrices, places; a part is one matrix */
static int F(affine_places)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const *size = geometry, dims = geometry[3], corners = geometry[4];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        T const* matrix = (T const*)data[0] + part * dims * (dims + 1);
        T* y = (T*)data[1] + part * size[0] * size[1] * size[2] * dims;
        for (int64_t i = 0; i < size[0]; i++)
            for (int64_t j = 0; j < size[1]; j++) {
                T row[3], step[3];
                for (int64_t d = 0; d < dims; d++) {
                    T const* m = matrix + d * (dims + 1);
                    step[d] = m[0];
                    row[d] = m[1] * F(coordinate)(j, size[1], corners);
                    if (dims == 3) row[d] += m[2] * F(coordinate)(i, size[0], corners);
                    row[d] += m[dims];
                }
                for (int64_t k = 0; k < size[2]; k++) {
                    T const c = F(coordinate)(k, size[2], corners);
                    for (int64_t d = 0; d < dims; d++) *y++ = c * step[d] + row[d];
                }
            }
    }
    return 0;
}

/* The transpose. data: cotangents of the places, matrices */
static int F(affine_matrices)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                              char* scratch) {
    int64_t const *size = geometry, dims = geometry[3], corners = geometry[4];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        T const* g = (T const*)data[0] + part * size[0] * size[1] * size[2] * dims;
        T* matrix = (T*)data[1] + part * dims * (dims + 1);
        double sums[12] = {0};
        for (int64_t i = 0; i < size[0]; i++)
            for (int64_t j = 0; j < size[1]; j++) {
                T const h = F(coordinate)(j, size[1], corners), e = F(coordinate)(i, size[0], corners);
                double sum[3] = {0}, moment[3] = {0};
                for (int64_t k = 0; k < size[2]; k++) {
                    T const c = F(coordinate)(k, size[2], corners);
                    for (int64_t d = 0; d < dims; d++, g++) {
                        sum[d] += *g;
                        moment[d] += *g * c;
                    }
                }
                for (int64_t d = 0; d < dims; d++) {
                    double* s = sums + d * (dims + 1);
                    s[0] += moment[d];
                    s[1] += h * sum[d];
                    if (dims == 3) s[2] += e * sum[d];
                    s[dims] += sum[d];
                }
            }
        for (int64_t d = 0; d < dims * (dims + 1); d++) matrix[d] = (T)sums[d];
    }
    return 0;
}

#undef F
#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
