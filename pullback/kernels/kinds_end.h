/* Ends a template: what kinds.h defined is undefined. */

#undef T
#undef TYPE
#undef REAL
#undef LOAD
#undef TO
#undef KIND
