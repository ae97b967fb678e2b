/* Mean and packed symmetric covariance of the state: what every filter carries on. State order and units are the
 * model's. docs/estimator.md */
#ifndef EISHIL_CORE_GAUSSIAN_H
#define EISHIL_CORE_GAUSSIAN_H

#include "axpy.h"
#include "model.h"

typedef struct {
    real_t x[MODEL_N_STATES];
    real_t P[MODEL_N_COVARIANCE]; /* upper triangle by rows */
} gaussian_t;

/* What a spectrum says about one filter. */
typedef struct {
    real_t nis;
    real_t log_det;
    uint32_t n_used;
} evidence_t;

/* Index of P[i][j], i <= j, in the packed upper triangle of an n x n matrix. */
#define GAUSSIAN_PACKED_INDEX(n, i, j) ((i) * (n) - (i) * ((i) + 1U) / 2U + (j))

/* x <- x + drift c, P <- P + diag(q) c, and a millionth of every variance, so that rounding never makes one negative. */
void gaussian_predict(gaussian_t *f, const model_t *model, real_t elapsed_cycles);

/* out = P g, where g is 0 before element `first`, which is there. */
static inline void gaussian_multiply_inline(const real_t *P, const real_t *g, unsigned first, real_t *out)
{
#pragma GCC unroll 12
    for (unsigned i = MODEL_N_STATES; i > 0U; i--) {
        real_t column[MODEL_N_STATES];
        if (i < MODEL_N_STATES && i <= first) {
            break;
        }
#pragma GCC unroll 12
        for (unsigned j = 0; j < MODEL_N_STATES; j++) {
            column[j] = j < i ? P[GAUSSIAN_PACKED_INDEX(MODEL_N_STATES, j, i - 1U)]
                              : P[GAUSSIAN_PACKED_INDEX(MODEL_N_STATES, i - 1U, j)];
        }
        if (i == MODEL_N_STATES) {
#pragma GCC unroll 12
            for (unsigned j = 0; j < MODEL_N_STATES; j++) {
                out[j] = g[i - 1U] * column[j];
            }
        } else {
            axpy_add(out, g[i - 1U], column, MODEL_N_STATES);
        }
    }
}

/* The same as a call: unrolled for many states it is too long to stand in several places. */
void gaussian_multiply(const real_t *P, const real_t *g, real_t *out);

/* g^T P g. */
real_t gaussian_variance(const gaussian_t *f, const real_t *g);

/* The diagonal of P is positive, all of P and x is finite. */
bool gaussian_is_sound(const gaussian_t *f);

#endif
