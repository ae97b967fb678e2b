#include "nn_kernel.h"

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_portable_t;

#if !NN_KERNEL_DSP

static int32_t multiply_pair(uint32_t weights, uint32_t values)
{
    return nn_low(weights) * nn_low(values) + nn_high(weights) * nn_high(values);
}

void nn_kernel_multiply(const nn_layer_t *layer, const nn_block_t *in, unsigned n_columns, nn_sums_t *out)
{
    const unsigned n_pairs = NN_PAIRS(layer->n_in);
    const uint32_t *weight = layer->weight;
    for (unsigned i = 0; i < NN_PAIRS(layer->n_out); i++, weight += 2U * n_pairs) {
        for (unsigned c = 0; c < n_columns; c++) {
            int32_t sum[2] = {0, 0};
            for (unsigned j = 0; j < n_pairs; j++) {
                sum[0] += multiply_pair(weight[2U * j], in->pair[j][c]);
                sum[1] += multiply_pair(weight[2U * j + 1U], in->pair[j][c]);
            }
            out->pair[i][c][0] = sum[0];
            out->pair[i][c][1] = sum[1];
        }
    }
}

#endif
