/* Sums over observations of five shared channels, as information.c's gather_rows makes them, with nothing spilled or
 * moved and no result waited for. */
#ifndef EISHIL_CORE_INFORMATION_GATHER_H
#define EISHIL_CORE_INFORMATION_GATHER_H

#include "assembly.h"
#include "block_moves.h"
#include "information.h"

#define INFORMATION_GATHER_IS_ASSEMBLY (BLOCK_MOVES && INFORMATION_N_SHARED == 5U && INFORMATION_N_NUMBERS == 8U)

#if INFORMATION_GATHER_IS_ASSEMBLY

/* clang-format off */
/* s0 to s4: the gradient, s5: the weight, s6: the weighted innovation, s8 to s27: the sums, each row of the matrix
 * followed by its element of the vector, s7: a weighted element of the gradient. */
#define CLEAR(sum) COPY(sum, "%[zero]")
#define CLEAR_ALL                                                                                                      \
    CLEAR(8) CLEAR(9) CLEAR(10) CLEAR(11) CLEAR(12) CLEAR(13) CLEAR(14) CLEAR(15) CLEAR(16) CLEAR(17) CLEAR(18)        \
    CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(24) CLEAR(25) CLEAR(26) CLEAR(27)
#define ADD_ROW_0                                                                                                      \
    MULTIPLY(7, 0, 5) MULTIPLY(28, 0, 6) MULTIPLY(29, 0, 7) MULTIPLY(30, 1, 7) MULTIPLY(31, 2, 7)                      \
    ADD(13, 28) ADD(8, 29) ADD(9, 30) ADD(10, 31)                                                                      \
    MULTIPLY(28, 3, 7) MULTIPLY(29, 4, 7)
#define ADD_ROW_1                                                                                                      \
    MULTIPLY(7, 1, 5) ADD(11, 28) ADD(12, 29)                                                                          \
    MULTIPLY(0, 1, 6) MULTIPLY(28, 1, 7) MULTIPLY(29, 2, 7) MULTIPLY(30, 3, 7) MULTIPLY(31, 4, 7)                      \
    ADD(18, 0) ADD(14, 28) ADD(15, 29) ADD(16, 30) ADD(17, 31)
#define ADD_ROW_2                                                                                                      \
    MULTIPLY(7, 2, 5) MULTIPLY(0, 2, 6) MULTIPLY(28, 2, 7) MULTIPLY(29, 3, 7) MULTIPLY(30, 4, 7)                       \
    ADD(22, 0) ADD(19, 28) ADD(20, 29) ADD(21, 30)
#define ADD_ROWS_3_AND_4                                                                                               \
    MULTIPLY(7, 3, 5) MULTIPLY(1, 4, 5) MULTIPLY(28, 3, 6) MULTIPLY(29, 4, 6)                                          \
    MULTIPLY(30, 3, 7) MULTIPLY(31, 4, 7) MULTIPLY(2, 4, 1)                                                            \
    ADD(25, 28) ADD(27, 29) ADD(23, 30) ADD(24, 31) ADD(26, 2)

#define SUM(name, number) register float name __asm__("s" #number)
#define DEFINE_SUMS                                                                                                    \
    SUM(m00, 8); SUM(m01, 9); SUM(m02, 10); SUM(m03, 11); SUM(m04, 12); SUM(v0, 13);                                   \
    SUM(m11, 14); SUM(m12, 15); SUM(m13, 16); SUM(m14, 17); SUM(v1, 18);                                               \
    SUM(m22, 19); SUM(m23, 20); SUM(m24, 21); SUM(v2, 22);                                                             \
    SUM(m33, 23); SUM(m34, 24); SUM(v3, 25); SUM(m44, 26); SUM(v4, 27)
/* clang-format on */

static inline void information_gather_five(const observation_t *row, const observation_t *end,
                                           real_t (*matrix)[INFORMATION_N], real_t *vector)
{
    DEFINE_SUMS;
    __asm__(CLEAR_ALL "cmp %[row], %[end]\n\tbeq 2f\n"
                      "1:\n\tvldmia %[row]!, {s0-s7}\n\t" ADD_ROW_0 ADD_ROW_1 ADD_ROW_2 ADD_ROWS_3_AND_4
                      "cmp %[row], %[end]\n\tbne 1b\n2:"
            : [row] "+&r"(row), "=t"(m00), "=t"(m01), "=t"(m02), "=t"(m03), "=t"(m04), "=t"(v0), "=t"(m11), "=t"(m12),
              "=t"(m13), "=t"(m14), "=t"(v1), "=t"(m22), "=t"(m23), "=t"(m24), "=t"(v2), "=t"(m33), "=t"(m34), "=t"(v3),
              "=t"(m44), "=t"(v4)
            : [end] "r"(end), [zero] "r"(0)
            : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s28", "s29", "s30", "s31", "cc", "memory");
    const real_t sums[] = {m00, m01, m02, m03, m04, v0,  m11, m12, m13, m14,
                           v1,  m22, m23, m24, v2,  m33, m34, v3,  m44, v4};
    const real_t *sum = sums;
#pragma GCC unroll 5
    for (unsigned k = 0; k < 5U; k++) {
#pragma GCC unroll 5
        for (unsigned j = k; j < 5U; j++) {
            matrix[k][j] = *sum++;
        }
        vector[k] = *sum++;
    }
}

#endif
#endif
