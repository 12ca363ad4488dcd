/* The tiles of tiles.h for a number type, by processor: what a template that works with them includes at its
   head, in place of kinds.h. It ends with tile_sets_end.h. */

#include "kinds.h"
#include <string.h>

#ifndef PB_FUSED
#if defined(__clang__)
#define PB_FUSED _Pragma("clang fp contract(fast)")
#define PB_FUSING
#define PB_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PB_FUSED
#define PB_FUSING __attribute__((optimize("fp-contract=fast")))
#define PB_UNROLL _Pragma("GCC unroll 16")
#define PB_FOR(level) PB_FUSING __attribute__((target(level)))
#else
#define PB_FUSED
#define PB_FUSING
#define PB_UNROLL
#endif
#ifdef PB_HAS_CLONES
#define pb_fuses() __builtin_cpu_supports("x86-64-v3")
#else
#define pb_fuses() PB_FUSES
#endif
#endif

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define TILED(name) PB_JOIN(name, TYPE)

typedef void (*TILED(tile))(T const*, T const*, int64_t const*, int64_t, T*, int64_t, int64_t, int);
typedef void (*TILED(sums))(T const*, int64_t const*, T const*, int64_t const*, int64_t, T*);
typedef struct {
    int64_t lanes;
    void (*copy)(T const*, int64_t const*, int64_t, T*);
    struct {
        int64_t rows, width;
        TILED(tile) run;
    } tiles[5]; /* from the highest on; the last has one row */
    int64_t rows[3];
    TILED(sums) sums[2][3];
} TILED(set);

#define PB_OF_LEVEL2(level, name, type) pb_##level##_##name##_##type
#define PB_OF_LEVEL(level, name, type) PB_OF_LEVEL2(level, name, type)

#ifdef PB_HAS_CLONES
#define BYTES 64
#define TARGET PB_FOR("arch=x86-64-v4")
#define NAME(x) PB_OF_LEVEL(v4, x, TYPE)
#include "tiles.h"
#define BYTES 32
#define TARGET PB_FOR("arch=x86-64-v3")
#define NAME(x) PB_OF_LEVEL(v3, x, TYPE)
#include "tiles.h"
#endif
#ifdef __GNUC__
#define BYTES 16
#else
#define BYTES 0
#endif
#define TARGET PB_FUSING
#define NAME(x) PB_OF_LEVEL(base, x, TYPE)
#include "tiles.h"

static TILED(set) const* TILED(best)(void) {
#ifdef PB_HAS_CLONES
    if (__builtin_cpu_supports("x86-64-v4")) return &PB_OF_LEVEL(v4, tiles, TYPE);
    if (__builtin_cpu_supports("x86-64-v3")) return &PB_OF_LEVEL(v3, tiles, TYPE);
#endif
    return &PB_OF_LEVEL(base, tiles, TYPE);
}

/* The highest tile that so many rows fill. */
PB_INLINE int TILED(tile_for)(TILED(set) const* set, int64_t rows) {
    int t = 0;
    while (set->tiles[t].rows > rows) t++;
    return t;
}
