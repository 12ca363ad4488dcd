/* Ends a template: what kinds.h defined is undefined. */

#undef IS_NAN
#undef EXP_OF
#undef ABS_OF
#undef LOWEST
#undef HIGHEST
#undef T
#undef TYPE
#undef REAL
#undef LOAD
#undef TO
#undef KIND
