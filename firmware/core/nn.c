#include "nn.h"

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

/* Activations of two units from their sums. */
static inline pair_t activate(pair_t sum, const int32_t *bias, const int32_t *multiplier)
{
    return (pair_t){nn_tanh(nn_requantise(sum.low + bias[0], multiplier[0])),
                    nn_tanh(nn_requantise(sum.high + bias[1], multiplier[1]))};
}

static void pack_sample(const int32_t *input, uint32_t *sample)
{
    for (unsigned j = 0; j < MODEL_N_INPUTS; j += 2U) {
        sample[j / 2U] = nn_pack(input[j], j + 1U < MODEL_N_INPUTS ? input[j + 1U] : 0);
    }
}

static inline pair_t activate_first(const nn_first_t *first, const uint32_t *sample)
{
    pair_t sum = {first->bias[0], first->bias[1]};
    const int32_t none[2] = {0, 0};
#pragma GCC unroll 8
    for (unsigned j = 0; j < NN_PAIRS(MODEL_N_INPUTS); j++) {
        sum.low = nn_multiply_pair(first->weight[j][0], sample[j], sum.low);
        sum.high = nn_multiply_pair(first->weight[j][1], sample[j], sum.high);
    }
    return activate(sum, none, first->multiplier);
}

/* The first layer's tangents are constants of the model. */
static void evaluate_first(const nn_t *nn, const int32_t *input, nn_work_t *work)
{
    const nn_first_t *first = nn->first;
    const nn_first_t *end = first + NN_PAIRS(nn->n_first);
    uint32_t sample[NN_PAIRS(MODEL_N_INPUTS)];
    pack_sample(input, sample);
    for (unsigned i = 0; first != end; i++, first++) {
        const pair_t a = activate_first(first, sample);
        const int32_t low = nn_slope(a.low);
        const int32_t high = nn_slope(a.high);
        work->column[0].pair[i * NN_WIDTH(0)] = nn_pack(a.low, a.high);
#pragma GCC unroll 32
        for (unsigned column = 1; column < NN_COLUMNS; column++) {
            const unsigned block = column / NN_BLOCK;
            work->column[block].pair[i * NN_WIDTH(block) + column % NN_BLOCK] =
                nn_requantise_pair(first->tangent[column - 1U], low, high);
        }
    }
}

/* From the sums of a hidden layer to its activations and tangents. */
static void finish(const nn_layer_t *layer, nn_work_t *work)
{
    const nn_rows_t *rows = layer->rows;
    const nn_rows_t *end = rows + NN_PAIRS(layer->n_out);
    for (unsigned i = 0; rows != end; i++, rows++) {
        const int32_t *own = &work->sum[0].sum[2U * i * NN_WIDTH(0)];
        const pair_t a = activate((pair_t){own[0], own[NN_WIDTH(0)]}, rows->bias, rows->multiplier);
        const int32_t low = nn_requantise(rows->tangent_multiplier[0], nn_slope(a.low));
        const int32_t high = nn_requantise(rows->tangent_multiplier[1], nn_slope(a.high));
        work->column[0].pair[i * NN_WIDTH(0)] = nn_pack(a.low, a.high);
#pragma GCC unroll 32
        for (unsigned column = 1; column < NN_COLUMNS; column++) {
            const unsigned block = column / NN_BLOCK;
            const unsigned width = NN_WIDTH(block);
            const int32_t *sum = &work->sum[block].sum[2U * i * width + column % NN_BLOCK];
            work->column[block].pair[i * width + column % NN_BLOCK] =
                nn_pack(nn_requantise(sum[0], low), nn_requantise(sum[width], high));
        }
    }
}

static void multiply(const nn_layer_t *layer, nn_work_t *work)
{
#pragma GCC unroll 4
    for (unsigned b = 0; b < NN_BLOCKS; b++) {
        nn_kernel_multiply(layer, &work->column[b], NN_WIDTH(b), &work->sum[b]);
    }
}

void nn_evaluate(const nn_t *nn, const int32_t *input, nn_work_t *work)
{
    work->width = NN_WIDTH(0);
    evaluate_first(nn, input, work);
    for (unsigned i = 0; i + 1U < nn->n_layers; i++) {
        multiply(&nn->layer[i], work);
        finish(&nn->layer[i], work);
    }
    multiply(&nn->layer[nn->n_layers - 1U], work);
}

/* One sample's activations of the first layer, to its column. */
static void evaluate_first_sample(const nn_t *nn, const int32_t *input, unsigned width, uint32_t *out)
{
    const nn_first_t *first = nn->first;
    const nn_first_t *end = first + NN_PAIRS(nn->n_first);
    uint32_t sample[NN_PAIRS(MODEL_N_INPUTS)];
    pack_sample(input, sample);
    for (; first != end; first++, out += width) {
        const pair_t a = activate_first(first, sample);
        *out = nn_pack(a.low, a.high);
    }
}

/* Without tangents: every column is a sample. */
static void finish_batch(const nn_layer_t *layer, nn_work_t *work)
{
    const nn_rows_t *rows = layer->rows;
    const nn_rows_t *end = rows + NN_PAIRS(layer->n_out);
    const int32_t *sum = work->sum[0].sum;
    uint32_t *pair = work->column[0].pair;
    for (; rows != end; rows++) {
        for (unsigned column = 0; column < work->width; column++) {
            const pair_t both = {sum[column], sum[work->width + column]};
            const pair_t a = activate(both, rows->bias, rows->multiplier);
            *pair++ = nn_pack(a.low, a.high);
        }
        sum += 2U * work->width;
    }
}

void nn_evaluate_batch(const nn_t *nn, const int32_t (*input)[MODEL_N_INPUTS], unsigned n_samples, nn_work_t *work)
{
    work->width = n_samples == 2U ? 3U : n_samples;
    for (unsigned column = 0; column < work->width; column++) {
        const int32_t *sample = input[column < n_samples ? column : 0];
        evaluate_first_sample(nn, sample, work->width, &work->column[0].pair[column]);
    }
    for (unsigned i = 0; i + 1U < nn->n_layers; i++) {
        nn_kernel_multiply(&nn->layer[i], &work->column[0], work->width, &work->sum[0]);
        finish_batch(&nn->layer[i], work);
    }
    nn_kernel_multiply(&nn->layer[nn->n_layers - 1U], &work->column[0], work->width, &work->sum[0]);
}
