/* Observations: the logarithms of a measured spectrum, and what the model expects in their place, linearised.
 * docs/estimator.md, equations 3 to 5. */
#ifndef EISHIL_CORE_OBSERVATION_H
#define EISHIL_CORE_OBSERVATION_H

#include "model.h"
#include "nn.h"
#include "trajectory.h"

/* The network at one filter's state, up to its last layer: the rows of that are evaluated one by one, so that the
 * Jacobian never stands in memory whole. */
typedef struct {
    float modes[MODEL_N_MODES];
    float per_temperature_K; /* d(1000/T_K)/dT */
    nn_hidden_t hidden;
} prediction_t;

/* One observation, linearised: expected value, its gradient by the state, variance of the measurement. */
typedef struct {
    float h;
    float H[MODEL_N_STATES];
    float R;
} observation_t;

/* z [n_observations]: ln Re Z and then ln(-Im Z); NaN where the observation is left out. */
void observation_take_logarithms(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                                 uint32_t valid_mask, float *z);

void observation_predict(prediction_t *p, const model_t *model, const trajectory_t *trajectory, const float *state,
                         float voltage_V, float temperature_degC);

/* False when the expected impedance is not positive: the observation is then left out. */
bool observation_linearise(const prediction_t *p, const model_t *model, const trajectory_t *trajectory, unsigned i,
                           observation_t *out);

#endif
