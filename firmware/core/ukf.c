#include "ukf.h"

#include "block_moves.h"
#include "fmath.h"

#include <string.h>

#define N          MODEL_N_STATES
#define N_CONTEXTS MODEL_N_CONTEXTS
#define BETA       REAL(2)

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

/* The columns of the context's errors, once h is there at the centre. */
static void expect_context(const model_t *model, const network_work_t *network, const conditions_t *conditions,
                           ukf_work_t *work)
{
    real_t std[N_CONTEXTS];
    observation_context_std(model, conditions, std);
    network_row_t row = network_first_row(model, network);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, network_next_row(&row)) {
        if (work->used[i]) {
            observation_weigh_context(&row, conditions, work->mixture[i][N_CONTEXTS], std, work->mixture[i]);
        }
    }
}

static void expect_points(const gaussian_t *f, const model_t *model, const trajectory_t *trajectory,
                          const conditions_t *conditions, network_work_t *network, ukf_work_t *work)
{
    real_t point[N];
    real_t modes[NN_BATCH][MODEL_N_MODES];
    network_input_t input[NN_BATCH][MODEL_N_INPUTS];
    trajectory_map_state(trajectory, f->x, modes[0]);
    if (MODEL_N_TANGENTS == MODEL_N_INPUTS) {
        observation_predict(model, modes[0], conditions, network);
    } else {
        observation_read_inputs(model, modes[0], conditions, input[0]);
        network_evaluate_batch(&model->network, (const network_input_t(*)[MODEL_N_INPUTS])input, 1, network);
    }
    observation_expect(model, network, modes[0], 0, work->used, &work->mixture[0][N_CONTEXTS], UKF_N);
    expect_context(model, network, conditions, work);
    for (unsigned s = 1; s < UKF_N_POINTS; s += NN_BATCH) {
        const unsigned n_points = UKF_N_POINTS - s < NN_BATCH ? UKF_N_POINTS - s : NN_BATCH;
        for (unsigned c = 0; c < n_points; c++) {
            place_point(f, work, s + c, point);
            trajectory_map_state(trajectory, point, modes[c]);
            observation_read_inputs(model, modes[c], conditions, input[c]);
        }
        network_evaluate_batch(&model->network, (const network_input_t(*)[MODEL_N_INPUTS])input, n_points, network);
        for (unsigned c = 0; c < n_points; c++) {
            real_t *h = &work->mixture[0][N_CONTEXTS + s + c];
            observation_expect(model, network, modes[c], c, work->used, h, UKF_N);
        }
    }
}

/* From what is expected at the points to the mean, returned, and deviations in place: centre and half sums first, 0..n,
 * then half differences, n + 1..2 n. */
static real_t take_deviations(real_t *expected)
{
    const real_t half = REAL(0.5f) / fmath_sqrt(REAL(N));
    real_t mean = REAL(0);
    for (unsigned s = 1; s < UKF_N_POINTS; s++) {
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

/* Columns whose sums stand in registers; the rest of UKF_N comes last. */
#define TOGETHER 10U
#define REST     (UKF_N % TOGETHER)

/* information[k][first...] = I + sum y_k y / v, `count` of them. */
static inline void gather_row(const model_t *model, const measured_t *measured, ukf_work_t *work, unsigned k,
                              unsigned first, unsigned count)
{
    real_t sum[TOGETHER] = {REAL(0)};
#pragma GCC unroll 16
    for (unsigned j = 0; j < count; j++) {
        sum[j] = first + j == k ? REAL(1) : REAL(0);
    }
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        real_t y[TOGETHER];
        const real_t weighted = observation_inverse_variance(&model->observable[i], measured, i) * work->mixture[i][k];
        if (!work->used[i]) {
            continue;
        }
        block_load(&work->mixture[i][first], count, y);
#pragma GCC unroll 16
        for (unsigned j = 0; j < count; j++) {
            sum[j] = real_add_product(sum[j], weighted, y[j]);
        }
    }
    block_store(&work->information[k][first], count, sum);
}

/* information = I + sum y y^T / v, vector = sum y nu / v; y the mixture of one observation. */
static void gather(const model_t *model, const measured_t *measured, ukf_work_t *work, evidence_t *evidence)
{
    *evidence = (evidence_t){.n_used = 0};
    memset(work->vector, 0, sizeof work->vector);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        real_t *y = work->mixture[i];
        if (!work->used[i]) {
            continue;
        }
        const real_t nu = fmath_log(measured->part_ohm[i]) - take_deviations(y + N_CONTEXTS);
        const real_t weighted = observation_inverse_variance(&model->observable[i], measured, i) * nu;
        for (unsigned k = 0; k < UKF_N; k++) {
            work->vector[k] = real_add_product(work->vector[k], weighted, y[k]);
        }
        evidence->n_used++;
        evidence->nis += nu * weighted;
        evidence->log_det += observation_log_variance(&model->observable[i], measured, i);
    }
    for (unsigned first = 0; first + TOGETHER <= UKF_N; first += TOGETHER) {
        for (unsigned k = 0; k < first + TOGETHER; k++) {
            gather_row(model, measured, work, k, first, TOGETHER);
        }
    }
    for (unsigned k = 0; k < UKF_N && REST != 0U; k++) {
        gather_row(model, measured, work, k, UKF_N - REST, REST);
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
            const real_t *row = work->information[UKF_LINEAR + k] + UKF_LINEAR;
            for (unsigned j = k + 1U; j < N; j++) {
                w[j] -= w[k] * row[j];
            }
            f->x[i] += w[k] * work->vector[UKF_LINEAR + k] / row[k];
        }
        for (unsigned j = 0; j <= i; j++) {
            real_t sum = REAL(0);
            for (unsigned k = 0; k < N; k++) {
                sum += w[k] * work->root[j][k] / work->information[UKF_LINEAR + k][UKF_LINEAR + k];
            }
            f->P[GAUSSIAN_PACKED_INDEX(N, j, i)] = sum;
        }
    }
}

bool ukf_update(gaussian_t *f, const model_t *model, const trajectory_t *trajectory, const conditions_t *conditions,
                const measured_t *measured, network_work_t *network, ukf_work_t *work, evidence_t *evidence)
{
    if (!take_root(f, work->root)) {
        return false;
    }
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        work->used[i] = fmath_is_positive(measured->part_ohm[i]);
    }
    expect_points(f, model, trajectory, conditions, network, work);
    gather(model, measured, work, evidence);
    factorise(work, evidence);
    apply(f, work);
    evidence->nis = evidence->nis < REAL(0) ? REAL(0) : evidence->nis;
    return gaussian_is_sound(f) && fmath_is_finite(evidence->nis);
}
