/* Triangles of matrices, zeros elsewhere: a template for each SIZE of an element. The geometry is

       lower, diagonal, rows, columns, steps of both, dims, {size, step} ...

   of the dims before; the result is contiguous. A part of the work is a row. */

#include "item.h"

static int SIZED(triangle)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const lower = geometry[0], rows = geometry[2], n = geometry[3], *dims = geometry + 7;
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        int64_t const row = part % rows;
        int64_t cut = row + geometry[1] + (lower ? 1 : 0); /* what is before it belongs to a lower triangle */
        char const* from = data[0] + row * geometry[4];
        char* to = data[1] + part * n * SIZE;
        for (int64_t d = geometry[6] - 1, rest = part / rows; d >= 0; rest /= dims[2 * d], d--)
            from += rest % dims[2 * d] * dims[2 * d + 1];
        cut = cut < 0 ? 0 : cut > n ? n : cut;
        if (lower) {
            SIZED(move_row)(to, from, cut, SIZE, geometry[5]);
            memset(to + cut * SIZE, 0, (n - cut) * SIZE);
        } else {
            memset(to, 0, cut * SIZE);
            SIZED(move_row)(to + cut * SIZE, from + cut * geometry[5], n - cut, SIZE, geometry[5]);
        }
    }
    return 0;
}

#include "item_end.h"
