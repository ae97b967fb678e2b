#include "ekf.h"

#include "ekf_five.h"
#include "fmath.h"
#include "network.h"

#define N MODEL_N_STATES
/* A small covariance stands in registers during all updates. */
#define SMALL (MODEL_N_STATES <= 5U)

/* Whether state i is channel i: the gradient of pseudo-observation k is then 0 before element k (information.h). */
static inline bool states_are_channels(void)
{
    bool same = !MODEL_IS_LATENT && MODEL_N_CHANNELS == N;
#pragma GCC unroll 16
    for (unsigned c = 0; c < MODEL_N_CHANNELS; c++) {
        same = same && model_channel_mode[c] == c;
    }
    return same;
}

/* S = v + H P H^T and nu = innovation - H dx, beside each other; H is 0 before element `first`. */
static inline void project(const real_t *H, unsigned first, const real_t *PHt, const real_t *dx, real_t *S, real_t *nu)
{
    real_t remaining = *nu;
#pragma GCC unroll 12
    for (unsigned i = N; i > 0U; i--) {
        if (i <= first) {
            break;
        }
        *S = real_add_apart(*S, H[i - 1U], PHt[i - 1U]);
        remaining = real_subtract_apart(remaining, H[i - 1U], dx[i - 1U]);
    }
    *nu = remaining;
}

/* Gradient by the state of a pseudo-observation. */
static inline void map_gradient(const model_t *model, const trajectory_t *trajectory, const real_t *by_channel,
                                real_t *H)
{
    const unsigned n_mode_inputs = MODEL_N_INPUTS - 2U;
    real_t by_mode[MODEL_N_MODES];
    bool is_there[MODEL_N_MODES] = {false};
#pragma GCC unroll 16
    for (unsigned c = 0; c < MODEL_N_CHANNELS; c++) {
        const unsigned p = model_channel_mode[c];
        const real_t scale = c < n_mode_inputs ? network_column_scale(&model->network, c) : REAL(1);
        by_mode[p] = is_there[p] ? real_add_product(by_mode[p], by_channel[c], scale) : by_channel[c] * scale;
        is_there[p] = true;
    }
#pragma GCC unroll 12
    for (unsigned p = 0; p < MODEL_N_MODES; p++) {
        by_mode[p] = is_there[p] ? by_mode[p] : REAL(0);
    }
#if MODEL_IS_LATENT
    trajectory_map_gradient(trajectory, by_mode, H);
#else
    (void)trajectory;
#pragma GCC unroll 16
    for (unsigned i = 0; i < N; i++) {
        H[i] = by_mode[i];
    }
#endif
}

/* dx <- dx + P H^T scaled, P <- P - P H^T H P / S, with the inverse of S. */
static inline void subtract_gain(real_t *P, const real_t *PHt, real_t inverse, real_t scaled, real_t *dx)
{
    axpy_add(dx, scaled, PHt, N);
#pragma GCC unroll 12
    for (unsigned i = 0; i < N; i++) {
        axpy_subtract(P, PHt[i] * inverse, PHt + i, N - i);
        P += N - i;
    }
}

/* One scalar observation of the displacement dx from the predicted state. */
static inline bool update_scalar(real_t *P, const real_t *H, unsigned first, const pseudo_observation_t *seen,
                                 real_t *dx, real_t *nis, real_t *log_det)
{
    real_t PHt[N];
#if SMALL
    gaussian_multiply_inline(P, H, first, PHt);
#else
    gaussian_multiply(P, H, PHt);
#endif
    real_t S = seen->variance;
    real_t nu = seen->innovation;
    project(H, first, PHt, dx, &S, &nu);
    if (!fmath_has_logarithm(S)) {
        return false;
    }
    const real_t inverse = REAL(1) / S;
    const real_t scaled = nu * inverse;
    subtract_gain(P, PHt, inverse, scaled, dx);
    *nis += nu * scaled;
    if (MODEL_N_PRIORS > 1U) {
        *log_det += fmath_log(S) - fmath_log(seen->variance);
    }
    return true;
}

static inline bool update_all(gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                              const pseudo_observation_t *seen, unsigned n_seen, real_t *nis, real_t *log_det)
{
#if EKF_FIVE_IS_THERE
    if (states_are_channels()) {
        return n_seen == 0U || ekf_update_five(f, model->network.jacobian_column_scale, seen, n_seen, nis);
    }
#endif
    real_t dx[N] = {REAL(0)};
#if SMALL
    real_t P[MODEL_N_COVARIANCE];
#pragma GCC unroll 16
    for (unsigned i = 0; i < MODEL_N_COVARIANCE; i++) {
        P[i] = f->P[i];
    }
#else
    real_t *P = f->P;
#endif
    for (unsigned k = 0; k < n_seen; k++) {
        real_t H[N];
        map_gradient(model, trajectory, seen[k].gradient, H);
        if (!update_scalar(P, H, states_are_channels() ? k : 0U, &seen[k], dx, nis, log_det)) {
            return false;
        }
    }
#if SMALL
#pragma GCC unroll 16
    for (unsigned i = 0; i < MODEL_N_COVARIANCE; i++) {
        f->P[i] = P[i];
    }
#endif
#pragma GCC unroll 12
    for (unsigned i = 0; i < N; i++) {
        f->x[i] += dx[i];
    }
    return true;
}

bool ekf_update(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const pseudo_observation_t *seen,
                unsigned n_seen, real_t *nis, real_t *log_det)
{
    if (!update_all(f, model, trajectory, seen, n_seen, nis, log_det)) {
        return false;
    }
    /* Where all of the innovations' length lies in the channels, rounding may leave a little less than nothing. */
    *nis = *nis < REAL(0) ? REAL(0) : *nis;
    return gaussian_is_sound(f) && fmath_is_finite(*nis);
}
