/* Rows of an operand to plain numbers beside one another, and back: see rows.h.

   `plain` has `runs` times `span` numbers of each of the rows, `pitch` bytes from row to row. Where the rows
   lie nearer to one another in memory than their numbers do, it is read and written across them. */

#include "kinds.h"

#ifndef PB_ROW_COPIES_H
#define PB_ROW_COPIES_H
#define PB_COPY_NAMED(way, type) PB_COPY_JOIN(way, type)
#define PB_COPY_JOIN(way, type) pb_copy_##way##_##type
#define COPY_RUNS                                                                                   \
    int64_t r, s, i;                                                                                \
    int const across = (lane < 0 ? -lane : lane) < (step < 0 ? -step : step);                       \
    for (s = 0; s < runs; s++)                                                                      \
        if (across)                                                                                 \
            for (i = 0; i < span; i++)                                                              \
                for (r = 0; r < rows; r++) ONE(r * pitch, r * lane);                                \
        else                                                                                        \
            for (r = 0; r < rows; r++) {                                                            \
                if (step == sizeof(T))                                                              \
                    for (i = 0; i < span; i++) ALONG(r * pitch, r * lane);                            \
                else                                                                                \
                    for (i = 0; i < span; i++) ONE(r * pitch, r * lane);                            \
            }
#define PLAIN(away) ((REAL*)(plain + (away)))[s * span + i]
#define THERE(away) (*(T*)(p + (away) + s * apart + i * step))
#define THERE_RUN(away) ((T*)(p + (away) + s * apart))[i]
#endif

static PB_CLONES void PB_COPY_NAMED(in, TYPE)(char* PB_RESTRICT plain, char* PB_RESTRICT p, int64_t rows,
                                              int64_t runs, int64_t span, int64_t pitch, int64_t lane,
                                              int64_t apart, int64_t step) {
#define ONE(here, there) PLAIN(here) = LOAD(THERE(there))
#define ALONG(here, there) PLAIN(here) = LOAD(THERE_RUN(there))
    COPY_RUNS
#undef ONE
#undef ALONG
}

static PB_CLONES void PB_COPY_NAMED(out, TYPE)(char* PB_RESTRICT plain, char* PB_RESTRICT p, int64_t rows,
                                               int64_t runs, int64_t span, int64_t pitch, int64_t lane,
                                               int64_t apart, int64_t step) {
#define ONE(here, there) THERE(there) = TO(PLAIN(here))
#define ALONG(here, there) THERE_RUN(there) = TO(PLAIN(here))
    COPY_RUNS
#undef ONE
#undef ALONG
}

#include "kinds_end.h"
