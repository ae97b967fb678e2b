#include "nn_kernel.h"

#include <stddef.h>

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_portable_t;

#if !NN_KERNEL_ASSEMBLY

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

void nn_kernel_activate_column(const nn_layer_t *layer, nn_column_t *column, int32_t *multiplier)
{
    const nn_column_t in = *column;
    const uint32_t *weight = layer->weight;
    const int32_t *rows = layer->rows;
    for (unsigned quad = 0; quad < NN_QUADS(layer->n_out); quad++, weight += 4U * NN_STEPS, rows += NN_HIDDEN_ROWS) {
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

/* bias [row] may be NULL. */
static void multiply(const nn_layer_t *layer, const int32_t *bias, const uint32_t *value, unsigned stride,
                     nn_sums_t *out, unsigned column)
{
    const uint32_t *weight = layer->weight;
    for (unsigned quad = 0; quad < NN_QUADS(layer->n_out); quad++, weight += 4U * NN_STEPS) {
        int32_t sum[4];
        multiply_quad(weight, value, stride, sum);
        for (unsigned row = 4U * quad; row < 4U * quad + 4U; row++) {
            out->row[row][column] = sum[row % 4U] + (bias == NULL ? 0 : bias[row]);
        }
    }
}

void nn_kernel_multiply_column(const nn_layer_t *layer, const nn_column_t *in, nn_sums_t *out)
{
    multiply(layer, layer->rows, in->pair, 1, out, 0);
}

void nn_kernel_multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks, nn_sums_t *out)
{
    for (unsigned c = 0; c < 2U * n_blocks; c++) {
        multiply(layer, NULL, &in[c / 2U].pair[0][c % 2U], 2, out, 1U + c);
    }
}

void nn_kernel_propagate_blocks(const nn_layer_t *layer, nn_block_t *block, unsigned n_blocks,
                                const int32_t *multiplier)
{
    for (unsigned c = 0; c < 2U * n_blocks; c++) {
        const nn_block_t in = block[c / 2U];
        const uint32_t *weight = layer->weight;
        for (unsigned quad = 0; quad < NN_QUADS(layer->n_out); quad++, weight += 4U * NN_STEPS) {
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
