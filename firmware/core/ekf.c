#include "ekf.h"

#include "fmath.h"

#include <stddef.h>

/* out = P g. One pass over the triangle: an element off the diagonal counts for its row and for its column. */
static void multiply_covariance(const ekf_t *f, unsigned n, const float *g, float *out)
{
    const float *P = f->P;
    for (unsigned i = 0; i < n; i++) {
        out[i] = 0.0f;
    }
    for (unsigned i = 0; i < n; i++) {
        float sum = *P++ * g[i];
        for (unsigned j = i + 1U; j < n; j++, P++) {
            sum += *P * g[j];
            out[j] += *P * g[i];
        }
        out[i] += sum;
    }
}

static float inner(const float *a, const float *b, unsigned n)
{
    float sum = 0.0f;
    for (unsigned i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

void ekf_predict(ekf_t *f, unsigned n, const float *drift, const float *q, float elapsed_cycles)
{
    for (unsigned i = 0; i < n; i++) {
        f->x[i] += drift[i] * elapsed_cycles;
        f->P[EKF_PACKED_INDEX(n, i, i)] += q[i] * elapsed_cycles;
    }
}

bool ekf_update_scalar(ekf_t *f, unsigned n, const float *H, float nu, float R, float *nis, float *log_det)
{
    float PHt[MODEL_N_STATES];
    multiply_covariance(f, n, H, PHt);
    float S = inner(H, PHt, n) + R;
    if (!(S >= FMATH_SMALLEST_NORMAL) || !fmath_is_finite(S)) {
        return false;
    }
    float scaled = nu / S;
    float inverse = 1.0f / S;
    float *P = f->P;
    for (unsigned i = 0; i < n; i++) {
        f->x[i] += PHt[i] * scaled;
        float K = PHt[i] * inverse;
        for (unsigned j = i; j < n; j++) {
            *P++ -= K * PHt[j];
        }
    }
    *nis += nu * scaled;
    if (log_det != NULL) {
        *log_det += fmath_log(S);
    }
    return true;
}

float ekf_variance(const ekf_t *f, unsigned n, const float *g)
{
    float Pg[MODEL_N_STATES];
    multiply_covariance(f, n, g, Pg);
    return inner(g, Pg, n);
}

bool ekf_is_sound(const ekf_t *f, unsigned n)
{
    const float *P = f->P;
    for (unsigned i = 0; i < n; i++) {
        if (!(*P > 0.0f) || !fmath_is_finite(f->x[i])) {
            return false;
        }
        for (unsigned j = i; j < n; j++) {
            if (!fmath_is_finite(*P++)) {
                return false;
            }
        }
    }
    return true;
}
