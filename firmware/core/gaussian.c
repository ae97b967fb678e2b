#include "gaussian.h"

#define N MODEL_N_STATES
/* More than the updates of a step can take from a variance by rounding in float32. */
#define ROUNDING REAL(0x1p-20)

void gaussian_predict(gaussian_t *f, const model_t *model, real_t elapsed_cycles)
{
    const float *drift = model->drift_per_cycle;
    const float *variance = model->process_variance_per_cycle;
#pragma GCC unroll 8
    for (unsigned i = 0; i < N; i++) {
        f->x[i] += drift[i] * elapsed_cycles;
        real_t *P = &f->P[GAUSSIAN_PACKED_INDEX(N, i, i)];
        *P += *P * ROUNDING + variance[i] * elapsed_cycles;
    }
}

void gaussian_multiply(const real_t *P, const real_t *g, real_t *out)
{
    gaussian_multiply_inline(P, g, out);
}

real_t gaussian_variance(const gaussian_t *f, const real_t *g)
{
    real_t Pg[N];
    gaussian_multiply(f->P, g, Pg);
    real_t sum = REAL(0);
    for (unsigned i = 0; i < N; i++) {
        sum = real_add_product(sum, g[i], Pg[i]);
    }
    return sum;
}

bool gaussian_is_sound(const gaussian_t *f)
{
    const real_t *P = f->P;
    /* One that is not finite spoils the sum: 0 x is 0 for all other numbers. */
    real_t spoiled = REAL(0);
#pragma GCC unroll 8
    for (unsigned i = 0; i < N; i++) {
        if (!(*P > REAL(0))) {
            return false;
        }
        spoiled = real_add_product(spoiled, REAL(0), f->x[i]);
#pragma GCC unroll 8
        for (unsigned j = i; j < N; j++) {
            spoiled = real_add_product(spoiled, REAL(0), *P++);
        }
    }
    return spoiled == REAL(0);
}
