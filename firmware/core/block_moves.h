/* Neighbouring floats at once: one VLDM or VSTM in place of as many VLDR or VSTR, which GCC does not make by itself.
 * Elsewhere, and for more than there are operands for, plain loops. The counts have to be constants. */
#ifndef EISHIL_CORE_BLOCK_MOVES_H
#define EISHIL_CORE_BLOCK_MOVES_H

#include "precision.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_MOVES_MAX           10U
#define BLOCK_MOVES_MAX_INTEGERS  7U
#define BLOCK_MOVES_MAX_ELSEWHERE 5U

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FP) && !defined(REAL_IS_DOUBLE) && defined(__OPTIMIZE__)

#define BLOCK_MOVES          1
#define BLOCK_IS_CONSTANT(n) __builtin_constant_p(n)
#define BLOCK_INLINE         static inline __attribute__((always_inline))

BLOCK_INLINE void block_load_multiple(const real_t *from, unsigned n, real_t *out)
{
    register float f0 __asm__("s0");
    register float f1 __asm__("s1");
    register float f2 __asm__("s2");
    register float f3 __asm__("s3");
    register float f4 __asm__("s4");
    register float f5 __asm__("s5");
    register float f6 __asm__("s6");
    register float f7 __asm__("s7");
    register float f8 __asm__("s8");
    register float f9 __asm__("s9");
    __asm__("vldmia %[from], {s0-s%c[last]}"
            : "=t"(f0), "=t"(f1), "=t"(f2), "=t"(f3), "=t"(f4), "=t"(f5), "=t"(f6), "=t"(f7), "=t"(f8), "=t"(f9)
            : [from] "r"(from), [last] "i"(n - 1U), "m"(*(const real_t(*)[n])from));
    const real_t value[BLOCK_MOVES_MAX] = {f0, f1, f2, f3, f4, f5, f6, f7, f8, f9};
#pragma GCC unroll 16
    for (unsigned k = 0; k < n; k++) {
        out[k] = value[k];
    }
}

/* Into other registers, for what stays there while block_load is in use: s8 and on, s16 and on. */
#define BLOCK_DEFINE_LOAD_MULTIPLE(name, first, r0, r1, r2, r3, r4)                                                    \
    BLOCK_INLINE void name(const real_t *from, unsigned n, real_t *out)                                                \
    {                                                                                                                  \
        register float f0 __asm__(r0);                                                                                 \
        register float f1 __asm__(r1);                                                                                 \
        register float f2 __asm__(r2);                                                                                 \
        register float f3 __asm__(r3);                                                                                 \
        register float f4 __asm__(r4);                                                                                 \
        __asm__("vldmia %[from], {" r0 "-s%c[last]}"                                                                   \
                : "=t"(f0), "=t"(f1), "=t"(f2), "=t"(f3), "=t"(f4)                                                     \
                : [from] "r"(from), [last] "i"((first) + n - 1U), "m"(*(const real_t(*)[n])from));                     \
        const real_t value[BLOCK_MOVES_MAX_ELSEWHERE] = {f0, f1, f2, f3, f4};                                          \
        _Pragma("GCC unroll 8") for (unsigned k = 0; k < n; k++)                                                       \
        {                                                                                                              \
            out[k] = value[k];                                                                                         \
        }                                                                                                              \
    }
BLOCK_DEFINE_LOAD_MULTIPLE(block_load_multiple_middle, 8U, "s8", "s9", "s10", "s11", "s12")
BLOCK_DEFINE_LOAD_MULTIPLE(block_load_multiple_high, 16U, "s16", "s17", "s18", "s19", "s20")

/* Number k of `in` in its register; one that is not there costs no instruction, as long as its text is its own: of equal
 * ones GCC would keep the first, and copy. */
#define BLOCK_OPERAND(k)                                                                                               \
    register float f##k __asm__("s" #k);                                                                               \
    if ((k) < n) {                                                                                                     \
        f##k = in[k];                                                                                                  \
    } else {                                                                                                           \
        __asm__("@ s" #k : "=t"(f##k));                                                                                \
    }

BLOCK_INLINE void block_store_multiple(real_t *to, unsigned n, const real_t *in)
{
    BLOCK_OPERAND(0);
    BLOCK_OPERAND(1);
    BLOCK_OPERAND(2);
    BLOCK_OPERAND(3);
    BLOCK_OPERAND(4);
    BLOCK_OPERAND(5);
    BLOCK_OPERAND(6);
    BLOCK_OPERAND(7);
    BLOCK_OPERAND(8);
    BLOCK_OPERAND(9);
    __asm__("vstmia %[to], {s0-s%c[last]}"
            : "=m"(*(real_t(*)[n])to)
            : [to] "r"(to), [last] "i"(n - 1U), "t"(f0), "t"(f1), "t"(f2), "t"(f3), "t"(f4), "t"(f5), "t"(f6), "t"(f7),
              "t"(f8), "t"(f9));
}

BLOCK_INLINE void block_load_multiple_integers(const int32_t *from, unsigned n, real_t *out)
{
    register int32_t i0 __asm__("s0");
    register int32_t i1 __asm__("s1");
    register int32_t i2 __asm__("s2");
    register int32_t i3 __asm__("s3");
    register int32_t i4 __asm__("s4");
    register int32_t i5 __asm__("s5");
    register int32_t i6 __asm__("s6");
    __asm__("vldmia %[from], {s0-s%c[last]}"
            : "=t"(i0), "=t"(i1), "=t"(i2), "=t"(i3), "=t"(i4), "=t"(i5), "=t"(i6)
            : [from] "r"(from), [last] "i"(n - 1U), "m"(*(const int32_t (*)[n])from));
    const int32_t value[BLOCK_MOVES_MAX_INTEGERS] = {i0, i1, i2, i3, i4, i5, i6};
#pragma GCC unroll 7
    for (unsigned k = 0; k < n; k++) {
        out[k] = (real_t)value[k];
    }
}

#define BLOCK_COPY(last, advance)                                                                                      \
    __asm__ volatile("vldmia %[from]" advance ", {s0-s%c[end]}\n\tvstmia %[to]" advance ", {s0-s%c[end]}"              \
                     : [from] "+r"(source), [to] "+r"(target)                                                          \
                     : [end] "i"(last)                                                                                 \
                     : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14",  \
                       "s15", "memory")

/* Of any words, n_words of them, a constant; they may not overlap. */
BLOCK_INLINE void block_copy(void *to, const void *from, unsigned n_words)
{
    const unsigned most = 16;
    const char *source = from;
    char *target = to;
#pragma GCC unroll 2
    for (unsigned k = 0; k < n_words / most; k++) {
        BLOCK_COPY(15, "!");
    }
    if (n_words % most > 1U) {
        BLOCK_COPY(n_words % most - 1U, "");
    } else {
        memcpy(target, source, n_words % most * sizeof(uint32_t));
    }
}

#else

#define BLOCK_MOVES                                0
#define BLOCK_IS_CONSTANT(n)                       0
#define BLOCK_INLINE                               static inline
#define block_load_multiple(from, n, out)          ((void)0)
#define block_load_multiple_middle(from, n, out)   ((void)0)
#define block_load_multiple_high(from, n, out)     ((void)0)
#define block_store_multiple(to, n, in)            ((void)0)
#define block_load_multiple_integers(from, n, out) ((void)0)

static inline void block_copy(void *to, const void *from, unsigned n_words)
{
    memcpy(to, from, n_words * sizeof(uint32_t));
}

#endif

BLOCK_INLINE void block_load(const real_t *from, unsigned n, real_t *out)
{
    if (BLOCK_MOVES && BLOCK_IS_CONSTANT(n) && n > 1U && n <= BLOCK_MOVES_MAX) {
        block_load_multiple(from, n, out);
        return;
    }
#pragma GCC unroll 16
    for (unsigned k = 0; k < n; k++) {
        out[k] = from[k];
    }
}

#define BLOCK_DEFINE_LOAD(name)                                                                                        \
    BLOCK_INLINE void block_load_##name(const real_t *from, unsigned n, real_t *out)                                   \
    {                                                                                                                  \
        if (BLOCK_MOVES && BLOCK_IS_CONSTANT(n) && n > 1U && n <= BLOCK_MOVES_MAX_ELSEWHERE) {                         \
            block_load_multiple_##name(from, n, out);                                                                  \
            return;                                                                                                    \
        }                                                                                                              \
        _Pragma("GCC unroll 8") for (unsigned k = 0; k < n; k++)                                                       \
        {                                                                                                              \
            out[k] = from[k];                                                                                          \
        }                                                                                                              \
    }
BLOCK_DEFINE_LOAD(middle)
BLOCK_DEFINE_LOAD(high)

BLOCK_INLINE void block_store(real_t *to, unsigned n, const real_t *in)
{
    if (BLOCK_MOVES && BLOCK_IS_CONSTANT(n) && n > 1U && n <= BLOCK_MOVES_MAX) {
        block_store_multiple(to, n, in);
        return;
    }
#pragma GCC unroll 16
    for (unsigned k = 0; k < n; k++) {
        to[k] = in[k];
    }
}

BLOCK_INLINE void block_load_integers(const int32_t *from, unsigned n, real_t *out)
{
    if (BLOCK_MOVES && BLOCK_IS_CONSTANT(n) && n > 1U && n <= BLOCK_MOVES_MAX_INTEGERS) {
        block_load_multiple_integers(from, n, out);
        return;
    }
#pragma GCC unroll 16
    for (unsigned k = 0; k < n; k++) {
        out[k] = (real_t)from[k];
    }
}

/* The same of floats of the model. */
BLOCK_INLINE void block_load_floats_high(const float *from, unsigned n, real_t *out)
{
#if defined(REAL_IS_DOUBLE)
    for (unsigned k = 0; k < n; k++) {
        out[k] = from[k];
    }
#else
    block_load_high(from, n, out);
#endif
}

BLOCK_INLINE void block_load_floats(const float *from, unsigned n, real_t *out)
{
#if defined(REAL_IS_DOUBLE)
    for (unsigned k = 0; k < n; k++) {
        out[k] = from[k];
    }
#else
    block_load(from, n, out);
#endif
}

#endif
