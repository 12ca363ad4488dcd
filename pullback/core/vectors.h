/* What loops need of the compiler to become vector code: `PB_CLONES` before a loop's function builds it for
   several processors, the best of which is taken at run time; `PB_INLINE` before what it calls. */

#ifndef PB_VECTORS_H
#define PB_VECTORS_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define PB_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define PB_CLONES
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
