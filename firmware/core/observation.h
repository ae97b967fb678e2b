/* Observations: a measured spectrum against what the model expects in its place, linearised.
 * docs/estimator.md, equations 3 to 5. */
#ifndef EISHIL_CORE_OBSERVATION_H
#define EISHIL_CORE_OBSERVATION_H

#include "fmath.h"
#include "information.h"
#include "model.h"
#include "network.h"
#include "trajectory.h"

/* What was measured besides the impedance. */
typedef struct {
    real_t voltage_V;
    real_t inverse_temperature; /* 1000/T in 1/K */
} conditions_t;

static inline conditions_t observation_conditions(float voltage_V, float temperature_degC)
{
    return (conditions_t){voltage_V, REAL(1000) / (temperature_degC + REAL(273.15f))};
}

/* z [n_observations]: Re Z and then -Im Z in ohm; 0 where the observation is left out. */
void observation_take_usable(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                             uint32_t valid_mask, real_t *z);

/* Inputs of the network [n_inputs] at a state; also writes the modes [n_modes] there. */
void observation_read_inputs(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                             const conditions_t *conditions, real_t *modes, network_input_t *input);

/* The network at one state, with its Jacobian; also writes the modes [n_modes] there. */
void observation_predict(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                         const conditions_t *conditions, real_t *modes, network_work_t *work);

/* Logarithms of what is expected at sample `column` of the network, to h[0], h[stride] and so on; takes out of used
 * [n_observations] where that is not positive, and leaves out what was not in it. */
void observation_expect(const model_t *model, const network_work_t *work, const real_t *modes, unsigned column,
                        bool *used, real_t *h, unsigned stride);

/* Standard deviations [MODEL_N_CONTEXTS] of the context's errors, in units of network_row_gradient. */
void observation_context_std(const model_t *model, const conditions_t *conditions, real_t *std);

/* What the context's errors do to an observation, in units of std (observation_context_std), at the row of the network
 * whose expected logarithm is h: dh/dy = exp(y) / l = exp(y - h). */
static inline void observation_weigh_context(const network_row_t *row, const conditions_t *conditions, real_t h,
                                             const real_t *std, real_t *out)
{
    const real_t scale = network_row_scale(row) * fmath_exp_inline(network_row_output(row) - h);
    real_t gradient[MODEL_N_CONTEXTS];
    network_row_context(row, conditions->inverse_temperature, gradient);
    for (unsigned c = 0; c < MODEL_N_CONTEXTS; c++) {
        out[c] = gradient[c] * scale * std[c];
    }
}

/* The usable observations against the prediction; returns how many stand in out [n_observations]. An observation whose
 * expected impedance is not positive is left out. With several filters *log_det gets the sum of ln v. */
unsigned observation_linearise(const model_t *model, const network_work_t *work, const conditions_t *conditions,
                               const real_t *modes, const real_t *z, observation_t *out, real_t *log_det);

#endif
