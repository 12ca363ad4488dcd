/* The tiles of tiles.h for a number type, by processor: what a template that works with them includes at its
   head, in place of kinds.h. It ends with levels_end.h. */

#include "levels.h"

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

#define LEVEL "tiles.h"
#include "each_level.h"

/* The highest tile that so many rows fill. */
PB_INLINE int TILED(tile_for)(TILED(set) const* set, int64_t rows) {
    int t = 0;
    while (set->tiles[t].rows > rows) t++;
    return t;
}
