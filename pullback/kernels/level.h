/* LEVEL for one kind of processor: BYTES is the length of a vector register, TARGET what the compiler is
   told, NAME(x) a name of its own, V a vector and LANES its numbers. Included by each_level.h. */

#if BYTES
typedef T NAME(vector) __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
#else
typedef T NAME(vector);
#endif
#define V NAME(vector)
#define LANES ((int64_t)(sizeof(V) / sizeof(T)))

#include LEVEL

#undef V
#undef LANES
#undef BYTES
#undef TARGET
#undef NAME
