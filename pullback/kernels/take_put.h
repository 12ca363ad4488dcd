/* Elements at indices, taken or put there: a template for each SIZE of an element. at.h says how it is told
   where. */

#include "item.h"

static int SIZED(take_row)(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                           void* context) {
    (void)context;
    if (!index)
        SIZED(move_row)(b, a, n, step_b, step_a);
    else if (step_b == SIZE && !step_a) {
        PB_AT_EACH(index, n, ((ITEM*)b)[j] = *(ITEM const*)(a + at))
    } else {
        PB_AT_EACH(index, n, *(ITEM*)(b + j * step_b) = *(ITEM const*)(a + at + j * step_a))
    }
    return 0;
}

static int SIZED(put_row)(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                          void* context) {
    (void)context;
    if (!index)
        SIZED(move_row)(a, b, n, step_a, step_b);
    else
        PB_AT_EACH(index, n, *(ITEM*)(a + at + j * step_a) = *(ITEM const*)(b + j * step_b))
    return 0;
}

static int SIZED(take)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_at const* at = (pb_at const*)geometry;
    (void)scratch;
    return pb_each(at, geometry, data, data[at->begins], begin, end, SIZED(take_row), NULL);
}

static int SIZED(put)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_at const* at = (pb_at const*)geometry;
    int64_t const zeros[2] = {0};
    int64_t dims[3 * 64];
    char *to = data[at->result], *from = at->begins < 0 ? (char*)zeros : data[at->begins];
    (void)scratch;
    if (pb_is_bad(at, geometry, data, to, begin, end)) return PB_OUT_OF_RANGE;
    memcpy(dims, geometry + PB_HEAD + 2 * at->indices, 3 * at->dims * sizeof *dims);
    pb_cut(dims, 3, at->cut_result, begin, end, &from, &to, NULL);
    if (to != from) SIZED(move_box)(to, from, dims, at->dims);
    return pb_each(at, geometry, data, data[at->result], begin, end, SIZED(put_row), NULL);
}

#include "item_end.h"
