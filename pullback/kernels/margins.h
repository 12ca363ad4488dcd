/* Losses by margins between classes. A template, included once for each number type; kinds.h has its terms.

   The input is seen as (N, C), of any steps. The geometry is that of ops/networks/margins.py:

       N, C, reduction, step of the result, steps of the input along N, C, of the target along N, C, then
       p, the margin's bits, whether there are weights, their step

   in bytes. A part is one of the N rows, or all if the loss is reduced. The status is 1 if a target is no
   class. */

#include "kinds.h"

#ifndef PB_MARGINS_H
#define PB_MARGINS_H
#define MARGIN_JOIN(name, type) pb_##name##_##type
#define MARGIN_NAMED(name, type) MARGIN_JOIN(name, type)
#define ABOVE(x) ((x) > 0 ? (x) : 0) /* NaN comes close to nothing */
enum { MARGIN_EACH, MARGIN_MEAN, MARGIN_LANES = 8 };

/* A row of targets as flags of the classes that are labels: how many there are, up to the first -1; less
   than 0 if one is no class. */
PB_INLINE int64_t pb_labels(char const* target, int64_t classes, int64_t step, char* is_label) {
    int64_t count = classes;
    memset(is_label, 0, classes);
    for (int64_t c = 0; c < classes; c++) {
        int64_t const t = *(int64_t const*)(target + c * step);
        if (t < -1 || t >= classes) return -1;
        if (t < 0 && c < count) count = c;
        if (c < count) is_label[t] = 1;
    }
    return count;
}
#endif

#define CLASS(x, c) (*(T const*)((x) + (c) * g[5]))

/* The sum of what n numbers come too close to `own` by, or of its squares. */
static PB_CLONES double MARGIN_NAMED(too_close, TYPE)(char const* x, int64_t n, int64_t step, T own, T margin,
                                                      int64_t p) {
    double lanes[MARGIN_LANES] = {0};
    T const* row = (T const*)x;
    int64_t i = 0, j;
    if (step == sizeof(T) && p == 1)
        for (; i + MARGIN_LANES <= n; i += MARGIN_LANES)
            for (j = 0; j < MARGIN_LANES; j++) lanes[j] += ABOVE(row[i + j] - own + margin);
    for (; i < n; i++) {
        T const away = *(T const*)(x + i * step) - own + margin, close = ABOVE(away);
        lanes[i % MARGIN_LANES] += p == 1 ? close : close * close;
    }
    for (j = 1; j < MARGIN_LANES; j++) lanes[0] += lanes[j];
    return lanes[0];
}

/* input, target, weight -> losses, or their mean or sum */
static int MARGIN_NAMED(multi_margin, TYPE)(int64_t const* g, char** data, int64_t begin, int64_t end,
                                            char* scratch) {
    int64_t const classes = g[1], each = g[2] == MARGIN_EACH, rows = each ? end : g[0];
    char* out = data[2 + g[10]];
    double margin, total = 0;
    memcpy(&margin, g + 9, sizeof margin);
    (void)scratch;
    for (int64_t n = begin; n < rows; n++) {
        char const* x = data[0] + n * g[4];
        int64_t const t = *(int64_t const*)(data[1] + n * g[6]);
        if (t < 0 || t >= classes) return 1;
        T const own = CLASS(x, t);
        double loss = MARGIN_NAMED(too_close, TYPE)(x, t, g[5], own, (T)margin, g[8]) +
                      MARGIN_NAMED(too_close, TYPE)(x + (t + 1) * g[5], classes - t - 1, g[5], own, (T)margin,
                                                    g[8]);
        if (g[10]) loss *= *(T const*)(data[2] + t * g[11]);
        if (each)
            *(T*)(out + n * g[3]) = (T)(loss / classes);
        else
            total += loss / classes;
    }
    if (!each) *(T*)out = (T)(g[2] == MARGIN_MEAN ? total / g[0] : total);
    return 0;
}

/* The classes of a row that are no labels, and their numbers. */
static int64_t MARGIN_NAMED(others, TYPE)(int64_t const* g, char const* x, char const* is_label,
                                          int64_t* places, T* numbers) {
    int64_t count = 0;
    for (int64_t c = 0; c < g[1]; c++)
        if (!is_label[c]) {
            places[count] = c;
            numbers[count++] = CLASS(x, c);
        }
    return count;
}

/* input, target -> losses, or their mean or sum */
static int MARGIN_NAMED(multilabel_margin, TYPE)(int64_t const* g, char** data, int64_t begin, int64_t end,
                                                 char* scratch) {
    int64_t const classes = g[1], each = g[2] == MARGIN_EACH, rows = each ? end : g[0];
    int64_t* places = (int64_t*)scratch;
    T* numbers = (T*)(places + classes);
    char* is_label = (char*)(numbers + classes);
    double total = 0;
    for (int64_t n = begin; n < rows; n++) {
        char const *x = data[0] + n * g[4], *target = data[1] + n * g[6];
        int64_t const labels = pb_labels(target, classes, g[7], is_label);
        if (labels < 0) return 1;
        int64_t const count = MARGIN_NAMED(others, TYPE)(g, x, is_label, places, numbers);
        double loss = 0;
        for (int64_t l = 0; l < labels; l++) {
            T const own = CLASS(x, *(int64_t const*)(target + l * g[7]));
            loss += MARGIN_NAMED(too_close, TYPE)((char*)numbers, count, sizeof(T), own, 1, 1);
        }
        if (each)
            *(T*)(data[2] + n * g[3]) = (T)(loss / classes);
        else
            total += loss / classes;
    }
    if (!each) *(T*)data[2] = (T)(g[2] == MARGIN_MEAN ? total / g[0] : total);
    return 0;
}

/* Adds one to the slope of each number that is too close to `own`: how many there are. */
static PB_CLONES double MARGIN_NAMED(mark_close, TYPE)(
    T const* PB_RESTRICT x, T* PB_RESTRICT slope, int64_t n, T own) {
    T lanes[MARGIN_LANES] = {0};
    int64_t i = 0, j;
    for (; i + MARGIN_LANES <= n; i += MARGIN_LANES)
        for (j = 0; j < MARGIN_LANES; j++) {
            T const close = 1 - own + x[i + j] > 0;
            slope[i + j] += close;
            lanes[j] += close;
        }
    for (; i < n; i++) {
        T const close = 1 - own + x[i] > 0;
        slope[i] += close;
        lanes[0] += close;
    }
    for (j = 1; j < MARGIN_LANES; j++) lanes[0] += lanes[j];
    return lanes[0];
}

/* input, target -> how many labels each class comes too close to, and minus the classes too close to each
   label, over the classes; the result is contiguous */
static int MARGIN_NAMED(multilabel_pairs, TYPE)(int64_t const* g, char** data, int64_t begin, int64_t end,
                                                char* scratch) {
    int64_t const classes = g[1];
    int64_t* places = (int64_t*)scratch;
    T *numbers = (T*)(places + classes), *slopes = numbers + classes;
    char* is_label = (char*)(slopes + classes);
    for (int64_t n = begin; n < end; n++) {
        char const *x = data[0] + n * g[4], *target = data[1] + n * g[6];
        T* out = (T*)data[2] + n * classes;
        int64_t const labels = pb_labels(target, classes, g[7], is_label);
        if (labels < 0) return 1;
        int64_t const count = MARGIN_NAMED(others, TYPE)(g, x, is_label, places, numbers);
        memset(out, 0, classes * sizeof(T));
        memset(slopes, 0, count * sizeof(T));
        for (int64_t l = 0; l < labels; l++) {
            int64_t const t = *(int64_t const*)(target + l * g[7]);
            out[t] -= (T)MARGIN_NAMED(mark_close, TYPE)(numbers, slopes, count, CLASS(x, t));
        }
        for (int64_t i = 0; i < count; i++) out[places[i]] = slopes[i];
        for (int64_t c = 0; c < classes; c++) out[c] /= classes;
    }
    return 0;
}

#undef CLASS
#include "kinds_end.h"
