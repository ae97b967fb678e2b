#include "update.h"

#include "curvature.h"
#include "ekf.h"

bool update_filter(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                   const measured_t *measured, update_work_t *work, evidence_t *evidence)
{
#if MODEL_FILTER_IS_UKF
    return ukf_update(f, model, trajectory, conditions, measured, &work->network, &work->ukf, evidence);
#else
    real_t modes[MODEL_N_MODES];
    pseudo_observation_t seen[MODEL_N_CHANNELS];
    real_t context_std[MODEL_N_CONTEXTS];
    const network_sum_t *aside = NULL;
    trajectory_map_state(trajectory, f->x, modes);
#if MODEL_HAS_CURVATURE
    curvature_look_aside(f, model, trajectory, modes, conditions, &work->network, work->aside);
    aside = work->aside;
#endif
    observation_context_std(model, conditions, context_std);
    observation_predict(model, modes, conditions, &work->network);
    evidence->n_used = observation_linearise(model, &work->network, conditions, modes, aside, measured,
                                             work->observation, &evidence->log_det);
    const unsigned n_seen = information_compress(work->observation, evidence->n_used, context_std, seen, &evidence->nis,
                                                 &evidence->log_det);
    return ekf_update(f, model, trajectory, seen, n_seen, &evidence->nis, &evidence->log_det);
#endif
}
