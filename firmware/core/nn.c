#include "nn.h"

#include "fmath.h"

#define INPUT_MIN (-2048.0f)
#define INPUT_MAX 2047.0f

extern int32_t nn_accumulator(const nn_t *nn, const nn_work_t *work, unsigned i, unsigned column);
extern int32_t nn_jacobian_accumulator(const nn_work_t *work, unsigned i, unsigned c);
extern float nn_output(const nn_t *nn, unsigned i, int32_t accumulator);
extern float nn_jacobian(const nn_t *nn, unsigned i, unsigned c, int32_t jacobian_accumulator);

int32_t nn_quantise_input(const nn_t *nn, unsigned index, real_t value)
{
    float scaled = ((float)value - nn->input_mean[index]) * nn->input_scale[index];
    /* Between integers, clamping first gives what rounding first would; it also bounds the rounding's argument. */
    scaled = scaled > INPUT_MIN ? scaled : INPUT_MIN;
    scaled = scaled < INPUT_MAX ? scaled : INPUT_MAX;
    return (int32_t)fmath_round(scaled);
}

int32_t nn_tanh_q11(int32_t argument)
{
    return nn_tanh(argument);
}

static void load_sample(const nn_t *nn, const int32_t *input, unsigned column, nn_block_t *block)
{
    const unsigned last = nn->n_inputs - 1U;
    for (unsigned j = 0; j <= last; j += 2U) {
        block->pair[j / 2U][column] = nn_pack(input[j], j < last ? input[j + 1U] : 0);
    }
}

/* Activations of two units from their sums. */
static inline uint32_t activate(const int32_t *sum, const int32_t *constant)
{
    const int32_t low = nn_tanh(nn_requantise(sum[0] + constant[NN_BIAS], constant[NN_MULTIPLIER]));
    const int32_t high = nn_tanh(nn_requantise(sum[1] + constant[NN_BIAS + 1U], constant[NN_MULTIPLIER + 1U]));
    return nn_pack(low, high);
}

/* The first layer's tangents are constants of the model. */
static void finish_first(const nn_t *nn, nn_work_t *work)
{
    const nn_layer_t *layer = &nn->layer[0];
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const uint32_t *tangent = nn->tangent;
    const int32_t *constant = layer->constant;
    for (unsigned i = 0; i < n_pairs; i++, tangent += MODEL_N_INPUTS, constant += NN_ROW_CONSTANTS) {
        const uint32_t a = activate(work->sum[0].pair[i][0], constant);
        const int32_t low = nn_slope(nn_low(a));
        const int32_t high = nn_slope(nn_high(a));
        work->column[0].pair[i][0] = a;
#pragma GCC unroll 32
        for (unsigned c = 0; c < MODEL_N_INPUTS; c++) {
            work->column[(1U + c) / NN_BLOCK].pair[i][(1U + c) % NN_BLOCK] = nn_damp_tangents(tangent[c], low, high);
        }
    }
}

static void finish_next(const nn_layer_t *layer, nn_work_t *work)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const int32_t *constant = layer->constant;
    for (unsigned i = 0; i < n_pairs; i++, constant += NN_ROW_CONSTANTS) {
        const uint32_t a = activate(work->sum[0].pair[i][0], constant);
        const int32_t low = nn_slope(nn_low(a));
        const int32_t high = nn_slope(nn_high(a));
        const int32_t multiplier[2] = {constant[NN_TANGENT_MULTIPLIER], constant[NN_TANGENT_MULTIPLIER + 1U]};
        work->column[0].pair[i][0] = a;
#pragma GCC unroll 32
        for (unsigned column = 1; column <= MODEL_N_INPUTS; column++) {
            const int32_t *sum = work->sum[column / NN_BLOCK].pair[i][column % NN_BLOCK];
            const int32_t sum_low = sum[0];
            const int32_t sum_high = sum[1];
            const uint32_t tangents =
                nn_saturate_tangents(nn_requantise(sum_low, multiplier[0]), nn_requantise(sum_high, multiplier[1]));
            work->column[column / NN_BLOCK].pair[i][column % NN_BLOCK] = nn_damp_tangents(tangents, low, high);
        }
    }
}

/* Without tangents: every column is a sample. */
static void finish_batch(const nn_layer_t *layer, unsigned n_samples, nn_work_t *work)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const int32_t *constant = layer->constant;
    for (unsigned i = 0; i < n_pairs; i++, constant += NN_ROW_CONSTANTS) {
        for (unsigned column = 0; column < n_samples; column++) {
            work->column[0].pair[i][column] = activate(work->sum[0].pair[i][column], constant);
        }
    }
}

static void multiply_columns(const nn_layer_t *layer, nn_work_t *work)
{
    const unsigned n_columns = 1U + MODEL_N_INPUTS;
    for (unsigned b = 0; b < NN_JACOBIAN_BLOCKS; b++) {
        const unsigned left = n_columns - b * NN_BLOCK;
        nn_kernel_multiply(layer, &work->column[b], left < NN_BLOCK ? left : NN_BLOCK, &work->sum[b]);
    }
}

void nn_evaluate(const nn_t *nn, const int32_t *input, nn_work_t *work)
{
    load_sample(nn, input, 0, &work->column[0]);
    nn_kernel_multiply(&nn->layer[0], &work->column[0], 1, &work->sum[0]);
    finish_first(nn, work);
    for (unsigned i = 1; i + 1U < nn->n_layers; i++) {
        multiply_columns(&nn->layer[i], work);
        finish_next(&nn->layer[i], work);
    }
    multiply_columns(&nn->layer[nn->n_layers - 1U], work);
}

void nn_evaluate_batch(const nn_t *nn, const int32_t (*input)[MODEL_N_INPUTS], unsigned n_samples, nn_work_t *work)
{
    for (unsigned column = 0; column < n_samples; column++) {
        load_sample(nn, input[column], column, &work->column[0]);
    }
    for (unsigned i = 0; i + 1U < nn->n_layers; i++) {
        nn_kernel_multiply(&nn->layer[i], &work->column[0], n_samples, &work->sum[0]);
        finish_batch(&nn->layer[i], n_samples, work);
    }
    nn_kernel_multiply(&nn->layer[nn->n_layers - 1U], &work->column[0], n_samples, &work->sum[0]);
}
