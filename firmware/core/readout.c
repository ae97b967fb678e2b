#include "readout.h"

#include "block_moves.h"
#include "fmath.h"

#define N_INPUTS       MODEL_MAX_READOUT_INPUTS
#define N_UNIT_NUMBERS (N_INPUTS + 2U) /* of a readout_unit_t */

real_t readout_evaluate(const readout_t *readout, const real_t *modes, real_t *gradient)
{
    real_t input[N_INPUTS];
    real_t by_input[N_INPUTS];
    const readout_unit_t *end = readout->unit + readout->n_hidden;
    const fmath_exp_factors_t factors = fmath_exp_load_factors();
    real_t value = readout->offset;
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        input[j] = modes[readout->input[j]];
        by_input[j] = REAL(0);
    }
    for (const readout_unit_t *unit = readout->unit; unit != end; unit++) {
        real_t number[N_UNIT_NUMBERS];
        block_load_floats(unit->weight, N_UNIT_NUMBERS, number);
        real_t sum = number[N_INPUTS];
#pragma GCC unroll 8
        for (unsigned j = 0; j < N_INPUTS; j++) {
            sum = real_add_apart(sum, number[j], input[j]);
        }
        const real_t logistic = REAL(1) / (REAL(1) + fmath_exp_with(&factors, sum));
        const real_t share = number[N_INPUTS + 1U] * logistic;
        const real_t slope = share * (logistic - REAL(1));
        value += share;
#pragma GCC unroll 8
        for (unsigned j = 0; j < N_INPUTS; j++) {
            by_input[j] = real_add_apart(by_input[j], slope, number[j]);
        }
    }
    for (unsigned k = 0; k < MODEL_N_MODES; k++) {
        gradient[k] = REAL(0);
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        gradient[readout->input[j]] += by_input[j];
    }
    return value;
}
