/* The integer observation network and its Jacobian. The arithmetic is specified, bit by bit, in docs/network.md. */
#ifndef EISHIL_CORE_NN_H
#define EISHIL_CORE_NN_H

#include "fmath.h"
#include "nn_kernel.h"

#define NN_INPUT_MIN (-2048)
#define NN_INPUT_MAX 2047

#define NN_BATCH (2U * NN_BATCH_BLOCKS)

/* Where the network works, and after it the last layer's sums: those of a sample on its own, its bias included, in
 * column 0, those of its derivatives or of the samples of a batch from column 1 on. */
typedef struct {
    nn_column_t column;
    nn_block_t block[NN_BLOCKS];
    int32_t multiplier[4U * NN_QUADS(MODEL_MAX_WIDTH)]; /* of a hidden layer's tangents, slopes included */
    nn_sums_t sum;
    unsigned first_column; /* of the samples */
} nn_work_t;

/* Q11 input of one network input; ties to even, saturated to 12 bits; 0 of NaN. */
inline int32_t nn_quantise_input(const nn_t *nn, unsigned index, real_t value)
{
    const float scaled = ((float)value - nn->input_mean[index]) * nn->input_scale[index];
    int32_t q = fmath_round(scaled);
#if NN_KERNEL_DSP
    __asm__("ssat %0, #12, %0" : "+r"(q));
#else
    q = q < NN_INPUT_MIN ? NN_INPUT_MIN : q;
    q = q > NN_INPUT_MAX ? NN_INPUT_MAX : q;
#endif
    return q;
}

/* tanh of a Q11 argument, Q11; the argument is clamped to -16384..16383. */
int32_t nn_tanh_q11(int32_t argument);

/* One sample with its Jacobian; input [n_inputs], 12 bits each. */
void nn_evaluate(const nn_t *nn, const int32_t *input, nn_work_t *work);

/* 1 to NN_BATCH samples without: input [n_samples][n_inputs]. */
void nn_evaluate_batch(const nn_t *nn, const int32_t (*input)[MODEL_N_INPUTS], unsigned n_samples, nn_work_t *work);

/* Accumulator of output i, bias included, of a sample (0 after nn_evaluate). */
inline int32_t nn_accumulator(const nn_t *nn, const nn_work_t *work, unsigned i, unsigned sample)
{
    const int32_t *bias = nn->layer[nn->n_layers - 1U].rows;
    return (work->first_column == 0U ? 0 : bias[i]) + work->sum.row[i][work->first_column + sample];
}

/* Derivatives stand in the order in which information.h wants them: by the last two inputs, voltage and temperature,
 * first; without those the others alone. */
#define NN_TANGENT(c) (((c) + MODEL_N_TANGENTS - (MODEL_N_INPUTS - 2U)) % MODEL_N_TANGENTS)

/* Accumulator of the derivative of output i by input c; 0 where the model has no tangents by it. */
inline int32_t nn_jacobian_accumulator(const nn_work_t *work, unsigned i, unsigned c)
{
    return c < MODEL_N_TANGENTS ? work->sum.row[i][1U + NN_TANGENT(c)] : 0;
}

/* Output i in ln ohm, and its derivative by input c in ln ohm per unit of that input. */
inline float nn_output(const nn_t *nn, unsigned i, int32_t accumulator)
{
    return (float)accumulator * nn->output[i].scale + nn->output[i].offset;
}

inline float nn_jacobian(const nn_t *nn, unsigned i, unsigned c, int32_t jacobian_accumulator)
{
    return (float)jacobian_accumulator * nn->output[i].jacobian_scale * nn->jacobian_column_scale[c];
}

#endif
