/* Discrete Fourier transforms of many lines: see for_each_real.h for PB_REAL and F.

   LANES lines are transformed side by side: element k of each stands in one row of `re` and of `im`, so
   that all arithmetic is vector code, whatever the number of points. The points are taken apart by factors
   of eight, four, two and odd primes, each stage from one half of the room into the other, in order
   (Stockham; Cochran et al. 1967). A real line of even length is a complex one of half of it, taken apart
   afterwards.

   The geometry: what (below), points n, points of a line read and written, a factor's bits, how many prime
   factors and these, steps of a line read and written, lanes, steps from one to the next, leading dims,
   {size, steps of both} of each; then the n-th roots of one, to the power of the direction, as PB_REAL. A
   part is a block of LANES lines. Read the last function first. */

#define LANES (64 / (int)sizeof(PB_REAL))
#define ROW(k) ((k) * LANES)

#ifndef PB_FFT
#define PB_FFT
enum { COMPLEX, REAL_TO_HALF, REAL_TO_ALL, HALF_TO_REAL };

/* Four by four numbers of eight bytes, turned. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define PB_TURN_FOUR
typedef uint64_t pb_four __attribute__((vector_size(32)));
PB_INLINE void pb_turn_four(char const* from, int64_t step, char* to, int64_t pitch) {
    pb_four x[4], y[4];
    for (int i = 0; i < 4; i++) memcpy(&x[i], from + i * step, sizeof *x);
    for (int i = 0; i < 4; i += 2) {
        y[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 4, 2, 6);
        y[i + 1] = __builtin_shufflevector(x[i], x[i + 1], 1, 5, 3, 7);
    }
    for (int i = 0; i < 2; i++) {
        x[i] = __builtin_shufflevector(y[i], y[i + 2], 0, 1, 4, 5);
        x[i + 2] = __builtin_shufflevector(y[i], y[i + 2], 2, 3, 6, 7);
    }
    for (int i = 0; i < 4; i++) memcpy(to + i * pitch, &x[i], sizeof *x);
}
#endif
#endif
#endif

typedef struct { PB_REAL re, im; } F(pair);
typedef struct { PB_REAL *re, *im; } F(rows);

/* How a block lies in memory: {steps along a line and from line to line} in bytes, lines. */
typedef struct { int64_t along, across, lines; } F(lying);

/* n pairs of each of some lines, copied to where they are `pitch` and `step` apart: as rows of the room,
   or back. */
PB_INLINE void F(turn)(char const* from, int64_t along, int64_t across, char* to, int64_t step, int64_t pitch,
                       int64_t n, int64_t lines) {
    int64_t k = 0;
#ifdef PB_TURN_FOUR
    if (sizeof(F(pair)) == 8 && lines % 4 == 0 && along == 8 && pitch == 8)
        for (; k + 4 <= n; k += 4)
            for (int64_t v = 0; v < lines; v += 4)
                pb_turn_four(from + v * across + k * along, across, to + k * step + v * pitch, step);
    if (sizeof(F(pair)) == 8 && lines % 4 == 0 && across == 8 && step == 8)
        for (; k + 4 <= n; k += 4)
            for (int64_t v = 0; v < lines; v += 4)
                pb_turn_four(from + k * along + v * across, along, to + v * pitch + k * step, pitch);
#endif
    for (; k < n; k++)
        for (int64_t v = 0; v < lines; v++)
            *(F(pair)*)(to + k * step + v * pitch) = *(F(pair) const*)(from + k * along + v * across);
}

/* Complex numbers, or reals in pairs `apart` bytes from each other, as rows. */
static PB_CLONES void F(load)(char const* from, F(lying) s, int64_t apart, int64_t n, F(rows) to,
                              F(pair)* room) {
    if (s.lines == LANES && apart == sizeof(PB_REAL) && s.across == sizeof *room) { /* rows as they are */
        for (int64_t k = 0; k < n; k++) {
            PB_REAL const* x = (PB_REAL const*)(from + k * s.along);
            PB_REAL *PB_RESTRICT re = to.re + ROW(k), *PB_RESTRICT im = to.im + ROW(k);
            ONE_BY_ONE for (int v = 0; v < LANES; v++) re[v] = x[2 * v], im[v] = x[2 * v + 1];
        }
        return;
    }
    if (s.lines < LANES) memset(room, 0, ROW(n) * sizeof *room);
    if (apart == sizeof(PB_REAL)) {
        F(turn)(from, s.along, s.across, (char*)room, ROW(1) * sizeof *room, sizeof *room, n, s.lines);
    } else
        for (int64_t k = 0; k < n; k++)
            for (int64_t v = 0; v < s.lines; v++) {
                char const* at = from + k * s.along + v * s.across;
                room[ROW(k) + v].re = *(PB_REAL const*)at;
                room[ROW(k) + v].im = *(PB_REAL const*)(at + apart);
            }
    PB_INDEPENDENT
    for (int64_t i = 0; i < ROW(n); i++) to.re[i] = room[i].re, to.im[i] = room[i].im;
}

static PB_CLONES void F(store)(F(rows) from, PB_REAL factor, int64_t n, char* to, F(lying) s, int64_t apart,
                               F(pair)* room) {
    if (s.lines == LANES && apart == sizeof(PB_REAL) && s.across == sizeof *room) {
        for (int64_t k = 0; k < n; k++) {
            PB_REAL* x = (PB_REAL*)(to + k * s.along);
            PB_REAL const *PB_RESTRICT re = from.re + ROW(k), *PB_RESTRICT im = from.im + ROW(k);
            ONE_BY_ONE for (int v = 0; v < LANES; v++)
                x[2 * v] = re[v] * factor, x[2 * v + 1] = im[v] * factor;
        }
        return;
    }
    for (int64_t i = 0; i < ROW(n); i++) room[i].re = from.re[i] * factor, room[i].im = from.im[i] * factor;
    if (apart == sizeof(PB_REAL)) {
        F(turn)((char*)room, ROW(1) * sizeof *room, sizeof *room, to, s.along, s.across, n, s.lines);
    } else
        for (int64_t k = 0; k < n; k++)
            for (int64_t v = 0; v < s.lines; v++) {
                char* at = to + k * s.along + v * s.across;
                *(PB_REAL*)at = room[ROW(k) + v].re;
                *(PB_REAL*)(at + apart) = room[ROW(k) + v].im;
            }
}

/* Reals of which no two are taken together. */
static void F(load_reals)(char const* from, F(lying) s, int64_t n, F(rows) to) {
    memset(to.re, 0, ROW(n) * sizeof *to.re);
    memset(to.im, 0, ROW(n) * sizeof *to.im);
    for (int64_t k = 0; k < n; k++)
        for (int64_t v = 0; v < s.lines; v++)
            to.re[ROW(k) + v] = *(PB_REAL const*)(from + k * s.along + v * s.across);
}

static void F(store_reals)(F(rows) from, PB_REAL factor, int64_t n, char* to, F(lying) s) {
    for (int64_t k = 0; k < n; k++)
        for (int64_t v = 0; v < s.lines; v++)
            *(PB_REAL*)(to + k * s.along + v * s.across) = from.re[ROW(k) + v] * factor;
}

#define EACH_LANE for (int v = 0; v < LANES; v++)
#define QUARTERS                                                                                        \
    PB_REAL const acr = ar[v] + cr[v], aci = ai[v] + ci[v], amr = ar[v] - cr[v], ami = ai[v] - ci[v];   \
    PB_REAL const bdr = br[v] + dr[v], bdi = bi[v] + di[v];                                             \
    PB_REAL const jr = sign * (bi[v] - di[v]), ji = sign * (dr[v] - br[v]);                             \
    PB_REAL const r1 = amr + jr, i1 = ami + ji, r2 = acr - bdr, i2 = aci - bdi;                         \
    PB_REAL const r3 = amr - jr, i3 = ami - ji;                                                         \
    yr[v] = acr + bdr, yi[v] = aci + bdi

/* A stage of a factor r: `done` points were taken together before, m = n / (done r) are left apart. Reads
   rows p + m j of `done` each, writes rows r p + k, times the root's power p k. `by` is the step from one
   n-th root to the next in the table. */
static PB_CLONES void F(by_four)(F(rows) x, F(rows) y, int64_t done, int64_t m, PB_REAL const* w, int64_t by,
                                 PB_REAL sign) {
    int64_t const span = ROW(done);
    for (int64_t p = 0; p < m; p++) {
        PB_REAL const *w1 = w + 2 * by * done * p, *w2 = w + 4 * by * done * p, *w3 = w + 6 * by * done * p;
        PB_REAL const c1 = w1[0], s1 = w1[1], c2 = w2[0], s2 = w2[1];
        PB_REAL const c3 = w3[0], s3 = w3[1];
        for (int64_t t = 0; t < span; t += LANES) {
            PB_REAL const *ar = x.re + p * span + t, *br = ar + m * span, *cr = br + m * span;
            PB_REAL const *ai = x.im + p * span + t, *bi = ai + m * span, *ci = bi + m * span;
            PB_REAL const *dr = cr + m * span, *di = ci + m * span;
            PB_REAL *PB_RESTRICT yr = y.re + 4 * p * span + t, *PB_RESTRICT yi = y.im + 4 * p * span + t;
            if (p == 0) {
                PB_INDEPENDENT ONE_BY_ONE EACH_LANE {
                    QUARTERS;
                    yr[v + span] = r1, yi[v + span] = i1;
                    yr[v + 2 * span] = r2, yi[v + 2 * span] = i2;
                    yr[v + 3 * span] = r3, yi[v + 3 * span] = i3;
                }
            } else {
                PB_INDEPENDENT ONE_BY_ONE EACH_LANE {
                    QUARTERS;
                    yr[v + span] = r1 * c1 - i1 * s1, yi[v + span] = r1 * s1 + i1 * c1;
                    yr[v + 2 * span] = r2 * c2 - i2 * s2, yi[v + 2 * span] = r2 * s2 + i2 * c2;
                    yr[v + 3 * span] = r3 * c3 - i3 * s3, yi[v + 3 * span] = r3 * s3 + i3 * c3;
                }
            }
        }
    }
}

/* Four of the rows of a factor of eight: their sums, by the fourth roots of one. */
#define RE(k) xr[k * apart + v]
#define IM(k) xi[k * apart + v]
#define FOURTHS(z, a, b, c, d)                                                                               \
    PB_REAL const z##acr = RE(a) + RE(c), z##aci = IM(a) + IM(c), z##amr = RE(a) - RE(c);                    \
    PB_REAL const z##ami = IM(a) - IM(c), z##bdr = RE(b) + RE(d), z##bdi = IM(b) + IM(d);                    \
    PB_REAL const z##jr = sign * (IM(b) - IM(d)), z##ji = sign * (RE(d) - RE(b));                            \
    PB_REAL const z##r0 = z##acr + z##bdr, z##i0 = z##aci + z##bdi, z##r1 = z##amr + z##jr;                  \
    PB_REAL const z##i1 = z##ami + z##ji, z##r2 = z##acr - z##bdr, z##i2 = z##aci - z##bdi;                  \
    PB_REAL const z##r3 = z##amr - z##jr, z##i3 = z##ami - z##ji
#define PUT(k, re, im)                                                                                       \
    do {                                                                                                     \
        PB_REAL const r = re, i = im;                                                                        \
        yr[k * span + v] = first ? r : r * c[k] - i * s[k];                                                  \
        yi[k * span + v] = first ? i : r * s[k] + i * c[k];                                                  \
    } while (0)

/* One p of a stage of eight; the `first` has roots that are one. */
PB_INLINE void F(eight)(PB_REAL const* xr, PB_REAL const* xi, PB_REAL* PB_RESTRICT yr,
                        PB_REAL* PB_RESTRICT yi, int64_t span, int64_t apart, PB_REAL const* c,
                        PB_REAL const* s, PB_REAL sign, int first) {
    PB_REAL const half = (PB_REAL)0.70710678118654752440;
    for (int64_t t = 0; t < span; t += LANES, xr += LANES, xi += LANES, yr += LANES, yi += LANES)
        PB_INDEPENDENT ONE_BY_ONE EACH_LANE {
            FOURTHS(e, 0, 2, 4, 6);
            FOURTHS(o, 1, 3, 5, 7);
            PB_REAL const r1 = half * (or1 + sign * oi1), i1 = half * (oi1 - sign * or1);
            PB_REAL const r2 = sign * oi2, i2 = -sign * or2;
            PB_REAL const r3 = half * (sign * oi3 - or3), i3 = -half * (oi3 + sign * or3);
            PUT(0, er0 + or0, ei0 + oi0);
            PUT(1, er1 + r1, ei1 + i1);
            PUT(2, er2 + r2, ei2 + i2);
            PUT(3, er3 + r3, ei3 + i3);
            PUT(4, er0 - or0, ei0 - oi0);
            PUT(5, er1 - r1, ei1 - i1);
            PUT(6, er2 - r2, ei2 - i2);
            PUT(7, er3 - r3, ei3 - i3);
        }
}

static PB_CLONES void F(by_eight)(F(rows) x, F(rows) y, int64_t done, int64_t m, PB_REAL const* w, int64_t by,
                                  PB_REAL sign) {
    int64_t const span = ROW(done), apart = m * span;
    for (int64_t p = 0; p < m; p++) {
        PB_REAL const *xr = x.re + p * span, *xi = x.im + p * span;
        PB_REAL *yr = y.re + 8 * p * span, *yi = y.im + 8 * p * span, c[8], s[8];
        for (int k = 0; k < 8; k++) c[k] = w[2 * k * by * done * p], s[k] = w[2 * k * by * done * p + 1];
        if (p)
            F(eight)(xr, xi, yr, yi, span, apart, c, s, sign, 0);
        else
            F(eight)(xr, xi, yr, yi, span, apart, c, s, sign, 1);
    }
}
#undef RE
#undef IM
#undef FOURTHS
#undef PUT

static PB_CLONES void F(by_two)(F(rows) x, F(rows) y, int64_t done, int64_t m, PB_REAL const* w, int64_t by) {
    int64_t const span = ROW(done);
    for (int64_t p = 0; p < m; p++) {
        PB_REAL const* w1 = w + 2 * by * done * p;
        PB_REAL const c = w1[0], s = w1[1];
        for (int64_t t = 0; t < span; t += LANES) {
            PB_REAL const *ar = x.re + p * span + t, *br = ar + m * span;
            PB_REAL const *ai = x.im + p * span + t, *bi = ai + m * span;
            PB_REAL *PB_RESTRICT yr = y.re + 2 * p * span + t, *PB_RESTRICT yi = y.im + 2 * p * span + t;
            PB_INDEPENDENT ONE_BY_ONE EACH_LANE {
                PB_REAL const r = ar[v] - br[v], i = ai[v] - bi[v];
                yr[v] = ar[v] + br[v], yi[v] = ai[v] + bi[v];
                yr[v + span] = p ? r * c - i * s : r, yi[v + span] = p ? r * s + i * c : i;
            }
        }
    }
}

#define WITHIN(k) ((k) < r ? (k) : (k) - r)

/* To a row, four further ones times a number each. */
PB_INLINE void F(add_four)(PB_REAL* PB_RESTRICT y, PB_REAL const (*x)[LANES], PB_REAL a, PB_REAL b, PB_REAL c,
                           PB_REAL d) {
    PB_INDEPENDENT ONE_BY_ONE EACH_LANE y[v] += (x[0][v] * a + x[1][v] * b) + (x[2][v] * c + x[3][v] * d);
}

/* An odd factor up to 127: of x_j + x_(r-j) only the cosines are needed, of x_j - x_(r-j) the sines. Four
   j are taken at a time, since what they are added to lies in memory. */
static PB_CLONES void F(by_odd)(F(rows) x, F(rows) y, int64_t done, int64_t m, PB_REAL const* w, int64_t by,
                                int64_t r) {
    int64_t const span = ROW(done), n = done * m * r, half = r / 2, root = n / r;
    PB_REAL cosine[128], sine[128];
    for (int64_t j = 0; j < r; j++)
        cosine[j] = w[2 * by * root * j], sine[j] = w[2 * by * root * j + 1];
    PB_REAL sr[68][LANES], si[68][LANES], dr[68][LANES], di[68][LANES];
    for (int64_t j = half + 1; j < half + 4; j++) EACH_LANE sr[j][v] = si[j][v] = dr[j][v] = di[j][v] = 0;
    for (int64_t p = 0; p < m; p++)
        for (int64_t t = 0; t < span; t += LANES) {
            PB_REAL const *xr = x.re + p * span + t, *xi = x.im + p * span + t;
            PB_REAL *yr = y.re + r * p * span + t, *yi = y.im + r * p * span + t;
            PB_REAL total_r[LANES], total_i[LANES];
            EACH_LANE total_r[v] = xr[v], total_i[v] = xi[v];
            for (int64_t j = 1; j <= half; j++) {
                int64_t const one = j * m * span, other = (r - j) * m * span;
                EACH_LANE {
                    sr[j][v] = xr[one + v] + xr[other + v], si[j][v] = xi[one + v] + xi[other + v];
                    dr[j][v] = xr[one + v] - xr[other + v], di[j][v] = xi[one + v] - xi[other + v];
                    total_r[v] += sr[j][v], total_i[v] += si[j][v];
                }
            }
            EACH_LANE yr[v] = total_r[v], yi[v] = total_i[v];
            for (int64_t k = 1; k <= half; k++) {
                PB_REAL cr[LANES], ci[LANES], er[LANES] = {0}, ei[LANES] = {0};
                int64_t dt = 0;
                EACH_LANE cr[v] = xr[v], ci[v] = xi[v];
                for (int64_t j = 1; j <= half; j += 4) {
                    int64_t const at = WITHIN(dt + k), bt = WITHIN(at + k), ct = WITHIN(bt + k);
                    dt = WITHIN(ct + k);
                    PB_REAL const c1 = cosine[at], c2 = cosine[bt], c3 = cosine[ct], c4 = cosine[dt];
                    PB_REAL const s1 = sine[at], s2 = sine[bt], s3 = sine[ct], s4 = sine[dt];
                    F(add_four)(cr, sr + j, c1, c2, c3, c4), F(add_four)(ci, si + j, c1, c2, c3, c4);
                    F(add_four)(er, di + j, -s1, -s2, -s3, -s4), F(add_four)(ei, dr + j, s1, s2, s3, s4);
                }
                PB_REAL const *of = w + 2 * by * done * p * k, *back = w + 2 * by * done * p * (r - k);
                PB_REAL const c = of[0], s = of[1];
                PB_REAL const bc = back[0], bs = back[1];
                EACH_LANE {
                    PB_REAL const ar = cr[v] + er[v], ai = ci[v] + ei[v];
                    PB_REAL const br = cr[v] - er[v], bi = ci[v] - ei[v];
                    yr[k * span + v] = ar * c - ai * s, yi[k * span + v] = ar * s + ai * c;
                    yr[(r - k) * span + v] = br * bc - bi * bs, yi[(r - k) * span + v] = br * bs + bi * bc;
                }
            }
        }
}

/* The transform of n rows; where they are then is returned, and x and y are the two halves of the room. */
static F(rows) F(transform)(F(rows) x, F(rows) y, int64_t n, int64_t const* factors, int64_t count,
                            PB_REAL const* w, int64_t by, PB_REAL sign) {
    int64_t done = 1;
    for (int64_t i = 0; i < count; i++) {
        int64_t const r = factors[i], m = n / (done * r);
        F(rows) const now = x;
        if (r == 8)
            F(by_eight)(x, y, done, m, w, by, sign);
        else if (r == 4)
            F(by_four)(x, y, done, m, w, by, sign);
        else if (r == 2)
            F(by_two)(x, y, done, m, w, by);
        else
            F(by_odd)(x, y, done, m, w, by, r);
        x = y, y = now;
        done *= r;
    }
    return x;
}

/* From the transform of pairs of reals that of the reals, of n / 2 + 1 rows. */
static PB_CLONES void F(part)(F(rows) z, F(rows) x, int64_t half, PB_REAL const* w) {
    for (int64_t k = 0; k <= half; k++) {
        int64_t const one = k == half ? 0 : ROW(k), other = k == 0 ? 0 : ROW(half - k);
        PB_REAL const c = w[2 * k] / 2, s = w[2 * k + 1] / 2;
        PB_REAL const *ar = z.re + one, *ai = z.im + one, *br = z.re + other, *bi = z.im + other;
        PB_REAL *PB_RESTRICT xr = x.re + ROW(k), *PB_RESTRICT xi = x.im + ROW(k);
        PB_INDEPENDENT ONE_BY_ONE EACH_LANE {
            PB_REAL const ur = ai[v] + bi[v], ui = br[v] - ar[v];
            xr[v] = (ar[v] + br[v]) / 2 + (ur * c - ui * s);
            xi[v] = (ai[v] - bi[v]) / 2 + (ur * s + ui * c);
        }
    }
}

/* From a half spectrum what transforms into pairs of reals. */
static PB_CLONES void F(join)(F(rows) x, F(rows) z, int64_t half, PB_REAL const* w) {
    for (int v = 0; v < LANES; v++) x.im[v] = x.im[ROW(half) + v] = 0;
    for (int64_t k = 0; k < half; k++) {
        PB_REAL const c = w[2 * k], s = w[2 * k + 1];
        PB_REAL const *ar = x.re + ROW(k), *ai = x.im + ROW(k);
        PB_REAL const *br = x.re + ROW(half - k), *bi = x.im + ROW(half - k);
        PB_REAL *PB_RESTRICT zr = z.re + ROW(k), *PB_RESTRICT zi = z.im + ROW(k);
        PB_INDEPENDENT ONE_BY_ONE EACH_LANE {
            PB_REAL const dr = ar[v] - br[v], di = ai[v] + bi[v];
            zr[v] = (ar[v] + br[v]) - (dr * s + di * c);
            zi[v] = (ai[v] - bi[v]) + (dr * c - di * s);
        }
    }
}

/* The other half of the spectrum of n reals. */
static void F(mirror)(F(rows) x, int64_t n) {
    for (int64_t k = n / 2 + 1; k < n; k++)
        for (int v = 0; v < LANES; v++)
            x.re[ROW(k) + v] = x.re[ROW(n - k) + v], x.im[ROW(k) + v] = -x.im[ROW(n - k) + v];
}

static int F(fft)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const what = geometry[0], n = geometry[1], read = geometry[2], written = geometry[3];
    int64_t const count = geometry[5], *factors = geometry + 6, *steps = factors + count;
    int64_t const lanes = steps[2], leading = steps[5], *dims = steps + 6;
    int64_t const blocks = (lanes + LANES - 1) / LANES;
    PB_REAL const* w = (PB_REAL const*)(dims + 3 * leading);
    double given;
    memcpy(&given, geometry + 4, sizeof given);
    PB_REAL const factor = (PB_REAL)given, sign = (PB_REAL)(n > 1 && (n > 2 ? w[3] : -1) > 0 ? -1 : 1);
    int64_t const size = ROW(n + 1);
    PB_REAL* room = (PB_REAL*)(((uintptr_t)scratch + 63) & ~(uintptr_t)63); /* vectors lie in one line each */
    F(rows) const x = {room, room + size}, y = {room + 2 * size, room + 3 * size};
    F(pair)* const pairs = (F(pair)*)y.re; /* until the first stage */
#define OTHER(z) (F(pair)*)((z).re == x.re ? y : x).re
    for (int64_t part = begin; part < end; part++) {
        int64_t const first = part % blocks * LANES, item = sizeof(PB_REAL);
        char* at[2] = {data[0] + first * steps[3], data[1] + first * steps[4]};
        pb_seek(dims, leading, 2, part / blocks, at);
        int64_t const lines = lanes - first < LANES ? lanes - first : LANES;
        F(lying) in = {steps[0], steps[3], lines}, out = {steps[1], steps[4], lines};
        if (what == COMPLEX) {
            F(load)(at[0], in, item, n, x, pairs);
            F(rows) const z = F(transform)(x, y, n, factors, count, w, 1, sign);
            F(store)(z, factor, n, at[1], out, item, OTHER(z));
        } else if (what == HALF_TO_REAL) {
            F(load)(at[0], in, item, read, x, pairs);
            if (n % 2 == 0) {
                F(join)(x, y, n / 2, w);
                out.along *= 2;
                F(rows) const z = F(transform)(y, x, n / 2, factors, count, w, 2, sign);
                F(store)(z, factor, n / 2, at[1], out, steps[1], OTHER(z));
            } else {
                memset(x.im, 0, ROW(1) * item);
                F(mirror)(x, n);
                F(store_reals)(F(transform)(x, y, n, factors, count, w, 1, sign), factor, n, at[1], out);
            }
        } else {
            F(rows) spectrum;
            if (n % 2 == 0) {
                in.along *= 2;
                F(load)(at[0], in, steps[0], n / 2, x, pairs);
                F(rows) const z = F(transform)(x, y, n / 2, factors, count, w, 2, sign);
                spectrum = z.re == x.re ? y : x;
                F(part)(z, spectrum, n / 2, w);
            } else {
                F(load_reals)(at[0], in, n, x);
                spectrum = F(transform)(x, y, n, factors, count, w, 1, sign);
            }
            if (what == REAL_TO_ALL) F(mirror)(spectrum, n);
            F(store)(spectrum, factor, written, at[1], out, item, OTHER(spectrum));
        }
    }
    return 0;
}
#undef OTHER

/* Of a spectrum of reals over several dims, of which the last has its first half, the other half: each number
   is the conjugate of that at the opposite places. geometry: points and step of the last dim, other dims,
   {size, step} of each, leading dims, {size, step} of each; a part is a line of the last dim */
static int F(complete)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const n = geometry[0], step = geometry[1], others = geometry[2];
    int64_t const *dims = geometry + 3, *leading = dims + 2 * others;
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t rest = part, k, d;
        char *to = data[1], *from = data[1];
        for (d = others - 1; d >= 0; d--) {
            int64_t const size = dims[2 * d], at = rest % size;
            rest /= size;
            to += at * dims[2 * d + 1], from += (at ? size - at : 0) * dims[2 * d + 1];
        }
        for (d = leading[0] - 1; d >= 0; d--) {
            int64_t const away = rest % leading[2 * d + 1] * leading[2 * d + 2];
            rest /= leading[2 * d + 1];
            to += away, from += away;
        }
        for (k = n / 2 + 1; k < n; k++) {
            F(pair) const x = *(F(pair) const*)(from + (n - k) * step);
            F(pair)* y = (F(pair)*)(to + k * step);
            y->re = x.re, y->im = -x.im;
        }
    }
    return 0;
}

#undef EACH_LANE
#undef QUARTERS
#undef WITHIN
#undef LANES
#undef ROW
