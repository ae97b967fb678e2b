#include "nn_kernel_dsp.h"

#include <stddef.h>

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_column_t;

#if NN_KERNEL_ASSEMBLY

/* clang-format off */
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
 * a row, and 64 (f (2^16 - 1) + 64) has their weights 64 - f and f, so that the activation a comes in the upper half.
 * Then slopes, 2^30 - 2^8 a^2, and the tangents' multipliers. */
#define ACTIVATE(multipliers)                                                                                          \
    "ldm " multipliers "!, {r4-r7}\n\t"                                                                                \
    "smmulr r1, r1, r4\n\t"  "smmulr r2, r2, r5\n\t"  "smmulr r3, r3, r6\n\t"  "smmulr r12, r12, r7\n\t"               \
    "ssat r1, #15, r1\n\t"   "ssat r2, #15, r2\n\t"   "ssat r3, #15, r3\n\t"   "ssat r12, #15, r12\n\t"                \
    "vmov r11, %[table]\n\t"                                                                                           \
    EACH_("asr", NODES, SUMS, ", #6")                                                                                  \
    "ldr r4, [r11, r4, lsl #1]\n\t"  "ldr r5, [r11, r5, lsl #1]\n\t"                                                   \
    "ldr r6, [r11, r6, lsl #1]\n\t"  "ldr r7, [r11, r7, lsl #1]\n\t"                                                   \
    "vmov r8, %[ones]\n\t"                                                                                             \
    "mov r9, #64 * 64\n\t"                                                                                                \
    EACH_("and", SUMS, SUMS, ", #63")                                                                                  \
    EACH_("mla", SUMS, SUMS, ", r8, r9")                                                                               \
    "mov r8, #64 * 512\n\t"                                                                                               \
    "smlad r4, r4, r1, r8\n\t"  "smlad r5, r5, r2, r8\n\t"  "smlad r6, r6, r3, r8\n\t"  "smlad r7, r7, r12, r8\n\t"    \
    "vmov r3, %[out]\n\t"                                                                                              \
    "pkhtb r1, r5, r4, asr #16\n\t"                                                                                    \
    "pkhtb r2, r7, r6, asr #16\n\t"                                                                                    \
    "strd r1, r2, [r3], #8\n\t"                                                                                        \
    "vmov %[out], r3\n\t"
#define SLOPES                                                                                                         \
    "mov r8, #1 << 30\n\t"                                                                                             \
    "smultt r4, r4, r4\n\t"  "smultt r5, r5, r5\n\t"  "smultt r6, r6, r6\n\t"  "smultt r7, r7, r7\n\t"                   \
    "sub r4, r8, r4, lsl #8\n\t"                                                                                       \
    "sub r5, r8, r5, lsl #8\n\t"                                                                                       \
    "sub r6, r8, r6, lsl #8\n\t"                                                                                       \
    "sub r7, r8, r7, lsl #8\n\t"
#define ACTIVATE_COLUMN                                                                                                \
    "vmov lr, %[rows]\n\t"                                                                                             \
    ACTIVATE("lr")                                                                                                     \
    SLOPES                                                                                                             \
    "ldm lr!, {r8-r11}\n\t"                                                                                            \
    "vmov %[rows], lr\n\t"                                                                                             \
    "smmulr r4, r8, r4\n\t"     "smmulr r5, r9, r5\n\t"     "smmulr r6, r10, r6\n\t"    "smmulr r7, r11, r7\n\t"       \
    "vmov r3, %[multiplier]\n\t"                                                                                       \
    "stm r3!, {r4-r7}\n\t"                                                                                             \
    "vmov %[multiplier], r3\n\t"

#define FIRST_STEP(value)                                                                                              \
    "ldm r0!, {r4-r7}\n\t"                                                                                             \
    FOUR_ROWS(NEXT, value, "r1", "r2", "r3", "r12", "r4", "r5", "r6", "r7")
#define FIRST_STEPS                                                                                                    \
    FIRST_STEP("s0")                                                                                                   \
    IF_INPUTS(1, FIRST_STEP("s1")) IF_INPUTS(2, FIRST_STEP("s2")) IF_INPUTS(3, FIRST_STEP("s3"))                       \
    IF_INPUTS(4, FIRST_STEP("s4"))
#define IF_INPUTS(k, step)   ".if %c[inputs] > " #k "\n\t" step ".endif\n\t"
#define IF_TANGENTS(k, step) ".if %c[tangents] > " #k "\n\t" step ".endif\n\t"

/* A tangent of two units times their slopes: SMLAW gives t g / 2^16, and the bits that it drops are below the rounding. */
#define DAMP(tangents, low, high)                                                                                      \
    "smlawb r1, " low ", " tangents ", lr\n\t"                                                                         \
    "smlawt r2, " high ", " tangents ", lr\n\t"                                                                        \
    "pkhtb " tangents ", r2, r1, asr #16\n\t"
#define DAMP_BLOCK(k)                                                                                                  \
    "ldm r0!, {r8-r11}\n\t"                                                                                            \
    DAMP("r8", "r4", "r5") DAMP("r9", "r4", "r5") DAMP("r10", "r6", "r7") DAMP("r11", "r6", "r7")                      \
    "strd r8, r9, [r3, #" #k " * %c[block_bytes]]\n\t"                                                                 \
    "strd r10, r11, [r3, #" #k " * %c[block_bytes] + 8]\n\t"
#define DAMP_BLOCKS                                                                                                    \
    DAMP_BLOCK(0)                                                                                                      \
    IF_TANGENTS(1, DAMP_BLOCK(1)) IF_TANGENTS(2, DAMP_BLOCK(2)) IF_TANGENTS(3, DAMP_BLOCK(3)) IF_TANGENTS(4, DAMP_BLOCK(4))

void nn_kernel_evaluate_first(const nn_t *nn, const uint32_t *sample, nn_column_t *column, nn_block_t *block)
{
    _Static_assert(NN_PAIRS(MODEL_N_INPUTS) <= 5U, "FIRST_STEPS and DAMP_BLOCKS are written for ten inputs");
    register const nn_first_t *first __asm__("r0") = nn->first;
    register const uint32_t *values __asm__("r1") = sample;
    const nn_first_t *const end = nn->first + NN_QUADS(nn->n_first);
    const uint32_t ones = 64U * 0xFFFFU;
    uint32_t *out = column->pair;
    __asm__ volatile("vldmia r1, {s0-s%c[last]}\n"
                     "0:\n\t"
                     "ldm r0!, {r1, r2, r3, r12}\n\t" FIRST_STEPS ACTIVATE("r0")
                     "vmov r3, %[block]\n\t"
                     "cbnz r3, 1f\n\t"
                     "add r0, r0, #16 * %c[tangents]\n\t"
                     "b 2f\n"
                     "1:\n\t" SLOPES
                     "mov lr, #1 << 15\n\t" DAMP_BLOCKS
                     "add r3, r3, #16\n\t"
                     "vmov %[block], r3\n"
                     "2:\n\t"
                     "vmov r4, %[end]\n\t"
                     "cmp r0, r4\n\t"
                     "bne 0b\n\t"
                     : "+r"(first), "+r"(values), [out] "+t"(out), [block] "+t"(block)
                     : [end] "t"(end), [table] "t"(nn_tanh_middle), [ones] "t"(ones),
                       [inputs] "i"(NN_PAIRS(MODEL_N_INPUTS)), [tangents] "i"(NN_TANGENT_BLOCKS), [last] "i"(NN_PAIRS(MODEL_N_INPUTS) - 1U), [block_bytes] "i"(sizeof(nn_block_t))
                     : CORE_REGISTERS, "s0", "s1", "s2", "s3", "s4", "cc", "memory");
}

/* A layer times one column. Without multipliers the sums go out, NN_STRIDE apart; with them, a hidden layer's units. */
static __attribute__((noinline)) void multiply_column(const nn_layer_t *layer, const nn_column_t *in,
                                                      int32_t *multiplier, void *out)
{
    register const uint32_t *weight __asm__("r0") = layer->weight;
    register const nn_column_t *values __asm__("r1") = in;
    const int32_t *rows = layer->rows;
    const uint32_t ones = 64U * 0xFFFFU;
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
                     : [end] "t"(nn_kernel_rest_of_weights(layer)), [table] "t"(nn_tanh_middle), [ones] "t"(ones),
                       [steps] "i"(NN_STEPS), [last] "i"(NN_STEPS - 1U), [stride] "i"(NN_STRIDE * sizeof(int32_t))
                     : CORE_REGISTERS, LOW_FPU_REGISTERS, "cc", "memory");
}

#define REST_OF_COLUMN                                                                                                 \
    "ldm r0!, {r4-r7}\n\t"                                                                                             \
    "ldm r1!, {r8, r9}\n\t"                                                                                            \
    "smlad r2, r4, r8, r2\n\t"  "smlad r3, r5, r8, r3\n\t"  "smlad r2, r6, r9, r2\n\t"  "smlad r3, r7, r9, r3\n\t"

static void multiply_rest_column(const nn_layer_t *layer, const nn_column_t *in, nn_sums_t *out)
{
    register const uint32_t *weight __asm__("r0") = nn_kernel_rest_of_weights(layer);
    register const nn_column_t *values __asm__("r1") = in;
    register int32_t low __asm__("r2") = layer->rows[4U * layer->n_quads];
    register int32_t high __asm__("r3") = layer->rows[4U * layer->n_quads + 1U];
    __asm__ volatile(FOR_REST("r4", REST_OF_COLUMN)
                     : "+r"(weight), "+r"(values), "+r"(low), "+r"(high)
                     : [end] "t"(weight + 2U * NN_STEPS), [steps] "i"(NN_STEPS), [passes] "i"(REST_PASSES(4U))
                     : "r4", "r5", "r6", "r7", "r8", "r9", "cc", "memory");
    out->row[4U * layer->n_quads][0] = low;
    out->row[4U * layer->n_quads + 1U][0] = high;
}

/* clang-format on */

void nn_kernel_multiply_column(const nn_layer_t *layer, const nn_column_t *in, nn_sums_t *out)
{
    multiply_column(layer, in, NULL, out->row[0]);
    if (nn_kernel_leaves_rest(layer)) {
        multiply_rest_column(layer, in, out);
    }
}

void nn_kernel_activate_column(const nn_layer_t *layer, nn_column_t *column, int32_t *multiplier)
{
    multiply_column(layer, column, multiplier, column->pair);
}

#endif
