#include "nn_kernel.h"

#include <stddef.h>

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_dsp_t;

#if NN_KERNEL_ASSEMBLY

/* A Cortex-M4 multiplies two pairs of half-words in a cycle, and takes 1 + N cycles to load N words, but only one to take
 * a word from a register of the FPU. So the values that all rows meet wait in s0-s31, one column or a block of two with
 * 16 steps each, and the weights stream by, four words with every LDM.
 *
 *     blocks   r0 weights   r1-r3, r12 four rows of one step   lr value     r4-r11 sums [row][column]
 *     column   r0 weights   r4-r11 four rows of two steps      lr value     r1-r3, r12 sums [row]
 *
 * Sixteen products of a block take 15 cycles and 11 instructions. No register is left: where the sums go to and where the
 * weights end stand in memory. Weights are stored as half-words: a byte for each would cost a SXTB16 for every pair. */
static const uint32_t *weights_end(const nn_layer_t *layer)
{
    return layer->weight + 4U * NN_STEPS * NN_QUADS(layer->n_out);
}

/* clang-format off */
#define CORE_REGISTERS "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr"
#define LOW_FPU_REGISTERS "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15"
#define HIGH_FPU_REGISTERS "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"

/* Whether there is such a step is the assembler's business: it knows NN_STEPS as a number. */
#define STEP_IF(k, step) ".if %c[steps] > " #k "\n\t" step ".endif\n\t"

#define FIRST(value, sum, weight) "smuad " sum ", " weight ", " value "\n\t"
#define NEXT(value, sum, weight)  "smlad " sum ", " weight ", " value ", " sum "\n\t"

#define FOUR_ROWS(multiply, value, sum0, sum1, sum2, sum3, w0, w1, w2, w3)                                             \
    "vmov lr, " value "\n\t" multiply("lr", sum0, w0) multiply("lr", sum1, w1) multiply("lr", sum2, w2)                \
        multiply("lr", sum3, w3)

/* Values of step k stand in s(2k) and s(2k + 1). */
#define BLOCK_STEP(multiply, left, right)                                                                              \
    "ldm r0!, {r1, r2, r3, r12}\n\t"                                                                                   \
    FOUR_ROWS(multiply, left, "r4", "r6", "r8", "r10", "r1", "r2", "r3", "r12")                                        \
    FOUR_ROWS(multiply, right, "r5", "r7", "r9", "r11", "r1", "r2", "r3", "r12")
#define BLOCK_STEPS                                                                                                    \
    BLOCK_STEP(FIRST, "s0", "s1") BLOCK_STEP(NEXT, "s2", "s3")                                                         \
    STEP_IF(2, BLOCK_STEP(NEXT, "s4", "s5"))    STEP_IF(3, BLOCK_STEP(NEXT, "s6", "s7"))                               \
    STEP_IF(4, BLOCK_STEP(NEXT, "s8", "s9"))    STEP_IF(5, BLOCK_STEP(NEXT, "s10", "s11"))                             \
    STEP_IF(6, BLOCK_STEP(NEXT, "s12", "s13"))  STEP_IF(7, BLOCK_STEP(NEXT, "s14", "s15"))                             \
    STEP_IF(8, BLOCK_STEP(NEXT, "s16", "s17"))  STEP_IF(9, BLOCK_STEP(NEXT, "s18", "s19"))                             \
    STEP_IF(10, BLOCK_STEP(NEXT, "s20", "s21")) STEP_IF(11, BLOCK_STEP(NEXT, "s22", "s23"))                            \
    STEP_IF(12, BLOCK_STEP(NEXT, "s24", "s25")) STEP_IF(13, BLOCK_STEP(NEXT, "s26", "s27"))                            \
    STEP_IF(14, BLOCK_STEP(NEXT, "s28", "s29")) STEP_IF(15, BLOCK_STEP(NEXT, "s30", "s31"))

/* Sums of four rows to two columns, and on to the next four. */
#define STORE_BLOCK                                                                                                    \
    "ldr lr, %[out]\n\t"                                                                                               \
    "str r4, [lr]\n\t"                      "str r5, [lr, #4]\n\t"                                                     \
    "str r6, [lr, #%c[stride]]\n\t"           "str r7, [lr, #%c[stride] + 4]\n\t"                                          \
    "str r8, [lr, #2 * %c[stride]]\n\t"       "str r9, [lr, #2 * %c[stride] + 4]\n\t"                                      \
    "str r10, [lr, #3 * %c[stride]]\n\t"      "str r11, [lr, #3 * %c[stride] + 4]\n\t"                                     \
    "add lr, lr, #4 * %c[stride]\n\t"                                                                                    \
    "str lr, %[out]\n\t"

/* Sums of four rows times their multipliers, rounded, are two pairs of units in two columns. */
#define REQUANTISE(row0, row1, row2, row3)                                                                             \
    "smmulr " row0 ", " row0 ", r2\n\t"    "smmulr " row1 ", " row1 ", r3\n\t"                                         \
    "smmulr " row2 ", " row2 ", r12\n\t"    "smmulr " row3 ", " row3 ", lr\n\t"
#define PROPAGATE_BLOCK                                                                                                \
    "ldm r1!, {r2, r3, r12, lr}\n\t"                                                                                   \
    "str r1, %[multiplier]\n\t"                                                                                        \
    REQUANTISE("r4", "r6", "r8", "r10") REQUANTISE("r5", "r7", "r9", "r11")                                            \
    "pkhbt r4, r4, r6, lsl #16\n\t"        "pkhbt r5, r5, r7, lsl #16\n\t"                                             \
    "pkhbt r6, r8, r10, lsl #16\n\t"       "pkhbt r7, r9, r11, lsl #16\n\t"                                            \
    "ldr lr, %[out]\n\t"                                                                                               \
    "stm lr!, {r4-r7}\n\t"                                                                                             \
    "str lr, %[out]\n\t"

/* A layer times one block. Without multipliers the sums go out, [row][NN_STRIDE]; with them, the next block. */
static inline __attribute__((always_inline)) void multiply_block(const uint32_t *weights, const uint32_t *weights_end,
                                                                 const nn_block_t *in, const int32_t *multiplier,
                                                                 void *out)
{
    register const uint32_t *weight __asm__("r0") = weights;
    register const nn_block_t *values __asm__("r1") = in;
    __asm__ volatile("vldmia r1, {s0-s%c[last]}\n"
                     "0:\n\t" BLOCK_STEPS
                     "ldr lr, %[end]\n\t"
                     "ldr r1, %[multiplier]\n\t"
                     "cmp r0, lr\n\t"
                     "cbz r1, 1f\n\t" PROPAGATE_BLOCK
                     "bne 0b\n\t"
                     "b 2f\n"
                     "1:\n\t" STORE_BLOCK
                     "bne 0b\n"
                     "2:\n\t"
                     : "+r"(weight), "+r"(values), [multiplier] "+m"(multiplier), [out] "+m"(out)
                     : [end] "m"(weights_end), [steps] "i"(NN_STEPS), [last] "i"(2U * NN_STEPS - 1U),
                       [stride] "i"(NN_STRIDE * sizeof(int32_t))
                     : CORE_REGISTERS, LOW_FPU_REGISTERS, HIGH_FPU_REGISTERS, "cc", "memory");
}

/* Values of a pair of steps stand in s(2k) and s(2k + 1). */
#define COLUMN_STEPS_2(left, right)                                                                                    \
    "ldm r0!, {r4-r11}\n\t"                                                                                            \
    FOUR_ROWS(NEXT, left, "r1", "r2", "r3", "r12", "r4", "r5", "r6", "r7")                                             \
    FOUR_ROWS(NEXT, right, "r1", "r2", "r3", "r12", "r8", "r9", "r10", "r11")
#define COLUMN_STEPS                                                                                                   \
    COLUMN_STEPS_2("s0", "s1")                                                                                         \
    STEP_IF(2, COLUMN_STEPS_2("s2", "s3"))     STEP_IF(4, COLUMN_STEPS_2("s4", "s5"))                                  \
    STEP_IF(6, COLUMN_STEPS_2("s6", "s7"))     STEP_IF(8, COLUMN_STEPS_2("s8", "s9"))                                  \
    STEP_IF(10, COLUMN_STEPS_2("s10", "s11"))  STEP_IF(12, COLUMN_STEPS_2("s12", "s13"))                               \
    STEP_IF(14, COLUMN_STEPS_2("s14", "s15"))

/* The sums begin with the biases. */
#define LOAD_BIASES                                                                                                    \
    "vmov lr, %[rows]\n\t"                                                                                             \
    "ldm lr!, {r1, r2, r3, r12}\n\t"                                                                                   \
    "vmov %[rows], lr\n\t"

#define STORE_COLUMN                                                                                                   \
    "vmov lr, %[out]\n\t"                                                                                              \
    "str r1, [lr]\n\t"                                                                                                 \
    "str r2, [lr, #%c[stride]]\n\t"                                                                                    \
    "str r3, [lr, #2 * %c[stride]]\n\t"                                                                                \
    "str r12, [lr, #3 * %c[stride]]\n\t"                                                                               \
    "add lr, lr, #4 * %c[stride]\n\t"                                                                                  \
    "vmov %[out], lr\n\t"

/* One instruction for each of four rows: sums or what becomes of them in r1-r3 and r12, or in r4-r7. */
#define EACH(op, d0, d1, d2, d3, s0, s1, s2, s3, more)                                                                 \
    op " " d0 ", " s0 more "\n\t" op " " d1 ", " s1 more "\n\t" op " " d2 ", " s2 more "\n\t" op " " d3 ", " s3 more "\n\t"
#define SUMS  "r1", "r2", "r3", "r12"
#define NODES "r4", "r5", "r6", "r7"
#define EACH_(...) EACH(__VA_ARGS__)

/* Accumulators become pre-activations p, then k = floor(p / 64) and f = p - 64 k; the nodes k and k + 1 are half-words in
 * a row, and f (2^16 - 1) + 64 has their weights 64 - f and f. Then slopes, and the tangents' multipliers. */
#define ACTIVATE_COLUMN                                                                                                \
    "vmov lr, %[rows]\n\t"                                                                                             \
    "ldm lr!, {r4-r7}\n\t"                                                                                             \
    "smmulr r1, r1, r4\n\t"  "smmulr r2, r2, r5\n\t"  "smmulr r3, r3, r6\n\t"  "smmulr r12, r12, r7\n\t"               \
    "ssat r1, #15, r1\n\t"   "ssat r2, #15, r2\n\t"   "ssat r3, #15, r3\n\t"   "ssat r12, #15, r12\n\t"                \
    "vmov r11, %[table]\n\t"                                                                                           \
    EACH_("asr", NODES, SUMS, ", #6")                                                                                  \
    "ldr r4, [r11, r4, lsl #1]\n\t"  "ldr r5, [r11, r5, lsl #1]\n\t"                                                   \
    "ldr r6, [r11, r6, lsl #1]\n\t"  "ldr r7, [r11, r7, lsl #1]\n\t"                                                   \
    "vmov r8, %[ones]\n\t"                                                                                             \
    "mov r9, #64\n\t"                                                                                                  \
    EACH_("and", SUMS, SUMS, ", #63")                                                                                  \
    EACH_("mla", SUMS, SUMS, ", r8, r9")                                                                               \
    "mov r8, #512\n\t"                                                                                                 \
    "smlad r4, r4, r1, r8\n\t"  "smlad r5, r5, r2, r8\n\t"  "smlad r6, r6, r3, r8\n\t"  "smlad r7, r7, r12, r8\n\t"    \
    EACH_("asr", NODES, NODES, ", #10")                                                                                \
    "pkhbt r1, r4, r5, lsl #16\n\t"                                                                                    \
    "pkhbt r2, r6, r7, lsl #16\n\t"                                                                                    \
    "vmov r3, %[out]\n\t"                                                                                              \
    "strd r1, r2, [r3], #8\n\t"                                                                                        \
    "vmov %[out], r3\n\t"                                                                                              \
    "mov r8, #1 << 22\n\t"                                                                                             \
    "mls r4, r4, r4, r8\n\t"    "mls r5, r5, r5, r8\n\t"    "mls r6, r6, r6, r8\n\t"    "mls r7, r7, r7, r8\n\t"       \
    EACH_("lsl", NODES, NODES, ", #8")                                                                                 \
    "ldm lr!, {r8-r11}\n\t"                                                                                            \
    "vmov %[rows], lr\n\t"                                                                                             \
    "smmulr r4, r8, r4\n\t"     "smmulr r5, r9, r5\n\t"     "smmulr r6, r10, r6\n\t"    "smmulr r7, r11, r7\n\t"       \
    "vmov r3, %[multiplier]\n\t"                                                                                       \
    "stm r3!, {r4-r7}\n\t"                                                                                             \
    "vmov %[multiplier], r3\n\t"

/* A layer times one column. Without multipliers the sums go out, NN_STRIDE apart; with them, a hidden layer's units. */
static __attribute__((noinline)) void multiply_column(const nn_layer_t *layer, const nn_column_t *in,
                                                      int32_t *multiplier, void *out)
{
    register const uint32_t *weight __asm__("r0") = layer->weight;
    register const nn_column_t *values __asm__("r1") = in;
    const int32_t *rows = layer->rows;
    const uint32_t ones = 0xFFFFU;
    __asm__ volatile("vldmia r1, {s0-s%c[last]}\n"
                     "0:\n\t" LOAD_BIASES COLUMN_STEPS
                     "vmov r4, %[multiplier]\n\t"
                     "cbnz r4, 1f\n\t" STORE_COLUMN
                     "vmov r4, %[end]\n\t"
                     "cmp r0, r4\n\t"
                     "bne 0b\n\t"
                     "b 2f\n"
                     "1:\n\t" ACTIVATE_COLUMN
                     "vmov r4, %[end]\n\t"
                     "cmp r0, r4\n\t"
                     "bne 0b\n"
                     "2:\n\t"
                     : "+r"(weight), "+r"(values), [rows] "+t"(rows), [out] "+t"(out), [multiplier] "+t"(multiplier)
                     : [end] "t"(weights_end(layer)), [table] "t"(nn_tanh_middle), [ones] "t"(ones),
                       [steps] "i"(NN_STEPS), [last] "i"(NN_STEPS - 1U), [stride] "i"(NN_STRIDE * sizeof(int32_t))
                     : CORE_REGISTERS, LOW_FPU_REGISTERS, "cc", "memory");
}

void nn_kernel_multiply_column(const nn_layer_t *layer, const nn_column_t *in, nn_sums_t *out)
{
    multiply_column(layer, in, NULL, out->row[0]);
}

void nn_kernel_activate_column(const nn_layer_t *layer, nn_column_t *column, int32_t *multiplier)
{
    multiply_column(layer, column, multiplier, column->pair);
}

/* clang-format on */

/* One place for both: the steps are long. */
static __attribute__((noinline)) void multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks,
                                                      const int32_t *multiplier, void *out, unsigned out_step)
{
    const nn_block_t *const end = in + n_blocks;
    for (char *to = out; in != end; in++, to += out_step) {
        multiply_block(layer->weight, weights_end(layer), in, multiplier, to);
    }
}

void nn_kernel_multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks, nn_sums_t *out)
{
    multiply_blocks(layer, in, n_blocks, NULL, &out->row[0][1], 2U * sizeof out->row[0][0]);
}

void nn_kernel_propagate_blocks(const nn_layer_t *layer, nn_block_t *block, unsigned n_blocks,
                                const int32_t *multiplier)
{
    multiply_blocks(layer, block, n_blocks, multiplier, block, sizeof *block);
}

#endif
