#include "nn_kernel.h"

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_dsp_t;

#if NN_KERNEL_DSP

/* Two rows times four columns take every register there is: eight sums in r4-r11, two words of weights in r2 and r3,
 * two of values in r12 and lr, the two pointers in r0 and r1. So what else a loop needs stands in registers of the FPU.
 * A step is one pair of units, 16 products in 11 instructions; 16 steps stand in a row and are entered so that the
 * last one is the layer's last, whatever the fan-in. Weights are stored as half-words: SXTB16 would cost one
 * instruction a step more, and save half of the weights' flash. */
#define STEPS          16U
#define STEP4_BYTES    44U
#define STEP3_BYTES    36U
#define STEP1_BYTES    16U
#define CORE_REGISTERS "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr"

static const int32_t zero[8] = {0};

typedef struct {
    const uint32_t *weight;
    const uint32_t *weight_end;
    const uint32_t *value;
    const uint32_t *value_end;
    int32_t *out;
    unsigned first_steps; /* the first pass through the unrolled loop; later ones are whole */
} job_t;

#define LOAD_WEIGHTS "ldrd r2, r3, [r0], #8\n\t"
#define COLUMN(value, low, high)                                                                                       \
    "smlad " low ", r2, " value ", " low "\n\t"                                                                        \
    "smlad " high ", r3, " value ", " high "\n\t"

/* Not .rept: GCC counts lines to know how far its literals are. */
#define TIMES_4(step)  step step step step
#define TIMES_16(step) TIMES_4(step) TIMES_4(step) TIMES_4(step) TIMES_4(step)

#define ENTER                                                                                                          \
    "adr r2, 2f\n\t"                                                                                                   \
    "vmov r3, %[skip]\n\t"                                                                                             \
    "sub r2, r2, r3\n\t"                                                                                               \
    "vmov %[skip], r2\n\t"                                                                                             \
    "0: vmov r2, %[zero]\n\t"                                                                                          \
    "ldm r2, {r4-r11}\n\t"                                                                                             \
    "vmov r1, %[value]\n\t"                                                                                            \
    "vmov r2, %[skip]\n\t"                                                                                             \
    "mov pc, r2\n\t"                                                                                                   \
    ".balign 4\n"

#define LEAVE                                                                                                          \
    "2: vmov r2, %[value_end]\n\t"                                                                                     \
    "cmp r1, r2\n\t"                                                                                                   \
    "bne 1b\n\t"                                                                                                       \
    "vmov r2, %[out]\n\t"                                                                                              \
    "stm r2!, {r4-r11}\n\t"                                                                                            \
    "vmov %[out], r2\n\t"                                                                                              \
    "vmov r2, %[weight_end]\n\t"                                                                                       \
    "cmp r0, r2\n\t"                                                                                                   \
    "bne 0b\n\t"

#define RUN(step, step_bytes)                                                                                          \
    do {                                                                                                               \
        register const uint32_t *weight __asm__("r0") = job->weight;                                                   \
        unsigned skip = job->first_steps * (step_bytes);                                                               \
        int32_t *out = job->out;                                                                                       \
        __asm__ volatile(ENTER "1:\n\t" TIMES_16(step) LEAVE                                                           \
                         : "+r"(weight), [skip] "+t"(skip), [out] "+t"(out)                                            \
                         : [zero] "t"(zero), [value] "t"(job->value), [value_end] "t"(job->value_end),                 \
                           [weight_end] "t"(job->weight_end)                                                           \
                         : CORE_REGISTERS, "r1", "cc", "memory");                                                      \
    } while (0)

static void multiply_4(const job_t *job)
{
    RUN(LOAD_WEIGHTS "ldrd r12, lr, [r1], #8\n\t" COLUMN("r12", "r4", "r5")
            COLUMN("lr", "r6", "r7") "ldrd r12, lr, [r1], #8\n\t" COLUMN("r12", "r8", "r9") COLUMN("lr", "r10", "r11"),
        STEP4_BYTES);
}

static void multiply_3(const job_t *job)
{
    RUN(LOAD_WEIGHTS "ldrd r12, lr, [r1], #8\n\t" COLUMN("r12", "r4", "r5")
            COLUMN("lr", "r6", "r7") "ldr r12, [r1], #8\n\t" COLUMN("r12", "r8", "r9"),
        STEP3_BYTES);
}

static void multiply_1(const job_t *job)
{
    RUN(LOAD_WEIGHTS "ldr r12, [r1], #16\n\t" COLUMN("r12", "r4", "r5"), STEP1_BYTES);
}

void nn_kernel_multiply(const nn_layer_t *layer, const nn_block_t *in, unsigned n_columns, nn_sums_t *out)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_in);
    const job_t job = {
        .weight = layer->weight,
        .weight_end = layer->weight + 2U * n_pairs * NN_PAIRS(layer->n_out),
        .value = in->pair[0],
        .value_end = in->pair[0] + n_pairs * NN_BLOCK,
        .out = out->pair[0][0],
        .first_steps = (n_pairs - 1U) % STEPS + 1U,
    };
    switch (n_columns) {
    case 1:
        multiply_1(&job);
        break;
    case 2:
    case 3:
        multiply_3(&job);
        break;
    default:
        multiply_4(&job);
        break;
    }
}

#endif
