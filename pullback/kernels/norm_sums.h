/* Sums over one run of a normalised row: see `for_each_real.h` for PB_REAL and F.

   A sum runs in LANES at a time, so that it is vector code, over blocks of BLOCK numbers, and over the blocks
   in double: fast, and exact enough for a mean and a variance. SUM writes the loop for one term each. */

#define LANES 16
#define BLOCK 2048

#define SUM(term)                                                                                   \
    double total = 0;                                                                               \
    npy_intp start, i, j;                                                                           \
    for (start = 0; start < n; start += BLOCK) {                                                    \
        npy_intp const end = start + BLOCK < n ? start + BLOCK : n;                                 \
        PB_REAL lanes[LANES] = {0};                                                                 \
        for (i = start; i + LANES <= end; i += LANES)                                               \
            for (j = 0; j < LANES; j++) lanes[j] += term(i + j);                                    \
        for (j = 0; i < end; i++, j++) lanes[j] += term(i);                                         \
        for (j = 0; j < LANES; j++) total += lanes[j];                                              \
    }                                                                                               \
    return total;

#define ITSELF(i) x[i]
static PB_CLONES double F(sum_of)(PB_REAL const* x, npy_intp n) { SUM(ITSELF) }

#define SQUARE(i) ((x[i] - center) * (x[i] - center))
static PB_CLONES double F(sum_of_squares)(PB_REAL const* x, PB_REAL center, npy_intp n) { SUM(SQUARE) }

#define PRODUCT(i) ((x[i] - center) * g[i])
static PB_CLONES double F(sum_of_products)(PB_REAL const* x, PB_REAL center, PB_REAL const* g, npy_intp n) {
    SUM(PRODUCT)
}

#define WEIGHTED(i) ((x[i] - center) * (g[i] * weight[i]))
static PB_CLONES double F(sum_of_weighted)(PB_REAL const* x, PB_REAL center, PB_REAL const* g,
                                           PB_REAL const* weight, npy_intp n) {
    SUM(WEIGHTED)
}

/* Adds the gradients of weights, g * normalised x, and of biases, g, where there is one for each number. */
static PB_CLONES void F(add_affine_gradients)(PB_REAL const* x, PB_REAL center, PB_REAL rstd,
                                              PB_REAL const* g, double* PB_RESTRICT weights,
                                              double* PB_RESTRICT biases, npy_intp n) {
    npy_intp i;
    for (i = 0; i < n; i++) {
        weights[i] += g[i] * ((x[i] - center) * rstd);
        biases[i] += g[i];
    }
}

#undef LANES
#undef BLOCK
#undef SUM
#undef ITSELF
#undef SQUARE
#undef PRODUCT
#undef WEIGHTED
