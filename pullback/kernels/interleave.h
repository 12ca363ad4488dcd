/* Two vectors as one of elements of both, by the numbers of these, where the compiler can. */

#ifndef PB_INTERLEAVE_H
#define PB_INTERLEAVE_H
#if defined(__clang__)
#define PB_INTERLEAVED(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#elif defined(__GNUC__)
#define PB_INTERLEAVED(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
#endif
