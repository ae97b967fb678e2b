#include "update.h"

#include "curvature.h"
#include "ekf.h"

#if MODEL_FILTER_IS_UKF

bool update_filter(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                   const measured_t *measured, update_work_t *work, evidence_t *evidence)
{
    return ukf_update(f, model, trajectory, conditions, measured, &work->network, &work->ukf, evidence);
}

#else

/* Linearises the observations about the state. */
static observations_t observe(const gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                              const conditions_t *conditions, const measured_t *measured, update_work_t *work)
{
    real_t modes[MODEL_N_MODES];
    const network_sum_t *aside = NULL;
    trajectory_map_state(trajectory, f->x, modes);
#if MODEL_HAS_CURVATURE
    curvature_look_aside(f, model, trajectory, modes, conditions, &work->network, work->aside);
    aside = work->aside;
#endif
    observation_predict(model, modes, conditions, &work->network);
    return observation_linearise(model, &work->network, conditions, modes, aside, measured, work->observation);
}

/* A call: what it needs is no part of the stack while the network is evaluated. */
static __attribute__((noinline)) bool condition(gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                                                const conditions_t *conditions, const observations_t *observations,
                                                evidence_t *evidence)
{
    pseudo_observation_t seen[MODEL_N_CHANNELS];
    real_t context_std[MODEL_N_CONTEXTS];
    observation_context_std(model, conditions, context_std);
    const unsigned n_seen = information_compress(observations, context_std, seen, &evidence->nis, &evidence->log_det);
    evidence->n_used = observations->n;
    return ekf_update(f, model, trajectory, seen, n_seen, &evidence->nis, &evidence->log_det);
}

bool update_filter(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                   const measured_t *measured, update_work_t *work, evidence_t *evidence)
{
    const observations_t observations = observe(f, model, trajectory, conditions, measured, work);
    return condition(f, model, trajectory, conditions, &observations, evidence);
}

#endif
