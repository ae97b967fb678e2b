/* From states to modes: modes = mean + phi state, at a cycle count of a latent trajectory, or the identity where the
 * model has none. docs/estimator.md, equation 2. */
#ifndef EISHIL_CORE_TRAJECTORY_H
#define EISHIL_CORE_TRAJECTORY_H

#include "model.h"

/* The map at one cycle count. With the identity (MODEL_IS_LATENT 0) nothing is set. */
typedef struct {
    real_t mean[MODEL_N_MODES];
    real_t phi[MODEL_N_MODES][MODEL_N_STATES];
} trajectory_t;

void trajectory_interpolate(trajectory_t *t, const model_t *model, real_t cycles);

/* Modes [n_modes] at a state [n_states]. */
void trajectory_map_state(const trajectory_t *t, const real_t *state, real_t *modes);

/* Gradient by the state [n_states] from one by the modes [n_modes]. */
void trajectory_map_gradient(const trajectory_t *t, const real_t *by_modes, real_t *by_state);

#endif
