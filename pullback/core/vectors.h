/* What loops need of the compiler to become vector code: `PB_CLONES` before a loop's function builds it for
   several processors, the best of which is taken at run time; `PB_INLINE` before what it calls.

   `PB_FMA(a, b, c)` is a * b + c of floats, rounded once. Where it is written, a processor without it
   computes the same bits, slowly; compilers contract nothing by themselves, so numbers do not depend on the
   machine. `PB_FUSES` says whether it is quick. */

#ifndef PB_VECTORS_H
#define PB_VECTORS_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define PB_HAS_CLONES 1
#define PB_FUSES 1
#define PB_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define PB_FMA(a, b, c) __builtin_fmaf(a, b, c)
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define PB_FUSES 1
#define PB_CLONES
#define PB_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else /* but for a last bit where the sum lies between two floats */
#define PB_FUSES 0
#define PB_CLONES
#define PB_FMA(a, b, c) ((float)((double)(a) * (double)(b) + (double)(c)))
#endif

#if defined(_MSC_VER)
#define PB_INLINE static __forceinline
#define PB_RESTRICT __restrict
#else
#define PB_INLINE static inline __attribute__((always_inline))
#define PB_RESTRICT restrict
#endif

/* Before a loop whose result lies apart from the operands, or exactly where one lies: it is vector code. */
#if defined(__GNUC__) && !defined(__clang__)
#define PB_INDEPENDENT _Pragma("GCC ivdep")
#else
#define PB_INDEPENDENT
#endif

#endif
