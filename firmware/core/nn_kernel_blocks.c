#include "nn_kernel_dsp.h"

#include <stddef.h>

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_blocks_t;

#if NN_KERNEL_ASSEMBLY

/* clang-format off */
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

#define REST_OF_BLOCK                                                                                                  \
    "ldm r0!, {r8-r11}\n\t"                                                                                            \
    "ldm r1!, {r2, r3, r12, lr}\n\t"                                                                                   \
    "smlad r4, r8, r2, r4\n\t"    "smlad r5, r8, r3, r5\n\t"    "smlad r6, r9, r2, r6\n\t"    "smlad r7, r9, r3, r7\n\t"\
    "smlad r4, r10, r12, r4\n\t"  "smlad r5, r10, lr, r5\n\t"   "smlad r6, r11, r12, r6\n\t"  "smlad r7, r11, lr, r7\n\t"

/* Of n_blocks of them, at least one; to [row][NN_STRIDE]. */
static void multiply_rest_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks, int32_t *out)
{
    const uint32_t *const weights = nn_kernel_rest_of_weights(layer);
    register const nn_block_t *values __asm__("r1") = in;
    __asm__ volatile("1:\n\t"
                     "vmov r0, %[weights]\n\t"
                     "mov r4, #0\n\t"  "mov r5, #0\n\t"  "mov r6, #0\n\t"  "mov r7, #0\n"
                     FOR_REST("r2", REST_OF_BLOCK)
                     "vmov r2, %[out]\n\t"
                     "vmov r3, %[in_end]\n\t"
                     "strd r4, r5, [r2], #8\n\t"
                     "strd r6, r7, [r2, #%c[stride] - 8]\n\t"
                     "vmov %[out], r2\n\t"
                     "cmp r1, r3\n\t"
                     "bne 1b\n\t"
                     : "+r"(values), [out] "+t"(out)
                     : [weights] "t"(weights), [end] "t"(weights + 2U * NN_STEPS), [in_end] "t"(in + n_blocks),
                       [steps] "i"(NN_STEPS), [passes] "i"(REST_PASSES(2U)), [stride] "i"(NN_STRIDE * sizeof(int32_t))
                     : CORE_REGISTERS, "r0", "cc", "memory");
}

/* clang-format on */

/* One place for both: the steps are long. */
static __attribute__((noinline)) void multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks,
                                                      const int32_t *multiplier, void *out, unsigned out_step)
{
    const nn_block_t *const end = in + n_blocks;
    for (char *to = out; in != end; in++, to += out_step) {
        multiply_block(layer->weight, nn_kernel_rest_of_weights(layer), in, multiplier, to);
    }
}

void nn_kernel_multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks, nn_sums_t *out)
{
    multiply_blocks(layer, in, n_blocks, NULL, &out->row[0][1], 2U * sizeof out->row[0][0]);
    if (nn_kernel_leaves_rest(layer)) {
        multiply_rest_blocks(layer, in, n_blocks, &out->row[4U * layer->n_quads][1]);
    }
}

void nn_kernel_propagate_blocks(const nn_layer_t *layer, nn_block_t *block, unsigned n_blocks,
                                const int32_t *multiplier)
{
    multiply_blocks(layer, block, n_blocks, multiplier, block, sizeof *block);
}

#endif
