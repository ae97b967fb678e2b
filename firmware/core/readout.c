#include "readout.h"

#include "fmath.h"

#define N_INPUTS MODEL_MAX_READOUT_INPUTS

real_t readout_evaluate(const readout_t *readout, const real_t *modes, real_t *gradient)
{
    real_t input[N_INPUTS];
    real_t by_input[N_INPUTS];
    const readout_input_t *in = readout->input;
    const readout_unit_t *end = readout->unit + readout->n_hidden;
    real_t value = readout->b2;
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        input[j] = (modes[in[j].mode] - in[j].mean) * in[j].scale;
        by_input[j] = REAL(0);
    }
    for (const readout_unit_t *unit = readout->unit; unit != end; unit++) {
        real_t sum = unit->b1;
#pragma GCC unroll 8
        for (unsigned j = 0; j < N_INPUTS; j++) {
            sum = real_add_product(sum, unit->w1[j], input[j]);
        }
        const real_t activation = fmath_tanh_inline(sum);
        const real_t slope = unit->w2 * (REAL(1) - activation * activation);
        value += unit->w2 * activation;
#pragma GCC unroll 8
        for (unsigned j = 0; j < N_INPUTS; j++) {
            by_input[j] = real_add_product(by_input[j], slope, unit->w1[j]);
        }
    }
    for (unsigned k = 0; k < MODEL_N_MODES; k++) {
        gradient[k] = REAL(0);
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        gradient[in[j].mode] += by_input[j] * in[j].scale;
    }
    return value;
}
