/* Neighbouring floats at once: one VLDM or VSTM in place of as many VLDR or VSTR, which GCC does not make by itself.
 * Elsewhere, and for more than there are operands for, plain loops. The counts have to be constants. */
#ifndef EISHIL_CORE_BLOCK_MOVES_H
#define EISHIL_CORE_BLOCK_MOVES_H

#include "precision.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_MOVES_MAX          10U
#define BLOCK_MOVES_MAX_INTEGERS 6U

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

BLOCK_INLINE void block_store_multiple(real_t *to, unsigned n, const real_t *in)
{
    register float f0 __asm__("s0") = in[0U < n ? 0U : 0U];
    register float f1 __asm__("s1") = in[1U < n ? 1U : 0U];
    register float f2 __asm__("s2") = in[2U < n ? 2U : 0U];
    register float f3 __asm__("s3") = in[3U < n ? 3U : 0U];
    register float f4 __asm__("s4") = in[4U < n ? 4U : 0U];
    register float f5 __asm__("s5") = in[5U < n ? 5U : 0U];
    register float f6 __asm__("s6") = in[6U < n ? 6U : 0U];
    register float f7 __asm__("s7") = in[7U < n ? 7U : 0U];
    register float f8 __asm__("s8") = in[8U < n ? 8U : 0U];
    register float f9 __asm__("s9") = in[9U < n ? 9U : 0U];
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
    __asm__("vldmia %[from], {s0-s%c[last]}"
            : "=t"(i0), "=t"(i1), "=t"(i2), "=t"(i3), "=t"(i4), "=t"(i5)
            : [from] "r"(from), [last] "i"(n - 1U), "m"(*(const int32_t (*)[n])from));
    const int32_t value[BLOCK_MOVES_MAX_INTEGERS] = {i0, i1, i2, i3, i4, i5};
#pragma GCC unroll 6
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

#endif
