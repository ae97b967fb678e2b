#include "nn_kernel.h"

#include <stddef.h>

#if !NN_KERNEL_ASSEMBLY

static void activate_first(const nn_first_t *first, const uint32_t *sample, int32_t *a)
{
    for (unsigned unit = 0; unit < 4U; unit++) {
        int32_t sum = first->bias[unit];
        for (unsigned j = 0; j < NN_PAIRS(MODEL_N_INPUTS); j++) {
            sum = nn_multiply_pair(first->weight[j][unit], sample[j], sum);
        }
        a[unit] = nn_tanh(nn_requantise(sum, first->multiplier[unit]));
    }
}

void nn_kernel_evaluate_first(const nn_t *nn, const uint32_t *sample, nn_column_t *column, nn_block_t *block)
{
    const nn_first_t *first = nn->first;
    for (unsigned i = 0; i < 2U * NN_QUADS(nn->n_first); i += 2U, first++) {
        int32_t a[4];
        activate_first(first, sample, a);
        column->pair[i] = nn_pack(a[0], a[1]);
        column->pair[i + 1U] = nn_pack(a[2], a[3]);
        for (unsigned k = 0; k < 4U * NN_TANGENT_BLOCKS && block != NULL; k++) {
            const unsigned pair = k / 2U % 2U;
            block[k / 4U].pair[i + pair][k % 2U] = nn_requantise_pair(
                first->tangent[k / 4U][pair][k % 2U], nn_slope(a[2U * pair]), nn_slope(a[2U * pair + 1U]));
        }
    }
}

/* Four rows of weights, [step][row], times a column of which a step is `stride` words further on. */
static void multiply_quad(const uint32_t *weight, const uint32_t *value, unsigned stride, int32_t *sum)
{
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    for (unsigned step = 0; step < NN_STEPS; step++, weight += 4, value += stride) {
#pragma GCC unroll 4
        for (unsigned row = 0; row < 4U; row++) {
            sum[row] = nn_multiply_pair(weight[row], *value, sum[row]);
        }
    }
}

/* The last two rows, [step][row], where they are no four. */
static void multiply_rest(const nn_layer_t *layer, const uint32_t *value, unsigned stride, int32_t *sum)
{
    const uint32_t *weight = layer->weight + 4U * NN_STEPS * layer->n_quads;
    if (layer->n_out <= 4U * layer->n_quads) {
        return;
    }
    sum += 4U * NN_STRIDE * layer->n_quads;
    sum[0] = sum[NN_STRIDE] = 0;
    for (unsigned step = 0; step < NN_STEPS; step++, weight += 2, value += stride) {
        sum[0] = nn_multiply_pair(weight[0], *value, sum[0]);
        sum[NN_STRIDE] = nn_multiply_pair(weight[1], *value, sum[NN_STRIDE]);
    }
}

void nn_kernel_activate_column(const nn_layer_t *layer, nn_column_t *column, int32_t *multiplier)
{
    const nn_column_t in = *column;
    const uint32_t *weight = layer->weight;
    const int32_t *rows = layer->rows;
    for (unsigned quad = 0; quad < layer->n_quads; quad++, weight += 4U * NN_STEPS, rows += NN_HIDDEN_ROWS) {
        int32_t a[4];
        multiply_quad(weight, in.pair, 1, a);
        for (unsigned row = 0; row < 4U; row++) {
            a[row] = nn_tanh(nn_requantise(a[row] + rows[row], rows[4U + row]));
            multiplier[4U * quad + row] = nn_requantise(rows[8U + row], nn_slope(a[row]));
        }
        column->pair[2U * quad] = nn_pack(a[0], a[1]);
        column->pair[2U * quad + 1U] = nn_pack(a[2], a[3]);
    }
}

static void multiply(const nn_layer_t *layer, const uint32_t *value, unsigned stride, int32_t *out)
{
    const uint32_t *weight = layer->weight;
    for (unsigned quad = 0; quad < layer->n_quads; quad++, weight += 4U * NN_STEPS) {
        int32_t sum[4];
        multiply_quad(weight, value, stride, sum);
        for (unsigned row = 0; row < 4U; row++) {
            out[(4U * quad + row) * NN_STRIDE] = sum[row];
        }
    }
    multiply_rest(layer, value, stride, out);
}

void nn_kernel_multiply_column(const nn_layer_t *layer, const nn_column_t *in, nn_sums_t *out)
{
    multiply(layer, in->pair, 1, out->row[0]);
    for (unsigned row = 0; row < layer->n_out; row++) {
        out->row[row][0] += layer->rows[row];
    }
}

void nn_kernel_multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks, nn_sums_t *out)
{
    for (unsigned c = 0; c < 2U * n_blocks; c++) {
        multiply(layer, &in[c / 2U].pair[0][c % 2U], 2, &out->row[0][1U + c]);
    }
}

void nn_kernel_propagate_blocks(const nn_layer_t *layer, nn_block_t *block, unsigned n_blocks,
                                const int32_t *multiplier)
{
    for (unsigned c = 0; c < 2U * n_blocks; c++) {
        const nn_block_t in = block[c / 2U];
        const uint32_t *weight = layer->weight;
        for (unsigned quad = 0; quad < layer->n_quads; quad++, weight += 4U * NN_STEPS) {
            int32_t sum[4];
            multiply_quad(weight, &in.pair[0][c % 2U], 2, sum);
            for (unsigned row = 0; row < 4U; row++) {
                sum[row] = nn_requantise(sum[row], multiplier[4U * quad + row]);
            }
            block[c / 2U].pair[2U * quad][c % 2U] = nn_pack(sum[0], sum[1]);
            block[c / 2U].pair[2U * quad + 1U][c % 2U] = nn_pack(sum[2], sum[3]);
        }
    }
}

#endif
