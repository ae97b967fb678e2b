/* From states to modes: modes = mean + phi state, at a cycle count of a latent trajectory, or the identity where the
 * model has none. docs/estimator.md, equation 2. */
#ifndef EISHIL_CORE_TRAJECTORY_H
#define EISHIL_CORE_TRAJECTORY_H

#include "model.h"

/* The map at one cycle count. With is_identity the arrays are not set. */
typedef struct {
    bool is_identity;
    float mean[MODEL_N_MODES];
    float phi[MODEL_N_MODES][MODEL_N_STATES];
} trajectory_t;

void trajectory_interpolate(trajectory_t *t, const model_t *model, float cycles);

/* Modes [n_modes] at a state [n_states]. */
void trajectory_map_state(const trajectory_t *t, const model_t *model, const float *state, float *modes);

/* From the gradient by the modes to the gradient by the state: phi^T g. */
void trajectory_map_gradient(const trajectory_t *t, const model_t *model, const float *by_modes, float *by_state);

#endif
