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
static void observe(const gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                    const conditions_t *conditions, const measured_t *measured, update_work_t *work,
                    evidence_t *evidence)
{
    real_t modes[MODEL_N_MODES];
    const network_sum_t *aside = NULL;
    trajectory_map_state(trajectory, f->x, modes);
#if MODEL_HAS_CURVATURE
    curvature_look_aside(f, model, trajectory, modes, conditions, &work->network, work->aside);
    aside = work->aside;
#endif
    observation_predict(model, modes, conditions, &work->network);
    evidence->n_used = observation_linearise(model, &work->network, conditions, modes, aside, measured,
                                             work->observation, &evidence->log_det);
}

/* A call: what it needs is no part of the stack while the network is evaluated. */
static __attribute__((noinline)) bool condition(gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                                                const conditions_t *conditions, const update_work_t *work,
                                                evidence_t *evidence)
{
    pseudo_observation_t seen[MODEL_N_CHANNELS];
    real_t context_std[MODEL_N_CONTEXTS];
    observation_context_std(model, conditions, context_std);
    const unsigned n_seen = information_compress(work->observation, evidence->n_used, context_std, seen, &evidence->nis,
                                                 &evidence->log_det);
    return ekf_update(f, model, trajectory, seen, n_seen, &evidence->nis, &evidence->log_det);
}

bool update_filter(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                   const measured_t *measured, update_work_t *work, evidence_t *evidence)
{
    observe(f, model, trajectory, conditions, measured, work, evidence);
    return condition(f, model, trajectory, conditions, work, evidence);
}

#endif
