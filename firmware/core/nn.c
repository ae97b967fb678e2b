#include "nn.h"

#include <stddef.h>

extern int32_t nn_quantise_input(const nn_t *nn, unsigned index, real_t value);
extern int32_t nn_accumulator(const nn_t *nn, const nn_work_t *work, unsigned i, unsigned column);
extern int32_t nn_jacobian_accumulator(const nn_work_t *work, unsigned i, unsigned c);
extern float nn_output(const nn_t *nn, unsigned i, int32_t accumulator);
extern float nn_jacobian(const nn_t *nn, unsigned i, unsigned c, int32_t jacobian_accumulator);

int32_t nn_tanh_q11(int32_t argument)
{
    return nn_tanh(argument);
}

typedef struct {
    int32_t low;
    int32_t high;
} pair_t;

/* Activations of two units from their accumulators. */
static inline pair_t activate(pair_t accumulator, const int32_t *multiplier)
{
    return (pair_t){nn_tanh(nn_requantise(accumulator.low, multiplier[0])),
                    nn_tanh(nn_requantise(accumulator.high, multiplier[1]))};
}

static void pack_sample(const int32_t *input, uint32_t *sample)
{
    for (unsigned j = 0; j < MODEL_N_INPUTS; j += 2U) {
        sample[j / 2U] = nn_pack(input[j], j + 1U < MODEL_N_INPUTS ? input[j + 1U] : 0);
    }
}

void nn_evaluate(const nn_t *nn, const int32_t *input, nn_work_t *work)
{
    const nn_layer_t *const last = &nn->layer[nn->n_layers - 1U];
    uint32_t sample[NN_PAIRS(MODEL_N_INPUTS)];
    work->first_column = 0;
    pack_sample(input, sample);
    nn_kernel_evaluate_first(nn, sample, &work->column, work->block);
    for (const nn_layer_t *layer = nn->layer; layer != last; layer++) {
        nn_kernel_activate_column(layer, &work->column, work->multiplier);
        nn_kernel_propagate_blocks(layer, work->block, NN_TANGENT_BLOCKS, work->multiplier);
    }
    nn_kernel_multiply_column(last, &work->column, &work->sum);
    nn_kernel_multiply_blocks(last, work->block, NN_TANGENT_BLOCKS, &work->sum);
}

/* Samples without tangents: one alone stands in the column, several in the blocks. */
static uint32_t *first_pair(nn_work_t *work, unsigned sample)
{
    return &work->block[sample / 2U].pair[0][sample % 2U];
}

static void evaluate_first_of_batch(const nn_t *nn, const int32_t (*input)[MODEL_N_INPUTS], unsigned n_samples,
                                    nn_work_t *work)
{
    uint32_t sample[NN_PAIRS(MODEL_N_INPUTS)];
    for (unsigned index = 0; index < n_samples; index++) {
        uint32_t *out = first_pair(work, index);
        pack_sample(input[index], sample);
        nn_kernel_evaluate_first(nn, sample, &work->column, NULL);
        for (unsigned i = 0; i < NN_PAIRS(nn->n_first) && n_samples > 1U; i++, out += 2) {
            *out = work->column.pair[i];
        }
    }
}

/* From the sums of a hidden layer to one sample's activations. */
static void finish_sample(const nn_layer_t *layer, nn_work_t *work, unsigned index)
{
    const int32_t *sum = &work->sum.row[0][1U + index];
    uint32_t *out = first_pair(work, index);
    for (unsigned i = 0; i < NN_PAIRS(layer->n_out); i++, sum += 2U * NN_STRIDE, out += 2) {
        const int32_t *rows = layer->rows + i / 2U * NN_HIDDEN_ROWS + i % 2U * 2U;
        const pair_t both = {sum[0] + rows[0], sum[NN_STRIDE] + rows[1]};
        const pair_t a = activate(both, rows + 4);
        *out = nn_pack(a.low, a.high);
    }
}

/* A hidden layer. */
static void activate_batch(const nn_layer_t *layer, unsigned n_samples, nn_work_t *work)
{
    if (n_samples == 1U) {
        nn_kernel_activate_column(layer, &work->column, work->multiplier);
        return;
    }
    nn_kernel_multiply_blocks(layer, work->block, NN_PAIRS(n_samples), &work->sum);
    for (unsigned index = 0; index < n_samples; index++) {
        finish_sample(layer, work, index);
    }
}

void nn_evaluate_batch(const nn_t *nn, const int32_t (*input)[MODEL_N_INPUTS], unsigned n_samples, nn_work_t *work)
{
    const nn_layer_t *const last = &nn->layer[nn->n_layers - 1U];
    work->first_column = n_samples == 1U ? 0U : 1U;
    evaluate_first_of_batch(nn, input, n_samples, work);
    for (const nn_layer_t *layer = nn->layer; layer != last; layer++) {
        activate_batch(layer, n_samples, work);
    }
    if (n_samples == 1U) {
        nn_kernel_multiply_column(last, &work->column, &work->sum);
    } else {
        nn_kernel_multiply_blocks(last, work->block, NN_PAIRS(n_samples), &work->sum);
    }
}
