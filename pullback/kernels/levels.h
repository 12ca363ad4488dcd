/* The head of a template that is built for several kinds of processor, in place of kinds.h. It declares a
   `TILED(set)` of what is built, defines LEVEL, the file with a NAME(built) of that type, and includes
   each_level.h. It ends with levels_end.h. */

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

#define PB_OF_LEVEL2(level, name, type) pb_##level##_##name##_##type
#define PB_OF_LEVEL(level, name, type) PB_OF_LEVEL2(level, name, type)
