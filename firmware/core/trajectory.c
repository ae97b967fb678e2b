#include "trajectory.h"

#include <string.h>

/* Lower node of the interval that holds the cycle count, and the position in it, 0..1. */
static unsigned find_node(const model_t *model, float cycles, float *position)
{
    const unsigned last = model->n_nodes - 1U;
    float nodes = cycles / model->cycle_spacing;
    if (!(nodes < (float)last)) {
        *position = 0.0f;
        return last;
    }
    nodes = nodes > 0.0f ? nodes : 0.0f;
    unsigned lower = (unsigned)nodes;
    *position = nodes - (float)lower;
    return lower;
}

static float interpolate(const float *table, unsigned stride, unsigned index, float position)
{
    /* At a node the next one is not read: after the last there is none. */
    float lower = table[index];
    return position > 0.0f ? lower + position * (table[index + stride] - lower) : lower;
}

void trajectory_interpolate(trajectory_t *t, const model_t *model, float cycles)
{
    const unsigned n_modes = model->n_modes;
    const unsigned n_phi = n_modes * model->n_states;
    t->is_identity = model->n_nodes == 0U;
    if (t->is_identity) {
        return;
    }
    float position;
    unsigned node = find_node(model, cycles, &position);
    const float *mean = model->trajectory_mean + node * n_modes;
    const float *phi = model->trajectory_phi + node * n_phi;
    for (unsigned p = 0; p < n_modes; p++) {
        t->mean[p] = interpolate(mean, n_modes, p, position);
        for (unsigned i = 0; i < model->n_states; i++) {
            t->phi[p][i] = interpolate(phi, n_phi, p * model->n_states + i, position);
        }
    }
}

void trajectory_map_state(const trajectory_t *t, const model_t *model, const float *state, float *modes)
{
    if (t->is_identity) {
        memcpy(modes, state, model->n_states * sizeof *modes);
        return;
    }
    for (unsigned p = 0; p < model->n_modes; p++) {
        float sum = t->mean[p];
        for (unsigned i = 0; i < model->n_states; i++) {
            sum += t->phi[p][i] * state[i];
        }
        modes[p] = sum;
    }
}

void trajectory_map_gradient(const trajectory_t *t, const model_t *model, const float *by_modes, float *by_state)
{
    if (t->is_identity) {
        memcpy(by_state, by_modes, model->n_states * sizeof *by_state);
        return;
    }
    for (unsigned i = 0; i < model->n_states; i++) {
        float sum = 0.0f;
        for (unsigned p = 0; p < model->n_modes; p++) {
            sum += t->phi[p][i] * by_modes[p];
        }
        by_state[i] = sum;
    }
}
