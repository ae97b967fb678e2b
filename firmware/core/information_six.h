/* What information_compress does with five channels that all observations have, the first of them an error of the
 * context, and one series term: in its order, with the sums in the registers of the FPU and no result waited for. */
#ifndef EISHIL_CORE_INFORMATION_SIX_H
#define EISHIL_CORE_INFORMATION_SIX_H

#include "assembly.h"
#include "block_moves.h"
#include "information.h"

#define INFORMATION_SIX_IS_THERE                                                                                       \
    (BLOCK_MOVES && INFORMATION_N_SHARED == 5U && INFORMATION_N == 6U && INFORMATION_N_CONTEXTS == 1U &&               \
     !MODEL_HAS_CURVATURE && MODEL_N_PRIORS == 1U)

#if INFORMATION_SIX_IS_THERE

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

/* The series term's column of the matrix in s0 to s5, its element of the vector in s6. */
#define ADD_CONTEXT_PRIOR                                                                                              \
    COPY(7, "%[std]") MULTIPLY(28, 7, 7) MULTIPLY(9, 9, 7) MULTIPLY(10, 10, 7) MULTIPLY(11, 11, 7) MULTIPLY(12, 12, 7) \
    MULTIPLY(0, 0, 7) MULTIPLY(13, 13, 7) MULTIPLY(8, 8, 28) "vmov.f32 s31, #1.0\n\tvadd.f32 s8, s8, s31\n\t"
/* The least pivots, in the place of the series term's sums in the memory. */
#define KEEP_LEAST                                                                                                     \
    COPY(31, "%[least]") MULTIPLY(28, 14, 31) MULTIPLY(29, 19, 31) MULTIPLY(30, 23, 31) MULTIPLY(7, 5, 31)             \
    MULTIPLY(31, 26, 31) "vstr s7, [%[series], #16]\n\tvstmia %[series], {s28-s31}\n\t"

/* The context: row s8 to s12 and s0, its element of the vector s13. s31: the inverse pivot, s7 and s8: factors. */
#define ELIMINATE_CONTEXT                                                                                              \
    "vmov.f32 s31, #1.0\n\tvdiv.f32 s31, s31, s8\n\t" COPY(30, "%[length]")                                            \
    MULTIPLY(29, 13, 31) MULTIPLY(7, 9, 31) MULTIPLY(29, 13, 29) MULTIPLY(8, 10, 31) SUBTRACT(30, 29)                  \
    MULTIPLY(28, 7, 13) MULTIPLY(29, 7, 9) "vmov %[length], s30\n\t" MULTIPLY(30, 7, 10)                               \
    SUBTRACT(18, 28) SUBTRACT(14, 29) SUBTRACT(15, 30)                                                                 \
    MULTIPLY(28, 7, 11) MULTIPLY(29, 7, 12) MULTIPLY(30, 7, 0) MULTIPLY(7, 11, 31)                                     \
    SUBTRACT(16, 28) SUBTRACT(17, 29) SUBTRACT(1, 30)                                                                  \
    MULTIPLY(28, 8, 13) MULTIPLY(29, 8, 10) MULTIPLY(30, 8, 11) MULTIPLY(9, 8, 12)                                     \
    SUBTRACT(22, 28) SUBTRACT(19, 29) SUBTRACT(20, 30) SUBTRACT(21, 9)                                                 \
    MULTIPLY(28, 8, 0) MULTIPLY(8, 12, 31) SUBTRACT(2, 28)                                                             \
    MULTIPLY(28, 7, 13) MULTIPLY(29, 7, 11) MULTIPLY(30, 7, 12) MULTIPLY(9, 7, 0) MULTIPLY(7, 0, 31)                   \
    SUBTRACT(25, 28) SUBTRACT(23, 29) SUBTRACT(24, 30) SUBTRACT(3, 9)                                                  \
    MULTIPLY(28, 8, 13) MULTIPLY(29, 8, 12) MULTIPLY(30, 8, 0) MULTIPLY(9, 7, 13) MULTIPLY(10, 7, 0)                   \
    SUBTRACT(27, 28) SUBTRACT(26, 29) SUBTRACT(4, 30) SUBTRACT(6, 9) SUBTRACT(5, 10) "vmov.f32 s7, #1.0\n\t"

/* Channel k of five, to the next label where its pivot is rounding. s7 and on become the pseudo-observation: 1, the
 * other factors, the innovation and the variance; s0: the length. */
#define BEGIN(k, pivot, variance)                                                                                      \
    "vldr s28, [%[series], #" #k " * 4]\n\tvcmpe.f32 s" #pivot ", s28\n\tvmrs APSR_nzcv, fpscr\n\tble 3f\n\t"          \
    "vdiv.f32 s" #variance ", s7, s" #pivot "\n\t" COPY(0, "%[length]")
#define STORE_0     "str %[zero], [%[out]], #4\n\t"
#define STORE(last) "vstmia %[out]!, {s7-s" #last "}\n\t"
#define KEEP_LENGTH "vmov %[length], s0\n\t"
#define ELIMINATE_0                                                                                                    \
    BEGIN(0, 14, 13) MULTIPLY(8, 15, 13) MULTIPLY(9, 16, 13) MULTIPLY(10, 17, 13) MULTIPLY(11, 1, 13)                  \
    MULTIPLY(12, 18, 13) STORE(13)                                                                                     \
    MULTIPLY(28, 18, 12) MULTIPLY(29, 8, 18) MULTIPLY(30, 8, 15) MULTIPLY(31, 8, 16)                                   \
    SUBTRACT(0, 28) SUBTRACT(22, 29) SUBTRACT(19, 30) SUBTRACT(20, 31) KEEP_LENGTH                                     \
    MULTIPLY(28, 8, 17) MULTIPLY(29, 8, 1) MULTIPLY(30, 9, 18) MULTIPLY(31, 9, 16)                                     \
    SUBTRACT(21, 28) SUBTRACT(2, 29) SUBTRACT(25, 30) SUBTRACT(23, 31)                                                 \
    MULTIPLY(28, 9, 17) MULTIPLY(29, 9, 1) MULTIPLY(30, 10, 18) MULTIPLY(31, 10, 17)                                   \
    SUBTRACT(24, 28) SUBTRACT(3, 29) SUBTRACT(27, 30) SUBTRACT(26, 31)                                                 \
    MULTIPLY(28, 10, 1) MULTIPLY(29, 11, 18) MULTIPLY(30, 11, 1) SUBTRACT(4, 28) SUBTRACT(6, 29) SUBTRACT(5, 30) "3:\n\t"
#define ELIMINATE_1                                                                                                    \
    BEGIN(1, 19, 12) MULTIPLY(8, 20, 12) MULTIPLY(9, 21, 12) MULTIPLY(10, 2, 12) MULTIPLY(11, 22, 12)                  \
    STORE_0 STORE(12)                                                                                                  \
    MULTIPLY(28, 22, 11) MULTIPLY(29, 8, 22) MULTIPLY(30, 8, 20) MULTIPLY(31, 8, 21)                                   \
    SUBTRACT(0, 28) SUBTRACT(25, 29) SUBTRACT(23, 30) SUBTRACT(24, 31) KEEP_LENGTH                                     \
    MULTIPLY(28, 8, 2) MULTIPLY(29, 9, 22) MULTIPLY(30, 9, 21) MULTIPLY(31, 9, 2)                                      \
    SUBTRACT(3, 28) SUBTRACT(27, 29) SUBTRACT(26, 30) SUBTRACT(4, 31)                                                  \
    MULTIPLY(28, 10, 22) MULTIPLY(29, 10, 2) SUBTRACT(6, 28) SUBTRACT(5, 29) "3:\n\t"
#define ELIMINATE_2                                                                                                    \
    BEGIN(2, 23, 11) MULTIPLY(8, 24, 11) MULTIPLY(9, 3, 11) MULTIPLY(10, 25, 11) STORE_0 STORE_0 STORE(11)             \
    MULTIPLY(28, 25, 10) MULTIPLY(29, 8, 25) MULTIPLY(30, 8, 24) MULTIPLY(31, 8, 3)                                    \
    SUBTRACT(0, 28) SUBTRACT(27, 29) SUBTRACT(26, 30) SUBTRACT(4, 31) KEEP_LENGTH                                      \
    MULTIPLY(28, 9, 25) MULTIPLY(29, 9, 3) SUBTRACT(6, 28) SUBTRACT(5, 29) "3:\n\t"
#define ELIMINATE_3                                                                                                    \
    BEGIN(3, 26, 10) MULTIPLY(8, 4, 10) MULTIPLY(9, 27, 10) STORE_0 STORE_0 STORE_0 STORE(10)                          \
    MULTIPLY(28, 27, 9) MULTIPLY(29, 8, 27) MULTIPLY(30, 8, 4)                                                         \
    SUBTRACT(0, 28) SUBTRACT(6, 29) SUBTRACT(5, 30) KEEP_LENGTH "3:\n\t"
#define ELIMINATE_4                                                                                                    \
    BEGIN(4, 5, 9) MULTIPLY(8, 6, 9) STORE_0 STORE_0 STORE_0 STORE_0 STORE(9)                                          \
    MULTIPLY(28, 6, 8) SUBTRACT(0, 28) KEEP_LENGTH "3:\n\t"
/* clang-format on */

/* series: the series term's sums, the matrix's column and then the vector's element; they are overwritten. *length: of
 * the observations, then what is left of it. */
static inline unsigned information_compress_six(const observations_t *observations, real_t *series, real_t context_std,
                                                real_t least, pseudo_observation_t *out, real_t *length)
{
    const observation_t *row = observations->row;
    const observation_t *end = row + observations->n;
    const pseudo_observation_t *const first = out;
    real_t left = *length;
    __asm__ volatile(CLEAR_ALL
                     "cmp %[row], %[end]\n\tbeq 2f\n"
                     "1:\n\tvldmia %[row]!, {s0-s7}\n\t" ADD_ROW_0 ADD_ROW_1 ADD_ROW_2 ADD_ROWS_3_AND_4
                     "cmp %[row], %[end]\n\tbne 1b\n2:\n\tvldmia %[series], {s0-s6}\n\t" ADD_CONTEXT_PRIOR KEEP_LEAST
                         ELIMINATE_CONTEXT ELIMINATE_0 ELIMINATE_1 ELIMINATE_2 ELIMINATE_3 ELIMINATE_4
                     : [row] "+&r"(row), [out] "+&r"(out), [length] "+&r"(left)
                     : [end] "r"(end), [zero] "r"(0), [series] "r"(series), [std] "r"(context_std), [least] "r"(least)
                     : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14",
                       "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28",
                       "s29", "s30", "s31", "cc", "memory");
    *length = left;
    return (unsigned)(out - first);
}

#endif
#endif
