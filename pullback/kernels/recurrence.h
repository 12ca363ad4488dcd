/* Recurrent layers in one direction, forward and backward: included once for float and double.

   A layer goes over rows of all times, `sizes` of them at each: those of packed sequences become fewer. At
   each time the states' part of the gates is a product of the states with the matrix `w`; the inputs' part
   is given. A step is elementwise. What the formulas are says ops/networks/recurrent.py.

   The geometry: NumPy's loop of matrix products and what it is given, the kind, whether time runs backwards,
   flags, sequences, the width of the states, that of the cells, rows of all times, how many runs of times
   there are, {times, rows} of each. Widths differ where outputs are projected. Arrays are contiguous. There
   is one part. */

#include "steps.h"
#include "kinds.h"

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define F(name) PB_JOIN(name, TYPE)

#ifndef PB_RECURRENCE_H
#define PB_RECURRENCE_H
#define PB_SMALL 16384 /* multiplications up to which BLAS costs more than it saves */

enum { RNN_TANH, RNN_RELU, GRU, LSTM };
enum { BIASED = 1, PROJECTED = 2 };

typedef struct {
    int64_t loop, given, kind, reverse, flags, sequences, states, cells, rows, runs, sizes[];
} pb_layer;

PB_INLINE int64_t pb_gates(pb_layer const* g) {
    return g->cells * (g->kind == LSTM ? 4 : g->kind == GRU ? 3 : 1);
}

PB_INLINE int64_t pb_saves(pb_layer const* g) {
    return g->cells * (g->kind == LSTM ? 6 : g->kind == GRU ? 4 : 1);
}

/* Where the rows of the next time are, and how many: times in their order, or backwards */
typedef struct {
    int64_t run, left, at, rows;
} pb_time;

static pb_time pb_first_time(pb_layer const* g, int backwards) {
    pb_time t = {backwards ? g->runs : -1, 0, backwards ? g->rows : 0, 0};
    return t;
}

static int pb_next_time(pb_layer const* g, int backwards, pb_time* t) {
    if (!backwards) t->at += t->rows;
    while (!t->left) {
        t->run += backwards ? -1 : 1;
        if (t->run < 0 || t->run == g->runs) return 0;
        t->left = g->sizes[2 * t->run];
        t->rows = g->sizes[2 * t->run + 1];
    }
    t->left--;
    if (backwards) t->at -= t->rows;
    return 1;
}
#endif

#if KIND == FLOAT64
#define EXPM1_BELOW pb_expm1_below_double
#else
#define EXPM1_BELOW pb_expm1_below_float
#endif

PB_INLINE T F(sigmoid)(T x) { return 1 / (1 + EXP_OF(-x)); }

PB_INLINE T F(bent)(T x) {
    T const e = EXPM1_BELOW(-2 * (x < 0 ? -x : x)), y = e / (2 + e);
    return x < 0 ? y : -y;
}

/* ------------------------------------------------------------------------------------- products */

/* c[m, n] = a[m, k] b[k, n], all of them row by row */
static PB_CLONES void F(short_product)(T const* a, T const* b, T* PB_RESTRICT c, int64_t m, int64_t k,
                                       int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        T* row = c + i * n;
        T const* by = a + i * k;
        int64_t l = 0;
        for (int64_t j = 0; j < n; j++) row[j] = 0;
        for (; l + 4 <= k; l += 4) {
            T const *p = b + l * n, *q = p + n, *r = q + n, *s = r + n;
            for (int64_t j = 0; j < n; j++)
                row[j] += (by[l] * p[j] + by[l + 1] * q[j]) + (by[l + 2] * r[j] + by[l + 3] * s[j]);
        }
        for (; l < k; l++)
            for (int64_t j = 0; j < n; j++) row[j] += by[l] * b[l * n + j];
    }
}

/* c[k, n] = a[m, k]' b[m, n] */
static PB_CLONES void F(short_outer)(T const* a, T const* b, T* PB_RESTRICT c, int64_t m, int64_t k,
                                     int64_t n) {
    for (int64_t l = 0; l < k * n; l++) c[l] = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++) {
            T const by = a[i * k + l];
            for (int64_t j = 0; j < n; j++) c[l * n + j] += by * b[i * n + j];
        }
}

/* By BLAS: c[m, n], where the steps of a and b are those of their dims m and k, k and n */
static void F(blas)(pb_layer const* g, T const* a, int64_t am, int64_t ak, T const* b, int64_t bk,
                    int64_t bn, T* c, int64_t m, int64_t k, int64_t n) {
    int64_t const item = sizeof(T);
    char* at[3] = {(char*)a, (char*)b, (char*)c};
    npy_intp const dims[4] = {1, m, k, n};
    npy_intp const steps[9] = {0, 0, 0, am * item, ak * item, bk * item, bn * item, n * item, item};
    ((pb_loop)(intptr_t)g->loop)(at, dims, steps, (void*)(intptr_t)g->given);
}

static void F(multiply)(pb_layer const* g, T const* a, T const* b, T* c, int64_t m, int64_t k, int64_t n) {
    if (m * k * n <= PB_SMALL)
        F(short_product)(a, b, c, m, k, n);
    else
        F(blas)(g, a, k, 1, b, n, 1, c, m, k, n);
}

/* By the transpose of b[n, k]; where `turned` is memory, that is there already */
static void F(multiply_turned)(pb_layer const* g, T const* a, T const* b, T const* turned, T* c, int64_t m,
                               int64_t k, int64_t n) {
    if (turned)
        F(short_product)(a, turned, c, m, k, n);
    else
        F(blas)(g, a, k, 1, b, 1, k, c, m, k, n);
}

static void F(outer)(pb_layer const* g, T const* a, T const* b, T* c, int64_t m, int64_t k, int64_t n) {
    if (m * k * n <= PB_SMALL)
        F(short_outer)(a, b, c, m, k, n);
    else
        F(blas)(g, a, 1, k, b, n, 1, c, k, m, n);
}

/* The transpose of b[n, k] in `room`, where products of m rows are made here; else NULL */
static T const* F(turned)(T const* b, T* room, int64_t m, int64_t k, int64_t n) {
    if (m * k * n > PB_SMALL) return NULL;
    for (int64_t l = 0; l < k; l++)
        for (int64_t j = 0; j < n; j++) room[l * n + j] = b[j * k + l];
    return room;
}

/* ---------------------------------------------------------------------------------------- steps */

/* Of n cells: x and h are the parts of the gates, `before` the state, y the output, s what is saved */
static PB_CLONES void F(rnn_step)(T const* PB_RESTRICT x, T const* PB_RESTRICT h, T* PB_RESTRICT y,
                                  T* PB_RESTRICT s, int64_t n, int tanh) {
    if (tanh)
        for (int64_t j = 0; j < n; j++) s[j] = y[j] = F(bent)(x[j] + h[j]);
    else
        for (int64_t j = 0; j < n; j++) {
            T const a = x[j] + h[j];
            s[j] = y[j] = IS_NAN(a) ? a : a > 0 ? a : 0;
        }
}

static PB_CLONES void F(gru_step)(T const* PB_RESTRICT x, T const* PB_RESTRICT h, T const* PB_RESTRICT before,
                                  T* PB_RESTRICT y, T* PB_RESTRICT s, int64_t n) {
    for (int64_t j = 0; j < 2 * n; j++) s[j] = F(sigmoid)(x[j] + h[j]);
    for (int64_t j = 0; j < n; j++) {
        T const kept = h[2 * n + j], fresh = F(bent)(x[2 * n + j] + s[j] * kept);
        s[2 * n + j] = fresh;
        s[3 * n + j] = kept;
        y[j] = fresh + s[n + j] * (before[j] - fresh);
    }
}

static PB_CLONES void F(lstm_step)(T const* PB_RESTRICT x, T const* PB_RESTRICT h, T* PB_RESTRICT c,
                                   T* PB_RESTRICT y, T* PB_RESTRICT s, int64_t n) {
    for (int64_t j = 0; j < 2 * n; j++) s[j] = F(sigmoid)(x[j] + h[j]);
    for (int64_t j = 2 * n; j < 3 * n; j++) s[j] = F(bent)(x[j] + h[j]);
    for (int64_t j = 3 * n; j < 4 * n; j++) s[j] = F(sigmoid)(x[j] + h[j]);
    for (int64_t j = 0; j < n; j++) {
        T const old = c[j], cell = s[n + j] * old + s[j] * s[2 * n + j], bent = F(bent)(cell);
        s[4 * n + j] = bent;
        s[5 * n + j] = old;
        c[j] = cell;
        y[j] = s[3 * n + j] * bent;
    }
}

/* Of n cells: dh is the output's gradient, dc that of the cell and then of the cell before; the gradients of
   the gates' parts go to x and h (the same but for gru), that of the state past the gates of gru to dh */
static PB_CLONES void F(rnn_back)(T const* PB_RESTRICT dh, T const* PB_RESTRICT s, T* PB_RESTRICT x,
                                  int64_t n, int tanh) {
    if (tanh)
        for (int64_t j = 0; j < n; j++) x[j] = dh[j] * (1 - s[j] * s[j]);
    else
        for (int64_t j = 0; j < n; j++) x[j] = s[j] > 0 ? dh[j] : 0 * dh[j];
}

static PB_CLONES void F(gru_back)(T* PB_RESTRICT dh, T const* PB_RESTRICT s, T const* PB_RESTRICT before,
                                  T* PB_RESTRICT x, T* PB_RESTRICT h, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        T const r = s[j], z = s[n + j], fresh = s[2 * n + j], kept = s[3 * n + j];
        T const d = dh[j] * (1 - z) * (1 - fresh * fresh);
        T const dr = d * kept * (r * (1 - r)), dz = dh[j] * (before[j] - fresh) * (z * (1 - z));
        x[j] = h[j] = dr;
        x[n + j] = h[n + j] = dz;
        x[2 * n + j] = d;
        h[2 * n + j] = d * r;
        dh[j] *= z;
    }
}

static PB_CLONES void F(lstm_back)(T const* PB_RESTRICT dh, T* PB_RESTRICT dc, T const* PB_RESTRICT s,
                                   T* PB_RESTRICT x, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        T const i = s[j], f = s[n + j], g = s[2 * n + j], o = s[3 * n + j], bent = s[4 * n + j];
        T const d = dc[j] + dh[j] * o * (1 - bent * bent);
        x[j] = d * g * (i * (1 - i));
        x[n + j] = d * s[5 * n + j] * (f * (1 - f));
        x[2 * n + j] = d * i * (1 - g * g);
        x[3 * n + j] = dh[j] * bent * (o * (1 - o));
        dc[j] = d * f;
    }
}

static PB_CLONES void F(add)(T* PB_RESTRICT y, T const* PB_RESTRICT x, int64_t n) {
    for (int64_t j = 0; j < n; j++) y[j] += x[j];
}

/* --------------------------------------------------------------------------------------- layers */

/* data: inputs' part of the gates, first states, first cells, w, bias of the states' part, projection; then
   outputs, last states, last cells, the states before, what is saved. What is not there is not read. */
static int F(recurrence)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_layer const* g = (pb_layer const*)geometry;
    int64_t const states = g->states, cells = g->cells, gates = pb_gates(g), saves = pb_saves(g);
    int64_t const whole = g->sequences, projected = g->flags & PROJECTED;
    T const *w = (T const*)data[3], *bias = (T const*)data[4], *project = (T const*)data[5];
    T *last = (T*)data[7], *cell = (T*)data[8];
    T *hidden = (T*)scratch, *fresh = hidden + whole * gates, *room = fresh + whole * cells;
    T const* turned = F(turned)(w, room, whole, states, gates);
    T const* down = projected ? F(turned)(project, room + states * gates, whole, cells, states) : NULL;
    int const backwards = g->reverse != 0;
    pb_time t = pb_first_time(g, backwards);
    (void)begin, (void)end;
    memcpy(last, data[1], whole * states * sizeof(T));
    if (g->kind == LSTM) memcpy(cell, data[2], whole * cells * sizeof(T));
    while (pb_next_time(g, backwards, &t)) {
        T const* x = (T const*)data[0] + t.at * gates;
        T *out = (T*)data[6] + t.at * states, *before = (T*)data[9] + t.at * states;
        T *y = projected ? fresh : out, *saved = (T*)data[10] + t.at * saves;
        memcpy(before, last, t.rows * states * sizeof(T));
        F(multiply_turned)(g, last, w, turned, hidden, t.rows, states, gates);
        for (int64_t i = 0; i < t.rows; i++) {
            T *h = hidden + i * gates, *s = saved + i * saves;
            if (g->flags & BIASED) F(add)(h, bias, gates);
            if (g->kind == LSTM)
                F(lstm_step)(x + i * gates, h, cell + i * cells, y + i * cells, s, cells);
            else if (g->kind == GRU)
                F(gru_step)(x + i * gates, h, before + i * states, y + i * cells, s, cells);
            else
                F(rnn_step)(x + i * gates, h, y + i * cells, s, cells, g->kind == RNN_TANH);
        }
        if (projected) F(multiply_turned)(g, y, project, down, out, t.rows, cells, states);
        memcpy(last, out, t.rows * states * sizeof(T));
    }
    return 0;
}

/* data: the gradients of outputs, last states and last cells, the states before, what was saved, w,
   projection; then the gradients of the inputs' part, first states, first cells, w, bias, projection */
static int F(recurrence_slope)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                               char* scratch) {
    pb_layer const* g = (pb_layer const*)geometry;
    int64_t const states = g->states, cells = g->cells, gates = pb_gates(g), saves = pb_saves(g);
    int64_t const whole = g->sequences, projected = g->flags & PROJECTED;
    T const *befores = (T const*)data[3], *tape = (T const*)data[4], *w = (T const*)data[5];
    T const* project = (T const*)data[6];
    T *outer = (T*)data[7], *gh = (T*)data[8], *gc = (T*)data[9];
    T *inner = g->kind == GRU ? (T*)scratch : outer,
        *room = (T*)scratch + (g->kind == GRU ? g->rows * gates : 0);
    T *slope = room, *down = slope + whole * cells, *heads = down + whole * states,
        *ys = heads + g->rows * states;
    int const backwards = g->reverse == 0;
    pb_time t = pb_first_time(g, backwards);
    (void)begin, (void)end;
    memcpy(gh, data[1], whole * states * sizeof(T));
    if (g->kind == LSTM) memcpy(gc, data[2], whole * cells * sizeof(T));
    while (pb_next_time(g, backwards, &t)) {
        T *x = outer + t.at * gates, *h = inner + t.at * gates;
        T const *saved = tape + t.at * saves, *before = befores + t.at * states;
        F(add)(gh, (T const*)data[0] + t.at * states, t.rows * states);
        if (projected) {
            memcpy(heads + t.at * states, gh, t.rows * states * sizeof(T));
            F(multiply)(g, gh, project, slope, t.rows, states, cells);
        }
        for (int64_t i = 0; i < t.rows; i++) {
            T const* s = saved + i * saves;
            T* dh = projected ? slope + i * cells : gh + i * states;
            if (g->kind == LSTM)
                F(lstm_back)(dh, gc + i * cells, s, x + i * gates, cells);
            else if (g->kind == GRU)
                F(gru_back)(dh, s, before + i * states, x + i * gates, h + i * gates, cells);
            else
                F(rnn_back)(dh, s, x + i * gates, cells, g->kind == RNN_TANH);
            if (projected)
                for (int64_t j = 0; j < cells; j++)
                    ys[(t.at + i) * cells + j] = s[3 * cells + j] * s[4 * cells + j];
        }
        F(multiply)(g, h, w, down, t.rows, gates, states);
        if (g->kind == GRU)
            F(add)(gh, down, t.rows * states);
        else
            memcpy(gh, down, t.rows * states * sizeof(T));
    }
    F(outer)(g, inner, befores, (T*)data[10], g->rows, gates, states);
    if (projected) F(outer)(g, heads, ys, (T*)data[12], g->rows, states, cells);
    if (g->flags & BIASED) {
        memset(data[11], 0, gates * sizeof(T));
        for (int64_t i = 0; i < g->rows; i++) F(add)((T*)data[11], inner + i * gates, gates);
    }
    return 0;
}

#undef EXPM1_BELOW
#undef F
#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
