/* The table of a module's runs, `static pb_named const pb_runs[] = {RUN(op, type)}`: runs.pxi reads it. */

#ifndef PB_RUNS_H
#define PB_RUNS_H

#include "pullback/core/run.h"

typedef struct {
    char const *op, *type;
    pb_run run;
} pb_named;

#define RUN(op, type) {#op, #type, pb_##op##_##type},
#define pb_count ((int)(sizeof pb_runs / sizeof *pb_runs))

#endif
