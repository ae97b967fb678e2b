/* One filter of the bank and one spectrum: by the filter that the model names. */
#ifndef EISHIL_CORE_UPDATE_H
#define EISHIL_CORE_UPDATE_H

#include "gaussian.h"
#include "observation.h"
#include "trajectory.h"
#include "ukf.h"

typedef struct {
    network_work_t network;
#if MODEL_FILTER_IS_UKF
    ukf_work_t ukf;
#else
    observation_t observation[MODEL_N_OBSERVATIONS];
#if MODEL_HAS_CURVATURE
    network_sum_t aside[MODEL_N_OBSERVATIONS];
#endif
#endif
} update_work_t;

/* False, and f of no use, when the covariance of the innovations or that of the state would not be positive and
 * finite. */
bool update_filter(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                   const measured_t *measured, update_work_t *work, evidence_t *evidence);

#endif
