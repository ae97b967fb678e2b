#include "nn_kernel.h"

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_dsp_t;

#if NN_KERNEL_DSP

/* Two rows times four columns take every register there is: eight sums in r4-r11, two words of weights in r2 and r3,
 * two of values in r12 and lr, the two pointers in r0 and r1. So what else a loop needs stands in registers of the FPU.
 * A step is one pair of units, 16 products in 11 instructions; the first one of a row needs no sums before it, and the
 * others stand in a row and are entered so that the last one is the layer's last, whatever the fan-in. Weights are
 * stored as half-words: SXTB16 would cost one instruction a step more, and save half of the weights' flash. */
/* clang-format off */
#define CORE_REGISTERS "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr"

/* Not .rept: GCC counts lines to know how far its literals are. */
#define TIMES_7(step)  step step step step step step step
#define TIMES_15(step) TIMES_7(step) TIMES_7(step) step

/* More than 16 pairs: the unrolled steps are run through again. */
#if MODEL_MAX_WIDTH <= 32U
#define REPEAT_STEPS(scratch) ""
#else
#define REPEAT_STEPS(scratch)                                                                                          \
    "vmov " scratch ", %[value_end]\n\t"                                                                               \
    "cmp r1, " scratch "\n\t"                                                                                          \
    "bne 1b\n\t"
#endif

typedef struct {
    const uint32_t *weight;
    const uint32_t *weight_end;
    const uint32_t *value;
    const uint32_t *value_end;
    int32_t *out;
    unsigned entered_steps; /* of those that follow the first one, in the first pass through the unrolled ones */
} job_t;

#define FIND_ENTRY                                                                                                     \
    "adr r2, 2f\n\t"                                                                                                   \
    "vmov r3, %[skip]\n\t"                                                                                             \
    "sub r2, r2, r3\n\t"                                                                                               \
    "vmov %[skip], r2\n\t"
/* Where every layer takes all steps nothing is skipped. */
#if MODEL_FAN_IN == 32U
#define ENTER_STEPS "1:\n\t"
#else
#define ENTER_STEPS                                                                                                    \
    "vmov r2, %[skip]\n\t"                                                                                             \
    "mov pc, r2\n\t"                                                                                                   \
    ".balign 4\n"                                                                                                      \
    "1:\n\t"
#endif
#define NEXT_ROWS                                                                                                      \
    "vmov r2, %[weight_end]\n\t"                                                                                       \
    "cmp r0, r2\n\t"                                                                                                   \
    "bne 0b\n\t"

#define FIRST(value, low, high)                                                                                        \
    "smuad " low ", r2, " value "\n\t"                                                                                 \
    "smuad " high ", r3, " value "\n\t"
#define NEXT(value, low, high)                                                                                         \
    "smlad " low ", r2, " value ", " low "\n\t"                                                                        \
    "smlad " high ", r3, " value ", " high "\n\t"

#define LOAD_WEIGHTS "ldrd r2, r3, [r0], #8\n\t"
#define LOAD_TWO     "ldrd r12, lr, [r1], #8\n\t"
#define LOAD_THREE   "ldm r1!, {r10, r11, r12}\n\t"
#define STEP_4(column)                                                                                                 \
    LOAD_WEIGHTS LOAD_TWO column("r12", "r4", "r8") column("lr", "r5", "r9")                                           \
        LOAD_TWO column("r12", "r6", "r10") column("lr", "r7", "r11")
#define STEP_4_BYTES 44U
#define STEP_3(column)                                                                                                 \
    LOAD_WEIGHTS LOAD_THREE column("r10", "r4", "r7") column("r11", "r5", "r8") column("r12", "r6", "r9")
#define STEP_3_BYTES 32U

static void multiply_4(const job_t *job)
{
    register const uint32_t *weight __asm__("r0") = job->weight;
    unsigned skip = job->entered_steps * STEP_4_BYTES;
    int32_t *out = job->out;
    __asm__ volatile(FIND_ENTRY "0: vmov r1, %[value]\n\t" STEP_4(FIRST) ENTER_STEPS TIMES_15(STEP_4(NEXT)) "2:\n\t"
                         REPEAT_STEPS("r2") "vmov r2, %[out]\n\t"
                         "stm r2!, {r4-r11}\n\t"
                         "vmov %[out], r2\n\t" NEXT_ROWS
                     : "+r"(weight), [skip] "+t"(skip), [out] "+t"(out)
                     : [value] "t"(job->value), [value_end] "t"(job->value_end), [weight_end] "t"(job->weight_end)
                     : CORE_REGISTERS, "r1", "cc", "memory");
}

static void multiply_3(const job_t *job)
{
    register const uint32_t *weight __asm__("r0") = job->weight;
    register int32_t *out __asm__("lr") = job->out;
    unsigned skip = job->entered_steps * STEP_3_BYTES;
    __asm__ volatile(FIND_ENTRY "0: vmov r1, %[value]\n\t" STEP_3(FIRST) ENTER_STEPS TIMES_15(STEP_3(NEXT)) "2:\n\t"
                         REPEAT_STEPS("r2") "stm lr!, {r4-r9}\n\t" NEXT_ROWS
                     : "+r"(weight), "+r"(out), [skip] "+t"(skip)
                     : [value] "t"(job->value), [value_end] "t"(job->value_end), [weight_end] "t"(job->weight_end)
                     : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
}

/* One column takes two pairs of units in a step. */
#define STEP_1_BYTES 24U
#define STEP_1(first, first_low, first_high)                                                                           \
    "ldm r0!, {r6-r9}\n\t"                                                                                             \
    "ldrd r10, r11, [r1], #8\n\t" first " r4, r6, r10" first_low "\n\t" first " r5, r7, r10" first_high "\n\t"          \
    "smlad r4, r8, r11, r4\n\t"                                                                                        \
    "smlad r5, r9, r11, r5\n\t"

static void multiply_1(const job_t *job)
{
    register const uint32_t *weight __asm__("r0") = job->weight;
    register int32_t *out __asm__("lr") = job->out;
    unsigned skip = job->entered_steps * STEP_1_BYTES;
    __asm__ volatile(FIND_ENTRY "vmov r12, %[value]\n\t"
                                "vmov r3, %[weight_end]\n\t"
                                "0: mov r1, r12\n\t" STEP_1("smuad", "", "") "mov pc, r2\n\t"
                                ".balign 4\n"
                                "1:\n\t" TIMES_7(STEP_1("smlad", ", r4", ", r5")) "2:\n\t" REPEAT_STEPS("r6")
                                "strd r4, r5, [lr], #8\n\t"
                                "cmp r0, r3\n\t"
                                "bne 0b\n\t"
                     : "+r"(weight), "+r"(out), [skip] "+t"(skip)
                     : [value] "t"(job->value), [value_end] "t"(job->value_end), [weight_end] "t"(job->weight_end)
                     : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
}

/* clang-format on */

/* Of `steps` further ones, `unrolled` of which stand in a row: how many in the first pass. */
static unsigned first_pass(unsigned steps, unsigned unrolled)
{
    return steps == 0U ? 0U : (steps - 1U) % unrolled + 1U;
}

void nn_kernel_multiply(const nn_layer_t *layer, const nn_block_t *in, unsigned width, nn_sums_t *out)
{
    const unsigned n_pairs = NN_WEIGHT_PAIRS(layer->n_in);
    const job_t job = {
        .weight = layer->weight,
        .weight_end = layer->weight + 2U * n_pairs * NN_PAIRS(layer->n_out),
        .value = in->pair,
        .value_end = in->pair + n_pairs * width,
        .out = out->sum,
        .entered_steps = width == 1U ? first_pass(n_pairs / 2U - 1U, 7U) : first_pass(n_pairs - 1U, 15U),
    };
    switch (width) {
    case 1:
        multiply_1(&job);
        break;
    case 3:
        multiply_3(&job);
        break;
    default:
        multiply_4(&job);
        break;
    }
}

#endif
