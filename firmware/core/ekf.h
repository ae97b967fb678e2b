/* Extended Kalman filter: the update with one spectrum, linearised once. docs/estimator.md, equations 3 to 6. */
#ifndef EISHIL_CORE_EKF_H
#define EISHIL_CORE_EKF_H

#include "gaussian.h"
#include "information.h"
#include "trajectory.h"

/* Pseudo-observations of one spectrum, one after the other; trajectory as of the prediction. Adds their share to *nis
 * and, with several filters, to *log_det. False, and f of no use, when P would not stay positive and finite. */
bool ekf_update(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const pseudo_observation_t *seen,
                unsigned n_seen, real_t *nis, real_t *log_det);

#endif
