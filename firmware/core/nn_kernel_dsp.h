/* What the kernels in assembly share: nn_kernel_column.c, nn_kernel_blocks.c.
 *
 * A Cortex-M4 multiplies two pairs of half-words in a cycle, and takes 1 + N cycles to load N words, but only one to take
 * a word from a register of the FPU. So the values that all rows meet wait in s0-s31, one column or a block of two with
 * 16 steps each, and the weights stream by, four words with every LDM.
 *
 *     blocks   r0 weights   r1-r3, r12 four rows of one step   lr value     r4-r11 sums [row][column]
 *     column   r0 weights   r4-r11 four rows of two steps      lr value     r1-r3, r12 sums [row]
 *
 * Sixteen products of a block take 15 cycles and 11 instructions. No register is left: where the sums go to and where the
 * weights end stand in memory. Weights are stored as half-words: a byte for each would cost a SXTB16 for every pair. */
#ifndef EISHIL_CORE_NN_KERNEL_DSP_H
#define EISHIL_CORE_NN_KERNEL_DSP_H

#include "nn_kernel.h"

/* clang-format off */
#define CORE_REGISTERS "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr"
#define LOW_FPU_REGISTERS                                                                                              \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15"
#define HIGH_FPU_REGISTERS                                                                                             \
    "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"

/* Whether there is such a step is the assembler's business: it knows NN_STEPS as a number. */
#define STEP_IF(k, step) ".if %c[steps] > " #k "\n\t" step ".endif\n\t"

#define FIRST(value, sum, weight) "smuad " sum ", " weight ", " value "\n\t"
#define NEXT(value, sum, weight)  "smlad " sum ", " weight ", " value ", " sum "\n\t"

#define FOUR_ROWS(multiply, value, sum0, sum1, sum2, sum3, w0, w1, w2, w3)                                             \
    "vmov lr, " value "\n\t" multiply("lr", sum0, w0) multiply("lr", sum1, w1) multiply("lr", sum2, w2)                \
        multiply("lr", sum3, w3)

/* Two rows that are left, two steps at a time, in `passes`; both the weights and the values stream by. */
#define FOR_REST(scratch, steps)                                                                                       \
    "0:\n\t.rept %c[steps] / 2 / %c[passes]\n\t" steps ".endr\n\t"                                                     \
    "vmov " scratch ", %[end]\n\t"                                                                                     \
    "cmp r0, " scratch "\n\t"                                                                                          \
    "bne 0b\n\t"
#define REST_PASSES(most) (NN_STEPS % (2U * (most)) == 0U ? (most) : 1U)
/* clang-format on */

static inline const uint32_t *nn_kernel_rest_of_weights(const nn_layer_t *layer)
{
    return layer->weight + 4U * NN_STEPS * layer->n_quads;
}

static inline bool nn_kernel_leaves_rest(const nn_layer_t *layer)
{
    return layer->n_out > 4U * layer->n_quads;
}

#endif
