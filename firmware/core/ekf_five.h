/* Scalar updates of a covariance of five states, with all but a pseudo-observation in the registers of the FPU: what
 * update_scalar in ekf.c does, in its order. */
#ifndef EISHIL_CORE_EKF_FIVE_H
#define EISHIL_CORE_EKF_FIVE_H

#include "assembly.h"
#include "block_moves.h"
#include "gaussian.h"
#include "information.h"

/* Five channels, of which the series term's comes last and has no scale, and one filter. */
#if BLOCK_MOVES && !defined(NETWORK_IS_REAL) && !MODEL_IS_LATENT && MODEL_N_STATES == 5U && MODEL_N_CHANNELS == 5U &&  \
    MODEL_N_INPUTS == 6U && MODEL_N_PRIORS == 1U

#define EKF_FIVE_IS_THERE 1

/* clang-format off */
/* s0 to s14: P by rows, s15 to s19: dx, s20 to s24: P H^T, s25 to s29: H, s30: nu, s31: S. */
#define LOAD_H                                                                                                         \
    "vldmia %[seen]!, {s25-s29}\n\tvldmia %[scale], {s20-s23}\n\t"                                                     \
    MULTIPLY(25, 25, 20) MULTIPLY(26, 26, 21) MULTIPLY(27, 27, 22) MULTIPLY(28, 28, 23)

/* A column of P by its element of H. */
#define ADD_COLUMN(H, p0, p1, p2, p3, p4, compare)                                                                     \
    MULTIPLY(30, H, p0) MULTIPLY(31, H, p1) ADD(20, 30) ADD(21, 31)                                                    \
    MULTIPLY(30, H, p2) MULTIPLY(31, H, p3) ADD(22, 30) ADD(23, 31)                                                    \
    MULTIPLY(30, H, p4) compare ADD(24, 30)
#define COMPARE(last)    "cmp %[first], #" #last "\n\t"
#define LEAVE_WHERE_LAST "beq 2f\n\t"
#define MULTIPLY_P                                                                                                     \
    MULTIPLY(20, 29, 4) MULTIPLY(21, 29, 8) MULTIPLY(22, 29, 11) MULTIPLY(23, 29, 13) MULTIPLY(24, 29, 14)             \
    COMPARE(4) LEAVE_WHERE_LAST                                                                                        \
    ADD_COLUMN(28, 3, 7, 10, 12, 13, COMPARE(3)) LEAVE_WHERE_LAST                                                      \
    ADD_COLUMN(27, 2, 6, 9, 10, 11, COMPARE(2)) LEAVE_WHERE_LAST                                                       \
    ADD_COLUMN(26, 1, 5, 6, 7, 8, COMPARE(1)) LEAVE_WHERE_LAST                                                         \
    ADD_COLUMN(25, 0, 1, 2, 3, 4, "")                                                                                  \
    "2:\n\t"

/* nu - H dx and S + H P H^T; to label 3 where S has no logarithm. Products take the place of H. */
#define PROJECT(H, dx, PHt) MULTIPLY(29, H, dx) MULTIPLY(H, H, PHt) SUBTRACT(30, 29) ADD(31, H)
#define PROJECT_ALL                                                                                                    \
    "vldmia %[seen]!, {s30-s31}\n\tvmls.f32 s30, s29, s19\n\t" MULTIPLY(29, 29, 24)                                    \
    "add %[first], %[first], #1\n\t" ADD(31, 29)                                                                       \
    PROJECT(28, 18, 23) PROJECT(27, 17, 22) PROJECT(26, 16, 21)                                                        \
    MULTIPLY(29, 25, 15) MULTIPLY(25, 25, 20) ADD(31, 25) SUBTRACT(30, 29)                                             \
    "vmov %[bits], s31\n\tsub %[bits], %[bits], #0x800000\n\tcmp %[bits], #0x7f000000\n\tbhs 3f\n\t"

/* s29: 1 / S, s28: nu / S. */
#define ADD_TO_DX                                                                                                      \
    "vmov.f32 s29, #1.0\n\tvdiv.f32 s29, s29, s31\n\tcmp %[first], %[n]\n\t"                                           \
    MULTIPLY(28, 30, 29) COPY(27, "%[nis]")                                                                            \
    MULTIPLY(30, 30, 28) MULTIPLY(25, 28, 20) ADD(27, 30) MULTIPLY(26, 28, 21) "vmov %[nis], s27\n\t"                  \
    MULTIPLY(30, 28, 22) MULTIPLY(31, 28, 23) ADD(15, 25) ADD(16, 26)                                                  \
    MULTIPLY(25, 28, 24) ADD(17, 30) ADD(18, 31) MULTIPLY(26, 20, 29) ADD(19, 25)

/* s26: the gain by the row's state. */
#define SUBTRACT_FROM_P                                                                                                \
    MULTIPLY(25, 26, 20) MULTIPLY(27, 26, 21) MULTIPLY(28, 26, 22) MULTIPLY(30, 26, 23) MULTIPLY(31, 26, 24)           \
    MULTIPLY(26, 21, 29) SUBTRACT(0, 25) SUBTRACT(1, 27) SUBTRACT(2, 28) SUBTRACT(3, 30) SUBTRACT(4, 31)               \
    MULTIPLY(25, 26, 21) MULTIPLY(27, 26, 22) MULTIPLY(28, 26, 23) MULTIPLY(30, 26, 24)                                \
    MULTIPLY(26, 22, 29) SUBTRACT(5, 25) SUBTRACT(6, 27) SUBTRACT(7, 28) SUBTRACT(8, 30)                               \
    MULTIPLY(25, 26, 22) MULTIPLY(27, 26, 23) MULTIPLY(28, 26, 24)                                                     \
    MULTIPLY(26, 23, 29) MULTIPLY(30, 24, 29) SUBTRACT(9, 25) SUBTRACT(10, 27) SUBTRACT(11, 28)                        \
    MULTIPLY(25, 26, 23) MULTIPLY(27, 26, 24) MULTIPLY(28, 30, 24)                                                     \
    SUBTRACT(12, 25) SUBTRACT(13, 27) SUBTRACT(14, 28)
#define ADD_DX_TO_X                                                                                                    \
    "vldmia %[x], {s20-s24}\n\t" ADD(20, 15) ADD(21, 16) ADD(22, 17) ADD(23, 18) ADD(24, 19)                           \
    "vstmia %[x], {s20-s24}\n\t"
#define CLEAR_DX(zero) COPY(15, zero) COPY(16, zero) COPY(17, zero) COPY(18, zero) COPY(19, zero)
/* clang-format on */

/* Pseudo-observation k's gradient is 0 before element k; there is one at least. scale [4]: of the gradients. */
static inline bool ekf_update_five(gaussian_t *f, const float *scale, const pseudo_observation_t *seen, unsigned n_seen,
                                   real_t *nis)
{
    real_t sum = *nis;
    unsigned first = 0;
    unsigned bits;
    __asm__ volatile("vldmia %[P], {s0-s14}\n\t" CLEAR_DX(
                         "%[first]") "1:\n\t" LOAD_H MULTIPLY_P PROJECT_ALL ADD_TO_DX SUBTRACT_FROM_P
                                     "bne 1b\n\tvstmia %[P], {s0-s14}\n\t" ADD_DX_TO_X "3:"
                     : [seen] "+&r"(seen), [first] "+&r"(first), [nis] "+&r"(sum), [bits] "=&r"(bits)
                     : [P] "r"(f->P), [x] "r"(f->x), [scale] "r"(scale), [n] "r"(n_seen)
                     : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14",
                       "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28",
                       "s29", "s30", "s31", "cc", "memory");
    *nis = sum;
    return bits < 0x7f000000U;
}

#else
#define EKF_FIVE_IS_THERE 0
#endif

#endif
