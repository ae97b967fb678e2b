/* Where the network bends: its outputs one standard deviation to either side of a state, along the one direction in which
 * a combination of modes is uncertain. docs/estimator.md, "What a model may have besides". */
#ifndef EISHIL_CORE_CURVATURE_H
#define EISHIL_CORE_CURVATURE_H

#include "gaussian.h"
#include "observation.h"
#include "trajectory.h"

/* aside [n_observations]: of both sides together, as network_evaluate_pair gives it; of the state itself where P leaves
 * the combination no variance. modes [n_modes]: those of f. */
void curvature_look_aside(const gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                          const real_t *modes, const conditions_t *conditions, network_work_t *network,
                          network_sum_t *aside);

#endif
