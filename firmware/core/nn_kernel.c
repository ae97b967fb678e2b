#include "nn_kernel.h"

/* ISO C wants something in every translation unit. */
typedef int nn_kernel_portable_t;

#if !NN_KERNEL_DSP

void nn_kernel_multiply(const nn_layer_t *layer, const nn_block_t *in, unsigned width, nn_sums_t *out)
{
    const unsigned n_pairs = NN_WEIGHT_PAIRS(layer->n_in);
    const uint32_t *weight = layer->weight;
    int32_t *sum = out->sum;
    for (unsigned i = 0; i < NN_PAIRS(layer->n_out); i++, weight += 2U * n_pairs) {
        for (unsigned c = 0; c < width; c++) {
            sum[c] = sum[width + c] = 0;
            for (unsigned j = 0; j < n_pairs; j++) {
                sum[c] = nn_multiply_pair(weight[2U * j], in->pair[j * width + c], sum[c]);
                sum[width + c] = nn_multiply_pair(weight[2U * j + 1U], in->pair[j * width + c], sum[width + c]);
            }
        }
        sum += 2U * width;
    }
}

#endif
