/* Includes LEVEL for each kind of processor: see levels.h. */

#ifdef PB_HAS_CLONES
#define BYTES 64
#define TARGET PB_FOR("arch=x86-64-v4")
#define NAME(x) PB_OF_LEVEL(v4, x, TYPE)
#include "level.h"
#define BYTES 32
#define TARGET PB_FOR("arch=x86-64-v3")
#define NAME(x) PB_OF_LEVEL(v3, x, TYPE)
#include "level.h"
#endif
#ifdef __GNUC__
#define BYTES 16
#else
#define BYTES 0
#endif
#define TARGET PB_FUSING
#define NAME(x) PB_OF_LEVEL(base, x, TYPE)
#include "level.h"

static TILED(set) const* TILED(best)(void) {
#ifdef PB_HAS_CLONES
    if (__builtin_cpu_supports("x86-64-v4")) return &PB_OF_LEVEL(v4, built, TYPE);
    if (__builtin_cpu_supports("x86-64-v3")) return &PB_OF_LEVEL(v3, built, TYPE);
#endif
    return &PB_OF_LEVEL(base, built, TYPE);
}

#undef LEVEL
