/* Unscented Kalman filter: the update with one spectrum. docs/estimator.md, "The unscented filter". */
#ifndef EISHIL_CORE_UKF_H
#define EISHIL_CORE_UKF_H

#include "gaussian.h"
#include "observation.h"
#include "trajectory.h"

#define UKF_N_POINTS (2U * MODEL_N_STATES + 1U)
/* What innovations are a mixture of: the errors of the context, the centre and half sums of the sigma points' pairs,
 * which are noise to the state, then their half differences, which are its linear part. */
#define UKF_N      (MODEL_N_CONTEXTS + UKF_N_POINTS)
#define UKF_LINEAR (UKF_N - MODEL_N_STATES)

typedef struct {
    real_t root[MODEL_N_STATES][MODEL_N_STATES]; /* L, P = L L^T */
    real_t mixture[MODEL_N_OBSERVATIONS][UKF_N]; /* first h at the points instead: centre, x + sqrt(n) L_i, x - ... */
    bool used[MODEL_N_OBSERVATIONS];
    real_t information[UKF_N][UKF_N]; /* upper triangle */
    real_t vector[UKF_N];
} ukf_work_t;

/* False, and f of no use, when P is or would be no covariance. */
bool ukf_update(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                const measured_t *measured, network_work_t *network, ukf_work_t *work, evidence_t *evidence);

#endif
