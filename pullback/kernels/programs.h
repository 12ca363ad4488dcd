/* Programs: a few elementwise steps, done block by block over a list of tensors.

   A program is a list of integers:

       tensors, numbers, registers, steps, then for each tensor whether it is written,
       then for each step {kind, to, a, b, c, number}: registers, and the place of the number

   The registers are blocks of PROGRAM_BLOCK elements: first those of the tensors, then those of the numbers,
   each filled with its number once, then temporaries. A step reads whole blocks and writes one. The memory of
   a tensor is its register, so it is read and written once, and what lies between stays in the cache. Half
   precisions are brought to float and back, and rounded after each step, as if each were an op of its own.
   So are numbers, but for a second factor, a divisor and the number of a step.

   Read PB_STEPS, the table of what a step may do, then the function. */

#include "kinds.h"

#if KIND == FLOAT64
#define SQRT_OF sqrt
#else
#define SQRT_OF sqrtf
#endif

#ifndef PB_PROGRAMS_H
#define PB_PROGRAMS_H

#define PROGRAM_BLOCK 512
#define PROGRAM_HEAD 4
#define STEP_SIZE 6
#define PROGRAM_REGISTERS 64

/* A, B and C are elements, w a number, which `add_scaled` rounds. NaN, once there, stays in the larger and
   the smaller of two. */
#define PB_STEPS(S)                                                 \
    S(copy, A)                                                      \
    S(add, A + B)                                                   \
    S(sub, A - B)                                                   \
    S(mul, A * B)                                                   \
    S(div, A / B)                                                   \
    S(neg, -A)                                                      \
    S(abs, ABS_OF(A))                                               \
    S(sign, A > 0 ? 1 : A < 0 ? -1 : A == 0 ? 0 : A)                \
    S(sqrt, SQRT_OF(A))                                             \
    S(maximum, IS_NAN(A) ? A : IS_NAN(B) ? B : A > B ? A : B)       \
    S(minimum, IS_NAN(A) ? A : IS_NAN(B) ? B : A < B ? A : B)       \
    S(gt, A > B)                                                    \
    S(lt, A < B)                                                    \
    S(where, A != 0 ? B : C)                                        \
    S(add_scaled, A + LOAD(TO(w)) * B)                              \
    S(addcmul, A + w * B * C)                                       \
    S(addcdiv, A + w * B / C)                                       \
    S(lerp, near ? A + w * (B - A) : B - (B - A) * (1 - w))

#define PB_STEP_ENUM(name, value) PB_STEP_##name,
enum { PB_STEPS(PB_STEP_ENUM) PB_STEP_COUNT };

#define A a[i]
#define B b[i]
#define C c[i]
#define PB_STEP_CASE(name, value)                                  \
    case PB_STEP_##name:                                           \
        EACH_ALONE for (i = 0; i < n; i++) to[i] = LOAD(TO(value)); \
        break;

/* A step writes each element where it read it or elsewhere: compilers need not fear an overlap. */
#if defined(__clang__)
#define EACH_ALONE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define EACH_ALONE _Pragma("GCC ivdep")
#elif defined(_MSC_VER)
#define EACH_ALONE __pragma(loop(ivdep))
#else
#define EACH_ALONE
#endif
#define PB_PROGRAM_NAMED(type) pb_program_##type
#define PB_PROGRAM(type) PB_PROGRAM_NAMED(type)
#endif

/* Runs a program on `count` tuples of tensors: the sizes of each tuple, and where its tensors lie
   in `data`. */
static PB_CLONES void PB_PROGRAM(TYPE)(int64_t const* program, double const* numbers, int64_t count,
                                       int64_t const* sizes, char** data, char* scratch) {
    int64_t const tensors = program[0], given = program[1], registers = program[2], steps = program[3];
    int64_t const *written = program + PROGRAM_HEAD, *first = written + tensors;
    REAL* block = (REAL*)scratch;
    REAL* at[PROGRAM_REGISTERS];
    int64_t i, k, s, from;
    for (k = 0; k < registers; k++) at[k] = block + k * PROGRAM_BLOCK;
    for (k = 0; k < given; k++)
        for (i = 0; i < PROGRAM_BLOCK; i++) at[tensors + k][i] = LOAD(TO((REAL)numbers[k]));
    for (; count > 0; count--, sizes++, data += tensors)
        for (from = 0; from < *sizes; from += PROGRAM_BLOCK) {
            int64_t const n = *sizes - from < PROGRAM_BLOCK ? *sizes - from : PROGRAM_BLOCK;
            for (k = 0; k < tensors; k++) {
#if KIND == FLOAT16 || KIND == BFLOAT16
                T const* memory = (T const*)data[k] + from;
                for (i = 0; i < n; i++) at[k][i] = LOAD(memory[i]);
#else
                at[k] = (REAL*)data[k] + from;
#endif
            }
            for (s = 0; s < steps; s++) {
                int64_t const* step = first + s * STEP_SIZE;
                REAL *to = at[step[1]], *a = at[step[2]], *b = at[step[3]], *c = at[step[4]];
                REAL const w = (REAL)numbers[step[5]];
                int const near = ABS_OF(w) < (REAL)0.5;
#if KIND == FLOAT16 || KIND == BFLOAT16
                REAL wide[PROGRAM_BLOCK];
                if ((step[0] == PB_STEP_mul || step[0] == PB_STEP_div) && step[3] >= tensors &&
                    step[3] < tensors + given) {
                    for (i = 0; i < n; i++) wide[i] = (REAL)numbers[step[3] - tensors];
                    b = wide;
                }
#endif
                switch (step[0]) { PB_STEPS(PB_STEP_CASE) }
            }
#if KIND == FLOAT16 || KIND == BFLOAT16
            for (k = 0; k < tensors; k++)
                if (written[k])
                    for (i = 0; i < n; i++) ((T*)data[k])[from + i] = TO(at[k][i]);
#endif
        }
}

#undef SQRT_OF
#include "kinds_end.h"
