#include "network.h"

#include "fmath.h"

#include <string.h>

#if defined(NETWORK_IS_REAL)

network_input_t network_read_input(const nn_t *nn, unsigned index, real_t value)
{
    const network_real_t *network = &eishil_network_real;
    (void)nn;
    return (value - network->input_mean[index]) * network->input_scale[index];
}

static void multiply(const network_layer_t *layer, const real_t *in, real_t *out)
{
    for (unsigned i = 0; i < layer->n_out; i++) {
        const real_t *weight = layer->weight + i * layer->n_in;
        real_t sum = layer->bias[i];
        for (unsigned j = 0; j < layer->n_in; j++) {
            sum += weight[j] * in[j];
        }
        out[i] = sum;
    }
}

static void multiply_tangents(const network_layer_t *layer, const real_t (*in)[MODEL_N_TANGENTS],
                              real_t (*out)[MODEL_N_TANGENTS])
{
    for (unsigned i = 0; i < layer->n_out; i++) {
        const real_t *weight = layer->weight + i * layer->n_in;
        for (unsigned c = 0; c < MODEL_N_TANGENTS; c++) {
            real_t sum = REAL(0);
            for (unsigned j = 0; j < layer->n_in; j++) {
                sum += weight[j] * in[j][c];
            }
            out[i][c] = sum;
        }
    }
}

static void activate(const network_layer_t *layer, real_t *activation, real_t (*tangent)[MODEL_N_TANGENTS])
{
    for (unsigned i = 0; i < layer->n_out; i++) {
        activation[i] = fmath_tanh(activation[i]);
        const real_t slope = REAL(1) - activation[i] * activation[i];
        for (unsigned c = 0; tangent != NULL && c < MODEL_N_TANGENTS; c++) {
            tangent[i][c] *= slope;
        }
    }
}

static void evaluate(const network_input_t *input, bool with_jacobian, unsigned column, network_work_t *work)
{
    const network_real_t *network = &eishil_network_real;
    unsigned at = 0;
    memset(work->tangent[0], 0, sizeof work->tangent[0]);
    for (unsigned c = 0; c < MODEL_N_INPUTS; c++) {
        work->activation[0][c] = input[c];
    }
    for (unsigned c = 0; c < MODEL_N_TANGENTS; c++) {
        work->tangent[0][c][c] = network->input_scale[c];
    }
    for (unsigned l = 0; l < network->n_layers; l++, at = 1U - at) {
        const network_layer_t *layer = &network->layer[l];
        real_t *out = work->activation[1U - at];
        real_t(*tangent)[MODEL_N_TANGENTS] = work->tangent[1U - at];
        multiply(layer, work->activation[at], out);
        if (with_jacobian) {
            multiply_tangents(layer, (const real_t(*)[MODEL_N_TANGENTS])work->tangent[at], tangent);
        }
        if (l + 1U < network->n_layers) {
            activate(layer, out, with_jacobian ? tangent : NULL);
        }
    }
    memcpy(work->output[column], work->activation[at], sizeof work->output[column]);
    work->jacobian = (const real_t(*)[MODEL_N_TANGENTS])work->tangent[at];
}

void network_evaluate(const nn_t *nn, const network_input_t *input, network_work_t *work)
{
    (void)nn;
    evaluate(input, true, 0, work);
}

void network_evaluate_batch(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], unsigned n_samples,
                            network_work_t *work)
{
    (void)nn;
    for (unsigned column = 0; column < n_samples; column++) {
        evaluate(input[column], false, column, work);
    }
}

void network_evaluate_pair(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], network_work_t *work,
                           network_sum_t *sum)
{
    network_evaluate_batch(nn, input, 2, work);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        sum[i] = work->output[0][i] + work->output[1][i];
    }
}

#else

void network_evaluate(const nn_t *nn, const network_input_t *input, network_work_t *work)
{
    nn_evaluate(nn, input, &work->integer);
}

void network_evaluate_batch(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], unsigned n_samples,
                            network_work_t *work)
{
    nn_evaluate_batch(nn, input, n_samples, &work->integer);
}

void network_evaluate_pair(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], network_work_t *work,
                           network_sum_t *sum)
{
    const int32_t *bias = nn->layer[nn->n_layers - 1U].rows;
    const int32_t *both = &work->integer.sum.row[0][1];
    network_evaluate_batch(nn, input, 2, work);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, both += NN_STRIDE) {
        sum[i] = 2U * (uint32_t)bias[i] + (uint32_t)both[0] + (uint32_t)both[1];
    }
}

#endif
