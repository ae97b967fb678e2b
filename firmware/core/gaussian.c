#include "gaussian.h"

#include "block_moves.h"
#include "fmath.h"

#define N MODEL_N_STATES
/* Of a gaussian_t, and how many of them are looked at together. */
#define N_NUMBERS (N + MODEL_N_COVARIANCE)
#define BLOCK     (N_NUMBERS % 10U == 0U ? 10U : 1U)
/* More than the updates of a step can take from a variance by rounding in float32. */
#define ROUNDING REAL(0x1p-20)

void gaussian_predict(gaussian_t *f, const model_t *model, real_t elapsed_cycles)
{
    const float *drift = model->drift_per_cycle;
    const float *variance = model->process_variance_per_cycle;
    real_t *P = f->P;
#pragma GCC unroll 1
    for (unsigned i = 0; i < N; P += N - i, i++) {
        f->x[i] += drift[i] * elapsed_cycles;
        *P += *P * ROUNDING + variance[i] * elapsed_cycles;
    }
}

void gaussian_multiply(const real_t *P, const real_t *g, real_t *out)
{
    gaussian_multiply_inline(P, g, 0, out);
}

real_t gaussian_variance(const gaussian_t *f, const real_t *g)
{
    const real_t *P = f->P;
    real_t variance = REAL(0);
#pragma GCC unroll 12
    for (unsigned i = 0; i < N; i++) {
        real_t beyond = REAL(0);
        const real_t own = *P++;
#pragma GCC unroll 12
        for (unsigned j = i + 1U; j < N; j++, P++) {
            beyond = real_add_product(beyond, *P, g[j]);
        }
        variance = real_add_product(variance, g[i], own * g[i] + (beyond + beyond));
    }
    return variance;
}

bool gaussian_is_sound(const gaussian_t *f)
{
    const real_t *variance = f->P;
#pragma GCC unroll 12
    for (unsigned i = 0; i < N; variance += N - i, i++) {
        if (!fmath_is_positive(*variance)) {
            return false;
        }
    }
    /* One that is not finite spoils a product with 0; two products, for neither to wait for itself. */
    real_t spoiled[2] = {REAL(0), REAL(0)};
    const real_t *number = (const real_t *)f;
#pragma GCC unroll 1
    for (unsigned k = 0; k < N_NUMBERS; k += BLOCK, number += BLOCK) {
        real_t block[BLOCK];
        block_load(number, BLOCK, block);
#pragma GCC unroll 10
        for (unsigned j = 0; j < BLOCK; j++) {
            spoiled[j % 2U] *= block[j];
        }
    }
    return spoiled[0] + spoiled[1] == REAL(0);
}
