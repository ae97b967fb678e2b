#include "readout.h"

#include "fmath.h"

#define N_INPUTS MODEL_MAX_READOUT_INPUTS

real_t readout_evaluate(const readout_t *readout, const real_t *modes, real_t *gradient)
{
    real_t input[N_INPUTS];
    real_t by_input[N_INPUTS];
    const float *w1 = readout->w1;
    real_t value = readout->b2;
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        input[j] = (modes[readout->input[j]] - readout->input_mean[j]) * readout->input_scale[j];
        by_input[j] = REAL(0);
    }
    for (unsigned i = 0; i < readout->n_hidden; i++, w1 += N_INPUTS) {
        real_t sum = readout->b1[i];
#pragma GCC unroll 8
        for (unsigned j = 0; j < N_INPUTS; j++) {
            sum = real_add_product(sum, w1[j], input[j]);
        }
        const real_t activation = fmath_tanh_inline(sum);
        const real_t slope = readout->w2[i] * (REAL(1) - activation * activation);
        value += readout->w2[i] * activation;
#pragma GCC unroll 8
        for (unsigned j = 0; j < N_INPUTS; j++) {
            by_input[j] = real_add_product(by_input[j], slope, w1[j]);
        }
    }
    for (unsigned k = 0; k < MODEL_N_MODES; k++) {
        gradient[k] = REAL(0);
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        gradient[readout->input[j]] += by_input[j] * readout->input_scale[j];
    }
    return value;
}
