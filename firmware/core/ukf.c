#include "ukf.h"

#include "fmath.h"

#define N    MODEL_N_STATES
#define BETA REAL(2)

/* L with P = L L^T, lower triangle. False where P is no covariance. */
static bool take_root(const gaussian_t *f, real_t (*root)[N])
{
    for (unsigned j = 0; j < N; j++) {
        for (unsigned i = j; i < N; i++) {
            real_t sum = f->P[GAUSSIAN_PACKED_INDEX(N, j, i)];
            for (unsigned k = 0; k < j; k++) {
                sum -= root[i][k] * root[j][k];
            }
            if (i == j && !(sum >= FMATH_SMALLEST_NORMAL && fmath_is_finite(sum))) {
                return false;
            }
            root[i][j] = i == j ? fmath_sqrt(sum) : sum / root[j][j];
        }
    }
    return true;
}

/* Sigma point s: 0 the centre, 1..n above, n + 1..2 n below. */
static void place_point(const gaussian_t *f, const ukf_work_t *work, unsigned s, real_t *point)
{
    const unsigned column = (s - 1U) % N;
    const real_t distance = s > N ? -fmath_sqrt(REAL(N)) : fmath_sqrt(REAL(N));
    for (unsigned i = 0; i < N; i++) {
        point[i] = f->x[i] + (s > 0U && i >= column ? distance * work->root[i][column] : REAL(0));
    }
}

/* Column s of what is expected, from sample `column` of the network. Leaves out what does not exist there. */
static void expect(const model_t *model, const network_work_t *network, const conditions_t *conditions,
                   const real_t *modes, unsigned s, unsigned column, ukf_work_t *work)
{
    const nn_t *nn = &model->network;
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        expectation_t expectation;
        if (work->variance[i] == REAL(0)) {
            continue;
        }
        const real_t y = network_output(nn, network, i, column);
        if (!observation_expect(model, modes, i, y, &expectation)) {
            work->variance[i] = REAL(0);
            continue;
        }
        work->expected[i][s] = expectation.h;
        if (s == 0U) {
            work->variance[i] = observation_variance(model, network, conditions, i, expectation.by_output);
        }
    }
}

static void expect_points(const gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                          const conditions_t *conditions, network_work_t *network, ukf_work_t *work)
{
    real_t point[N];
    real_t modes[NN_BLOCK][MODEL_N_MODES];
    network_input_t input[NN_BLOCK][MODEL_N_INPUTS];
    observation_predict(model, trajectory, f->x, conditions, modes[0], network);
    expect(model, network, conditions, modes[0], 0, 0, work);
    for (unsigned s = 1; s < UKF_N; s += NN_BLOCK) {
        const unsigned n_points = UKF_N - s < NN_BLOCK ? UKF_N - s : NN_BLOCK;
        for (unsigned c = 0; c < n_points; c++) {
            place_point(f, work, s + c, point);
            observation_read_inputs(model, trajectory, point, conditions, modes[c], input[c]);
        }
        network_evaluate_batch(&model->network, (const network_input_t(*)[MODEL_N_INPUTS])input, n_points, network);
        for (unsigned c = 0; c < n_points; c++) {
            expect(model, network, conditions, modes[c], s + c, c, work);
        }
    }
}

/* From what is expected at the points to the mean, returned, and deviations in place: centre and half sums first, 0..n,
 * which are noise to the state, then half differences, n + 1..2 n, which are its linear part. */
static real_t take_deviations(real_t *expected)
{
    const real_t half = REAL(0.5f) / fmath_sqrt(REAL(N));
    real_t mean = REAL(0);
    for (unsigned s = 1; s < UKF_N; s++) {
        mean += expected[s];
    }
    mean /= REAL(2U * N);
    expected[0] = (expected[0] - mean) * fmath_sqrt(BETA);
    for (unsigned i = 1; i <= N; i++) {
        const real_t above = expected[i] - mean;
        const real_t below = expected[N + i] - mean;
        expected[i] = (above + below) * half;
        expected[N + i] = (above - below) * half;
    }
    return mean;
}

/* information = I + sum y y^T / R, vector = sum y nu / R; y the deviations of one observation. */
static void gather(const real_t *z, ukf_work_t *work, evidence_t *evidence)
{
    for (unsigned k = 0; k < UKF_N; k++) {
        work->vector[k] = REAL(0);
        for (unsigned j = k; j < UKF_N; j++) {
            work->information[k][j] = j == k ? REAL(1) : REAL(0);
        }
    }
    *evidence = (evidence_t){.n_used = 0};
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        real_t *y = work->expected[i];
        if (work->variance[i] == REAL(0)) {
            continue;
        }
        const real_t nu = fmath_log(z[i]) - take_deviations(y);
        const real_t weight = REAL(1) / work->variance[i];
        for (unsigned k = 0; k < UKF_N; k++) {
            const real_t weighted = weight * y[k];
            work->vector[k] += weighted * nu;
            for (unsigned j = k; j < UKF_N; j++) {
                work->information[k][j] += weighted * y[j];
            }
        }
        evidence->n_used++;
        evidence->nis += nu * nu * weight;
        evidence->log_det += MODEL_N_PRIORS > 1U ? fmath_log(work->variance[i]) : REAL(0);
    }
}

/* information = U^T D U, row k of U in place with D_k on the diagonal; vector = U^-T vector. */
static void factorise(ukf_work_t *work, evidence_t *evidence)
{
    for (unsigned k = 0; k < UKF_N; k++) {
        real_t *row = work->information[k];
        const real_t inverse = REAL(1) / row[k];
        for (unsigned i = k + 1U; i < UKF_N; i++) {
            const real_t factor = row[i] * inverse;
            for (unsigned j = i; j < UKF_N; j++) {
                work->information[i][j] -= factor * row[j];
            }
            work->vector[i] -= factor * work->vector[k];
        }
        evidence->nis -= work->vector[k] * work->vector[k] * inverse;
        evidence->log_det += MODEL_N_PRIORS > 1U ? fmath_log(row[k]) : REAL(0);
        for (unsigned i = k + 1U; i < UKF_N; i++) {
            row[i] *= inverse;
        }
    }
}

/* With A the linear part's factorised information, A = U^T D U: x <- x + L A^-1 vector, P <- W D^-1 W^T, W = L U^-1. */
static void apply(gaussian_t *f, ukf_work_t *work)
{
    for (unsigned i = 0; i < N; i++) {
        real_t *w = work->root[i];
        for (unsigned k = i + 1U; k < N; k++) {
            w[k] = REAL(0);
        }
        for (unsigned k = 0; k < N; k++) {
            const real_t *row = work->information[N + 1U + k] + N + 1U;
            for (unsigned j = k + 1U; j < N; j++) {
                w[j] -= w[k] * row[j];
            }
            f->x[i] += w[k] * work->vector[N + 1U + k] / row[k];
        }
        for (unsigned j = 0; j <= i; j++) {
            real_t sum = REAL(0);
            for (unsigned k = 0; k < N; k++) {
                sum += w[k] * work->root[j][k] / work->information[N + 1U + k][N + 1U + k];
            }
            f->P[GAUSSIAN_PACKED_INDEX(N, j, i)] = sum;
        }
    }
}

bool ukf_update(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                const real_t *z, network_work_t *network, ukf_work_t *work, evidence_t *evidence)
{
    if (!take_root(f, work->root)) {
        return false;
    }
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        work->variance[i] = fmath_is_finite(z[i]) ? REAL(1) : REAL(0);
    }
    expect_points(f, model, trajectory, conditions, network, work);
    gather(z, work, evidence);
    factorise(work, evidence);
    apply(f, work);
    evidence->nis = evidence->nis < REAL(0) ? REAL(0) : evidence->nis;
    return gaussian_is_sound(f) && fmath_is_finite(evidence->nis);
}
