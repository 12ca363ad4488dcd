/* Convolutions without columns: included once for float and double.

   The images lie as planes: padded with zeros, so that a window is the same places from its first one on
   wherever it stands, and with strides as several planes, one for each remainder, so that windows side by
   side are side by side in each plane. Then a tap of the kernel is one offset, and the results of an image
   are one long row of sums of products (tiles.h), whatever the dims; what is computed between two rows of
   windows is left out. A transposed convolution is several of these, one for each remainder of the places of
   its result, with the taps that reach them. Dims are three, of one place where there are fewer.
   ops/images/planes.py writes the geometries. */

#include "tile_sets.h"

#ifndef PB_CONVOLVE_H
#define PB_CONVOLVE_H
#define UNIT_ROWS 24 /* channels of a result whose weights are packed together: a multiple of all tiles */
#define CHUNK 192    /* places that are summed over at a time */
#define MORE_THAN_A_STRIP 128

#define TAPS 384     /* rows of strips that are copied at a time */

typedef struct {
    /* then the remainders of each phase */
    int64_t images, size[3], low[3], stride[3], plane[3], phases, channels;
} pb_field;

typedef struct {
    int64_t groups, channels, made, of_group, of_channel, of_made, phases;
} pb_packing;

typedef struct {
    int64_t groups, images, channels, made;  /* channels of a group, and those of its results */
    /* steps of the planes; elements, 0 if there is room after them */
    int64_t of_channel, of_image, readable;
    int64_t biased, size[3], stride[3];      /* of the results */
    int64_t pitch, plane;                    /* of the long row, by its rows and by its planes of them */
    int64_t phases, bands, band, shares;
    /* taps; rows of sums, elements of copies; whether strips are copied */
    int64_t most, held, copied, copies;
    /* where in the geometry there is one, if parts make their planes */
    int64_t field;
} pb_convolving;

typedef struct {
    int64_t taps, first[3], count[3];
} pb_phase;

typedef struct {
    int64_t groups, images, channels, made, of_channel, of_image, taps, count[3], pitch, plane, share;
} pb_summing;
#endif

/* The planes of one channel of an image. */
static PB_CLONES void TILED(planes_of)(pb_field const* f, T const* x, T* to) {
    int64_t const *n = f->size, *s = f->stride, *plane = f->plane, *phases = (int64_t const*)(f + 1);
    for (int64_t phase = 0; phase < f->phases; phase++) {
        int64_t const *at = phases + 3 * phase, shift = at[2] - f->low[2];
        int64_t low = shift < 0 ? (-shift + s[2] - 1) / s[2] : 0;
        int64_t high = shift < n[2] ? (n[2] - 1 - shift) / s[2] + 1 : 0;
        low = low < plane[2] ? low : plane[2];
        high = high < plane[2] ? high : plane[2];
        high = high > low ? high : low;
        for (int64_t row = 0; row < plane[0] * plane[1]; row++, to += plane[2]) {
            int64_t const i0 = row / plane[1] * s[0] + at[0] - f->low[0];
            int64_t const i1 = row % plane[1] * s[1] + at[1] - f->low[1];
            if (i0 < 0 || i0 >= n[0] || i1 < 0 || i1 >= n[1]) {
                memset(to, 0, plane[2] * sizeof(T));
                continue;
            }
            T const* from = x + (i0 * n[1] + i1) * n[2] + shift;
            for (int64_t j = 0; j < low; j++) to[j] = 0;
            if (s[2] == 1)
                memcpy(to + low, from + low, (high - low) * sizeof(T));
            else if (s[2] == 2)
                for (int64_t j = low; j < high; j++) to[j] = from[2 * j];
            else
                for (int64_t j = low; j < high; j++) to[j] = from[s[2] * j];
            for (int64_t j = high; j < plane[2]; j++) to[j] = 0;
        }
    }
}

/* Planes of images. The geometry: pb_field; a part is a channel of an image, which come first by channels.
   data: images, planes */
static int TILED(planes)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_field const* f = (pb_field const*)geometry;
    int64_t const volume = f->size[0] * f->size[1] * f->size[2];
    int64_t const room = f->phases * f->plane[0] * f->plane[1] * f->plane[2];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t const c = part / f->images, image = part % f->images;
        TILED(planes_of)(f, (T const*)data[0] + (image * f->channels + c) * volume,
                         (T*)data[1] + part * room);
    }
    return 0;
}

/* Weights in the order in which tiles read them. The geometry: pb_packing, of each phase its number of taps,
   then the taps of all; a part is a unit of a phase of a group. data: weights, packed weights */
static int TILED(pack)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_packing const* g = (pb_packing const*)geometry;
    TILED(set) const* set = TILED(best)();
    int64_t const *counts = geometry + sizeof *g / 8, units = (g->made + UNIT_ROWS - 1) / UNIT_ROWS;
    int64_t all = 0;
    (void)scratch;
    for (int64_t phase = 0; phase < g->phases; phase++) all += counts[phase];
    for (int64_t part = begin; part < end; part++) {
        int64_t const unit = part % units, phase = part / units % g->phases, group = part / units / g->phases;
        int64_t before = 0;
        for (int64_t i = 0; i < phase; i++) before += counts[i];
        int64_t const *taps = counts + g->phases + before, count = counts[phase];
        int64_t first = unit * UNIT_ROWS;
        int64_t const last = first + UNIT_ROWS < g->made ? first + UNIT_ROWS : g->made;
        T* to = (T*)data[1] + (group * all + before) * g->channels * g->made + first * g->channels * count;
        while (first < last) {
            int64_t const rows = set->tiles[TILED(tile_for)(set, last - first)].rows;
            T const* from = (T const*)data[0] + group * g->of_group + first * g->of_made;
            for (int64_t c = 0; c < g->channels; c++)
                for (int64_t t = 0; t < count; t++)
                    for (int64_t i = 0; i < rows; i++)
                        *to++ = from[c * g->of_channel + i * g->of_made + taps[t]];
            first += rows;
        }
    }
    return 0;
}

/* A stretch [begin, end) of a long row of sums to its places in the result, with a bias. */
static PB_CLONES void TILED(place)(T const* sums, T* result, pb_convolving const* g, pb_phase const* phase,
                                   int64_t begin, int64_t end, T bias) {
    int64_t const *n = phase->count, step = g->stride[2];
    int64_t i = begin / g->plane, j = (begin - i * g->plane) / g->pitch;
    while (i < n[0]) {
        if (j < n[1]) {
            int64_t const start = i * g->plane + j * g->pitch;
            int64_t const low = start > begin ? start : begin, high = start + n[2] < end ? start + n[2] : end;
            if (start >= end) return;
            T const* from = sums + low - begin;
            T* to = result + (i * g->stride[0] + phase->first[0]) * g->size[1] * g->size[2]
                    + (j * g->stride[1] + phase->first[1]) * g->size[2]
                    + phase->first[2] + (low - start) * step;
            if (step == 1)
                for (int64_t q = 0; q < high - low; q++) to[q] = from[q] + bias;
            else if (step == 2)
                for (int64_t q = 0; q < high - low; q++) to[2 * q] = from[q] + bias;
            else
                for (int64_t q = 0; q < high - low; q++) to[q * step] = from[q] + bias;
        }
        if (++j >= n[1]) i++, j = 0;
    }
}

/* A band of the long row of a phase, for an image of a group. */
typedef struct {
    pb_convolving const* g;
    pb_phase const* phase;
    int64_t begin, end, count, pitch;
    T const* planes;
    int64_t readable, reach; /* elements of the planes, the highest offset */
    int64_t *off, *beside;   /* of the taps of all channels; of rows that are copied */
    T *sums, *copied;
} TILED(stretch);

/* Rows of a strip, one after another; what lies beyond the images is left out. */
static void TILED(copy_rows)(TILED(stretch) const* p, int64_t k, int64_t count, int64_t from,
                             int64_t width, T* to) {
    TILED(set) const* set = TILED(best)();
    int64_t const n = p->end - from < width ? p->end - from : width;
    if (width == 2 * set->lanes && (!p->readable || from + p->reach + width <= p->readable))
        set->copy(p->planes + from, p->off + k, count, to);
    else
        for (int64_t i = 0; i < count; i++)
            memcpy(to + i * width, p->planes + p->off[k + i] + from, n * sizeof(T));
}

/* Rows of sums straight from the planes, but for strips that may reach beyond the images. */
static void TILED(straight)(TILED(stretch) const* p, int t, T const* w, T* sums) {
    TILED(set) const* set = TILED(best)();
    int64_t const width = set->tiles[t].width, strips = (p->end - p->begin + width - 1) / width;
    int64_t whole = strips;
    if (p->readable) {
        int64_t const within = (p->readable - p->reach - p->begin) / width;
        whole = within < 0 ? 0 : within < strips ? within : strips;
    }
    set->tiles[t].run(w, p->planes + p->begin, p->off, p->count, sums, p->pitch, whole, 0);
    for (int64_t s = whole; s < strips; s++)
        for (int64_t k = 0; k == 0 || k < p->count; k += TAPS) {
            int64_t const some = p->count - k < TAPS ? p->count - k : TAPS;
            for (int64_t i = 0; i < some; i++) p->beside[i] = i * width;
            TILED(copy_rows)(p, k, some, p->begin + s * width, width, p->copied);
            set->tiles[t].run(w + k * set->tiles[t].rows, p->copied, p->beside, some, sums + s * width,
                              p->pitch, 1, k > 0);
        }
}

/* How many channels the next tile takes: units do not share tiles. */
PB_INLINE int TILED(next)(TILED(set) const* set, int64_t at, int64_t last) {
    int64_t const unit = (at / UNIT_ROWS + 1) * UNIT_ROWS;
    return TILED(tile_for)(set, (unit < last ? unit : last) - at);
}

/* The sums of many channels, from strips that are copied once for all of them. */
static void TILED(by_copies)(TILED(stretch) const* p, T const* w, int64_t first, int64_t last) {
    TILED(set) const* set = TILED(best)();
    int64_t const width = 2 * set->lanes, strips = (p->end - p->begin + width - 1) / width;
    for (int64_t k = 0; k == 0 || k < p->count; k += TAPS) {
        int64_t const some = p->count - k < TAPS ? p->count - k : TAPS;
        for (int64_t s = 0; s < strips; s++)
            TILED(copy_rows)(p, k, some, p->begin + s * width, width, p->copied + s * some * width);
        for (int64_t at = first; at < last;) {
            int const t = TILED(next)(set, at, last);
            int64_t const rows = set->tiles[t].rows;
            T const* of = w + at * p->count;
            T* sums = p->sums + (at - first) * p->pitch;
            for (int64_t i = 0; i < some; i++) p->beside[i] = i * width;
            if (set->tiles[t].width == width)
                for (int64_t s = 0; s < strips; s++)
                    set->tiles[t].run(of + k * rows, p->copied + s * some * width, p->beside, some,
                                      sums + s * width, p->pitch, 1, k > 0);
            at += rows;
        }
    }
}

/* A stretch of the results of the channels [first, last), and their bias. */
static void TILED(band)(TILED(stretch) const* p, T const* w, int64_t first, int64_t last, T* result,
                        T const* bias) {
    TILED(set) const* set = TILED(best)();
    int64_t const volume = p->g->size[0] * p->g->size[1] * p->g->size[2], copies = p->g->copies;
    if (copies) TILED(by_copies)(p, w, first, last);
    for (int64_t at = first; at < last;) {
        int const t = TILED(next)(set, at, last);
        T* sums = p->sums + (copies ? (at - first) * p->pitch : 0);
        if (!copies || set->tiles[t].width != 2 * set->lanes) TILED(straight)(p, t, w + at * p->count, sums);
        for (int64_t i = 0; i < set->tiles[t].rows; i++, at++)
            TILED(place)(sums + i * p->pitch, result + at * volume, p->g, p->phase, p->begin, p->end,
                         bias ? bias[at] : 0);
    }
}

/* The results. The geometry: pb_convolving, of each phase a pb_phase, then the offsets of the taps of all,
   and a pb_field; a part is a band of a phase of an image of a group, or a share of its channels, or all of
   these where it makes its planes itself. data: planes or images, packed weights, results, and the bias if
   there is one */
static int TILED(convolve)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_convolving const* g = (pb_convolving const*)geometry;
    pb_phase const* phases = (pb_phase const*)(g + 1);
    pb_field const* field = g->field ? (pb_field const*)(geometry + g->field) : 0;
    int64_t const *taps = (int64_t const*)(phases + g->phases), volume = g->size[0] * g->size[1] * g->size[2];
    int64_t const units = (g->made + UNIT_ROWS - 1) / UNIT_ROWS, each = g->phases * g->bands * g->shares;
    int64_t all = 0;
    TILED(stretch) p = {g};
    p.off = (int64_t*)scratch;
    p.beside = p.off + g->most;
    p.pitch = g->band + MORE_THAN_A_STRIP;
    p.sums = (T*)(p.beside + TAPS);
    p.copied = p.sums + g->held * p.pitch;
    T* const own = p.copied + g->copied;
    for (int64_t i = 0; i < g->phases; i++) all += phases[i].taps;
    if (field) begin *= each, end *= each;
    for (int64_t part = begin; part < end; part++) {
        int64_t const share = part % g->shares, band = part / g->shares % g->bands;
        int64_t const number = part / g->shares / g->bands % g->phases;
        int64_t const image = part / each % g->images, group = part / each / g->images;
        int64_t const first = share * units / g->shares * UNIT_ROWS;
        int64_t const until = (share + 1) * units / g->shares * UNIT_ROWS,
            last = until < g->made ? until : g->made;
        int64_t const plane = group * g->channels * g->of_channel + image * g->of_image;
        int64_t before = 0, k = 0, length;
        p.planes = field ? own : (T const*)data[0] + plane;
        if (field && part % each == 0)
            for (int64_t c = 0; c < g->channels; c++)
                TILED(planes_of)(field, (T const*)data[0] + ((image * g->groups + group) * g->channels + c)
                                        * field->size[0] * field->size[1] * field->size[2],
                                     own + c * g->of_channel);
        p.phase = phases + number;
        length = (p.phase->count[0] - 1) * g->plane + (p.phase->count[1] - 1) * g->pitch + p.phase->count[2];
        p.begin = band * g->band;
        p.end = p.begin + g->band < length ? p.begin + g->band : length;
        p.count = g->channels * p.phase->taps;
        p.readable = g->readable ? g->readable - plane : 0;
        p.reach = 0;
        if (p.begin >= p.end || first >= last) continue;
        for (int64_t i = 0; i < number; i++) before += phases[i].taps;
        for (int64_t c = 0; c < g->channels; c++)
            for (int64_t t = 0; t < p.phase->taps; t++, k++) {
                p.off[k] = c * g->of_channel + taps[before + t];
                p.reach = p.off[k] > p.reach ? p.off[k] : p.reach;
            }
        TILED(band)(&p, (T const*)data[1] + (group * all + before) * g->channels * g->made, first, last,
                    (T*)data[2] + (image * g->groups + group) * g->made * volume,
                    g->biased ? (T const*)data[3] + group * g->made : 0);
    }
    return 0;
}

/* Results by blocks of channels, side by side. The geometry: pb_summing; a part is a block of an image of a
   group. data: results, blocks */
static PB_CLONES int TILED(side_by_side)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                         char* scratch) {
    pb_summing const* g = (pb_summing const*)geometry;
    int64_t const places = g->count[0] * g->count[1] * g->count[2], blocks = geometry[sizeof *g / 8];
    int64_t const lanes = geometry[sizeof *g / 8 + 1], room = geometry[sizeof *g / 8 + 2];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t const image = part % g->images, block = part / g->images % blocks;
        int64_t const group = part / g->images / blocks, first = block * 2 * lanes, left = g->made - first;
        int64_t const width = left > lanes ? 2 * lanes : lanes, n = left < width ? left : width;
        T const* from = (T const*)data[0] + ((image * g->groups + group) * g->made + first) * places;
        T* to = (T*)data[1] + group * room + (first * g->images + image * width) * places;
        for (int64_t p = 0; p < places; p += 16) {
            int64_t const some = places - p < 16 ? places - p : 16;
            for (int64_t i = 0; i < n; i++)
                for (int64_t q = 0; q < some; q++) to[(p + q) * width + i] = from[i * places + p + q];
            for (int64_t i = n; i < width; i++)
                for (int64_t q = 0; q < some; q++) to[(p + q) * width + i] = 0;
        }
    }
    return 0;
}

/* The weights that images and results have as their product. The geometry: pb_summing, blocks, lanes,
   elements of the blocks of a group, the offsets of the taps; a part is a share of the taps of all channels,
   of a block of a group. data: planes, blocks, weights */
static int TILED(sum_products)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                               char* scratch) {
    pb_summing const* g = (pb_summing const*)geometry;
    TILED(set) const* set = TILED(best)();
    int64_t const *more = geometry + sizeof *g / 8, blocks = more[0], lanes = more[1], room = more[2];
    int64_t const *taps = more + 3, *n = g->count, places = n[0] * n[1] * n[2], all = g->images * places;
    int64_t const count = g->channels * g->taps, shares = (count + g->share - 1) / g->share;
    int64_t* off = (int64_t*)scratch;
    T* sums = (T*)(off + g->share);
    for (int64_t part = begin; part < end; part++) {
        int64_t const share = part % shares, block = part / shares % blocks, group = part / shares / blocks;
        int64_t const low = share * g->share, high = low + g->share < count ? low + g->share : count;
        int64_t const first = block * 2 * lanes, left = g->made - first;
        int const vectors = left > lanes ? 2 : 1;
        int64_t const width = vectors * lanes;
        T const* x = (T const*)data[0] + group * g->channels * g->of_channel;
        T const* y = (T const*)data[1] + group * room + first * all;
        T* w = (T*)data[2] + (group * g->made + first) * count;
        int64_t at[CHUNK], image = 0, i = 0, j = 0, q = 0;
        for (int64_t k = low; k < high; k++) off[k - low] = k / g->taps * g->of_channel + taps[k % g->taps];
        memset(sums, 0, (high - low) * width * sizeof(T));
        for (int64_t p = 0; p < all; p += CHUNK) {
            int64_t const some = all - p < CHUNK ? all - p : CHUNK;
            for (int64_t c = 0; c < some; c++) {
                at[c] = image * g->of_image + i * g->plane + j * g->pitch + q;
                if (++q == n[2]) q = 0, j++;
                if (j == n[1]) j = 0, i++;
                if (i == n[0]) i = 0, image++;
            }
            for (int64_t k = 0; k < high - low;) {
                int t = 0;
                while (set->rows[t] > high - low - k) t++;
                set->sums[vectors - 1][t](x, off + k, y + p * width, at, some, sums + k * width);
                k += set->rows[t];
            }
        }
        for (int64_t c = 0; c < (left < width ? left : width); c++)
            for (int64_t k = low; k < high; k++) w[c * count + k] = sums[(k - low) * width + c];
    }
    return 0;
}

#include "levels_end.h"
