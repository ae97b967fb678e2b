#include "trajectory.h"

#include <string.h>

/* Lower node of the interval that holds the cycle count, and the position in it, 0..1. */
static unsigned find_node(const model_t *model, real_t cycles, real_t *position)
{
    const unsigned last = model->n_nodes - 1U;
    real_t nodes = cycles / model->cycle_spacing;
    if (!(nodes < (real_t)last)) {
        *position = REAL(0);
        return last;
    }
    nodes = nodes > REAL(0) ? nodes : REAL(0);
    const unsigned lower = (unsigned)nodes;
    *position = nodes - (real_t)lower;
    return lower;
}

/* out [n] between two nodes that lie n apart. At a node the next one is not read: after the last there is none. */
static void interpolate(const float *lower, unsigned n, real_t position, real_t *out)
{
    const float *upper = position > REAL(0) ? lower + n : lower;
#pragma GCC unroll 4
    for (unsigned i = 0; i < n; i++) {
        out[i] = real_add_product(lower[i], position, upper[i] - (real_t)lower[i]);
    }
}

void trajectory_interpolate(trajectory_t *t, const model_t *model, real_t cycles)
{
    if (!MODEL_IS_LATENT) {
        return;
    }
    const unsigned n_phi = MODEL_N_MODES * MODEL_N_STATES;
    real_t position;
    const unsigned node = find_node(model, cycles, &position);
    interpolate(model->trajectory_mean + node * MODEL_N_MODES, MODEL_N_MODES, position, t->mean);
    interpolate(model->trajectory_phi + node * n_phi, n_phi, position, t->phi[0]);
}

void trajectory_map_state(const trajectory_t *t, const real_t *state, real_t *modes)
{
    if (!MODEL_IS_LATENT) {
        memcpy(modes, state, MODEL_N_STATES * sizeof *modes);
        return;
    }
    for (unsigned p = 0; p < MODEL_N_MODES; p++) {
        real_t sum = t->mean[p];
#pragma GCC unroll 12
        for (unsigned i = 0; i < MODEL_N_STATES; i++) {
            sum = real_add_product(sum, t->phi[p][i], state[i]);
        }
        modes[p] = sum;
    }
}

void trajectory_map_gradient(const trajectory_t *t, const real_t *by_modes, real_t *by_state)
{
    if (!MODEL_IS_LATENT) {
        memcpy(by_state, by_modes, MODEL_N_STATES * sizeof *by_state);
        return;
    }
    for (unsigned i = 0; i < MODEL_N_STATES; i++) {
        real_t sum = REAL(0);
#pragma GCC unroll 8
        for (unsigned p = 0; p < MODEL_N_MODES; p++) {
            sum = real_add_product(sum, t->phi[p][i], by_modes[p]);
        }
        by_state[i] = sum;
    }
}
