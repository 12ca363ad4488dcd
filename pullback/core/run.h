/* What does work in parts, and what has it done by several threads: types alone, for all that is compiled. */

#ifndef PB_RUN_H
#define PB_RUN_H

#include <stdint.h>

/* Does the parts `begin` to `end` of some work on `data`; another status than 0 says what is wrong there. */
typedef int (*pb_run)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch);

/* Does `parts` of a run, in pieces where it pays. `work` is about how many elements that takes; `scratch` is
   the caller's, `room` how many bytes of their own workers need. `pb_cut` in pool.h is the one such
   function. */
typedef int (*pb_cutter)(pb_run run, int64_t const* geometry, char** data, int64_t parts, char* scratch,
                         int64_t room, int64_t work);

#endif
