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

/* Two requantised sums' tanh. */
static inline uint32_t activate(int32_t low, int32_t high, const int32_t *constant)
{
    return nn_pack(nn_tanh(nn_requantise(low + constant[NN_BIAS], constant[NN_MULTIPLIER])),
                   nn_tanh(nn_requantise(high + constant[NN_BIAS + 1U], constant[NN_MULTIPLIER + 1U])));
}

static void pack_sample(const int32_t *input, uint32_t *sample)
{
    for (unsigned j = 0; j < MODEL_N_INPUTS; j += 2U) {
        sample[j / 2U] = nn_pack(input[j], j + 1U < MODEL_N_INPUTS ? input[j + 1U] : 0);
    }
}

/* A pair of the first layer's units. */
static inline uint32_t activate_first(const uint32_t *weight, const uint32_t *sample, const int32_t *constant)
{
    int32_t low = 0;
    int32_t high = 0;
#pragma GCC unroll 8
    for (unsigned j = 0; j < NN_PAIRS(MODEL_N_INPUTS); j++) {
        low = nn_multiply_pair(weight[2U * j], sample[j], low);
        high = nn_multiply_pair(weight[2U * j + 1U], sample[j], high);
    }
    return activate(low, high, constant);
}

/* The first layer's tangents are constants of the model. */
static void evaluate_first(const nn_t *nn, const int32_t *input, nn_work_t *work)
{
    const nn_layer_t *layer = &nn->layer[0];
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const uint32_t *weight = layer->weight;
    const int32_t *constant = layer->constant;
    const uint32_t *tangent = nn->tangent;
    uint32_t sample[NN_PAIRS(MODEL_N_INPUTS)];
    pack_sample(input, sample);
    for (unsigned i = 0; i < n_pairs; i++) {
        const uint32_t a = activate_first(weight, sample, constant);
        const int32_t low = nn_slope(nn_low(a));
        const int32_t high = nn_slope(nn_high(a));
        work->column[0].pair[i * NN_WIDTH(0)] = a;
#pragma GCC unroll 32
        for (unsigned column = 1; column < NN_COLUMNS; column++) {
            const unsigned block = column / NN_BLOCK;
            work->column[block].pair[i * NN_WIDTH(block) + column % NN_BLOCK] =
                nn_requantise_pair(tangent[column - 1U], low, high);
        }
        weight += 2U * NN_PAIRS(MODEL_N_INPUTS);
        constant += NN_ROW_CONSTANTS;
        tangent += MODEL_N_INPUTS;
    }
}

/* From the sums of a hidden layer to its activations and tangents. */
static void finish(const nn_layer_t *layer, nn_work_t *work)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const int32_t *constant = layer->constant;
    for (unsigned i = 0; i < n_pairs; i++, constant += NN_ROW_CONSTANTS) {
        const int32_t *own = &work->sum[0].sum[i * NN_WIDTH(0) * 2U];
        const uint32_t a = activate(own[0], own[1], constant);
        const int32_t low = nn_requantise(constant[NN_TANGENT_MULTIPLIER], nn_slope(nn_low(a)));
        const int32_t high = nn_requantise(constant[NN_TANGENT_MULTIPLIER + 1U], nn_slope(nn_high(a)));
        work->column[0].pair[i * NN_WIDTH(0)] = a;
#pragma GCC unroll 32
        for (unsigned column = 1; column < NN_COLUMNS; column++) {
            const unsigned block = column / NN_BLOCK;
            const unsigned at = i * NN_WIDTH(block) + column % NN_BLOCK;
            const int32_t *sum = &work->sum[block].sum[at * 2U];
            work->column[block].pair[at] = nn_pack(nn_requantise(sum[0], low), nn_requantise(sum[1], high));
        }
    }
}

static void multiply(const nn_layer_t *layer, nn_work_t *work)
{
    for (unsigned b = 0; b < NN_BLOCKS; b++) {
        nn_kernel_multiply(layer, &work->column[b], NN_WIDTH(b), &work->sum[b]);
    }
}

void nn_evaluate(const nn_t *nn, const int32_t *input, nn_work_t *work)
{
    work->width = NN_WIDTH(0);
    evaluate_first(nn, input, work);
    for (unsigned i = 1; i + 1U < nn->n_layers; i++) {
        multiply(&nn->layer[i], work);
        finish(&nn->layer[i], work);
    }
    multiply(&nn->layer[nn->n_layers - 1U], work);
}

/* One sample's activations of the first layer, to its column. */
static void evaluate_first_sample(const nn_layer_t *layer, const int32_t *input, unsigned width, uint32_t *out)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const uint32_t *weight = layer->weight;
    uint32_t sample[NN_PAIRS(MODEL_N_INPUTS)];
    pack_sample(input, sample);
    for (unsigned i = 0; i < n_pairs; i++, weight += 2U * NN_PAIRS(MODEL_N_INPUTS)) {
        out[i * width] = activate_first(weight, sample, layer->constant + i * NN_ROW_CONSTANTS);
    }
}

/* Without tangents: every column is a sample. */
static void finish_batch(const nn_layer_t *layer, nn_work_t *work)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_out);
    const int32_t *constant = layer->constant;
    const int32_t *sum = work->sum[0].sum;
    uint32_t *pair = work->column[0].pair;
    for (unsigned i = 0; i < n_pairs; i++, constant += NN_ROW_CONSTANTS) {
        for (unsigned column = 0; column < work->width; column++, sum += 2) {
            *pair++ = activate(sum[0], sum[1], constant);
        }
    }
}

void nn_evaluate_batch(const nn_t *nn, const int32_t (*input)[MODEL_N_INPUTS], unsigned n_samples, nn_work_t *work)
{
    work->width = n_samples == 2U ? 3U : n_samples;
    for (unsigned column = 0; column < work->width; column++) {
        const int32_t *sample = input[column < n_samples ? column : 0];
        evaluate_first_sample(&nn->layer[0], sample, work->width, &work->column[0].pair[column]);
    }
    for (unsigned i = 1; i + 1U < nn->n_layers; i++) {
        nn_kernel_multiply(&nn->layer[i], &work->column[0], work->width, &work->sum[0]);
        finish_batch(&nn->layer[i], work);
    }
    nn_kernel_multiply(&nn->layer[nn->n_layers - 1U], &work->column[0], work->width, &work->sum[0]);
}
