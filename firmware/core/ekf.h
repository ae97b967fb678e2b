/* Extended Kalman filter with sequential scalar updates on a packed symmetric covariance.
 * State order and units are the model's. Equations: docs/estimator.md. */
#ifndef EISHIL_CORE_EKF_H
#define EISHIL_CORE_EKF_H

#include "model.h"

typedef struct {
    float x[MODEL_N_STATES];
    float P[MODEL_N_COVARIANCE]; /* upper triangle by rows */
} ekf_t;

/* Index of P[i][j], i <= j, in the packed upper triangle of an n x n matrix. */
#define EKF_PACKED_INDEX(n, i, j) ((i) * (n) - (i) * ((i) + 1U) / 2U + (j))

/* x <- x + drift c, P <- P + diag(q) c. */
void ekf_predict(ekf_t *f, unsigned n, const float *drift, const float *q, float elapsed_cycles);

/* One scalar observation: innovation nu, row H [n], variance R > 0.
 * Adds nu^2/S to *nis and, unless log_det is NULL, ln S to *log_det.
 * False, and f unchanged, when S is not positive and finite. */
bool ekf_update_scalar(ekf_t *f, unsigned n, const float *H, float nu, float R, float *nis, float *log_det);

/* g^T P g. */
float ekf_variance(const ekf_t *f, unsigned n, const float *g);

/* The diagonal of P is positive, all of P and x is finite. */
bool ekf_is_sound(const ekf_t *f, unsigned n);

#endif
