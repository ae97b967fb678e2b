/* Observations: a measured spectrum against what the model expects in its place, linearised.
 * docs/estimator.md, equations 3 to 5. */
#ifndef EISHIL_CORE_OBSERVATION_H
#define EISHIL_CORE_OBSERVATION_H

#include "information.h"
#include "model.h"
#include "nn.h"
#include "trajectory.h"

/* What was measured besides the impedance. */
typedef struct {
    real_t voltage_V;
    real_t temperature_K;
} conditions_t;

/* z [n_observations]: Re Z and then -Im Z in ohm; NaN where the observation is left out. */
void observation_take_usable(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                             uint32_t valid_mask, real_t *z);

/* The network at one state, with its Jacobian; also writes the modes [n_modes] there. */
void observation_predict(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                         const conditions_t *conditions, real_t *modes, nn_work_t *work);

/* The usable observations against the prediction; returns how many stand in out [n_observations]. An observation whose
 * expected impedance is not positive is left out. With several filters *log_det gets the sum of ln R. */
unsigned observation_linearise(const model_t *model, const nn_work_t *work, const real_t *modes,
                               const conditions_t *conditions, const real_t *z, observation_t *out, real_t *log_det);

#endif
