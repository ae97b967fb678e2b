#include "curvature.h"

#include "fmath.h"

/* Modes at x + u, u = P g / sqrt(g^T P g), where g is the combination's gradient by the state. A call: what it needs is
 * no part of the stack while the network is evaluated. */
static __attribute__((noinline)) void step_ahead(const gaussian_t *f, const model_t *model,
                                                 const trajectory_t *trajectory, real_t *ahead)
{
    real_t gradient[MODEL_N_MODES];
    real_t g[MODEL_N_STATES];
    real_t u[MODEL_N_STATES];
    real_t variance = REAL(0);
    for (unsigned p = 0; p < MODEL_N_MODES; p++) {
        gradient[p] = model->curvature_gradient[p];
    }
    trajectory_map_gradient(trajectory, gradient, g);
    gaussian_multiply(f->P, g, u);
    for (unsigned i = 0; i < MODEL_N_STATES; i++) {
        variance = real_add_product(variance, g[i], u[i]);
    }
    const real_t scale = fmath_has_logarithm(variance) ? REAL(1) / fmath_sqrt(variance) : REAL(0);
    for (unsigned i = 0; i < MODEL_N_STATES; i++) {
        u[i] = real_add_product(f->x[i], u[i], scale);
    }
    trajectory_map_state(trajectory, u, ahead);
}

void curvature_look_aside(const gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                          const real_t *modes, const conditions_t *conditions, network_work_t *network,
                          network_sum_t *aside)
{
    real_t ahead[MODEL_N_MODES];
    real_t behind[MODEL_N_MODES];
    network_input_t input[2][MODEL_N_INPUTS];
    step_ahead(f, model, trajectory, ahead);
    for (unsigned p = 0; p < MODEL_N_MODES; p++) {
        behind[p] = modes[p] - (ahead[p] - modes[p]);
    }
    observation_read_inputs(model, ahead, conditions, input[0]);
    observation_read_inputs(model, behind, conditions, input[1]);
    network_evaluate_pair(&model->network, (const network_input_t(*)[MODEL_N_INPUTS])input, network, aside);
}
