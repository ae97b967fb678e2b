/* Unscented Kalman filter: the update with one spectrum. docs/estimator.md, "The unscented filter". */
#ifndef EISHIL_CORE_UKF_H
#define EISHIL_CORE_UKF_H

#include "gaussian.h"
#include "observation.h"
#include "trajectory.h"

/* Half differences and half sums of the sigma points' pairs, and the centre: what innovations are a mixture of. */
#define UKF_N (2U * MODEL_N_STATES + 1U)

typedef struct {
    real_t root[MODEL_N_STATES][MODEL_N_STATES];  /* L, P = L L^T */
    real_t expected[MODEL_N_OBSERVATIONS][UKF_N]; /* h at the centre, at x + sqrt(n) L_i, at x - sqrt(n) L_i */
    real_t variance[MODEL_N_OBSERVATIONS];        /* R; 0 where an observation is left out */
    real_t information[UKF_N][UKF_N];             /* upper triangle */
    real_t vector[UKF_N];
} ukf_work_t;

/* z [n_observations] as observation_take_usable gives it. False, and f of no use, when P is or would be no covariance. */
bool ukf_update(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                const real_t *z, network_work_t *network, ukf_work_t *work, evidence_t *evidence);

#endif
