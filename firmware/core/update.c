#include "update.h"

#include "ekf.h"

bool update_filter(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                   const real_t *z, update_work_t *work, evidence_t *evidence)
{
#if MODEL_FILTER_IS_UKF
    return ukf_update(f, model, trajectory, conditions, z, &work->network, &work->ukf, evidence);
#else
    real_t modes[MODEL_N_MODES];
    pseudo_observation_t seen[MODEL_N_CHANNELS];
    real_t context_std[INFORMATION_N_CONTEXTS];
    observation_context_std(model, conditions, context_std);
    observation_predict(model, trajectory, f->x, conditions, modes, &work->network);
    evidence->n_used =
        observation_linearise(model, &work->network, conditions, modes, z, work->observation, &evidence->log_det);
    const unsigned n_seen = information_compress(work->observation, evidence->n_used, context_std, seen, &evidence->nis,
                                                 &evidence->log_det);
    return ekf_update(f, model, trajectory, seen, n_seen, &evidence->nis, &evidence->log_det);
#endif
}
