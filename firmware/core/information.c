#include "information.h"

#include "block_moves.h"
#include "fmath.h"
#include "information_six.h"

/* A pivot that elimination has left with less than this part of what was gathered is rounding. */
#define LEAST_PIVOT REAL(0x1p-21f)
#define N           INFORMATION_N
#define N_CONTEXTS  INFORMATION_N_CONTEXTS
#define N_SHARED    INFORMATION_N_SHARED
/* Rows gathered in the first pass: no pass has more sums than the FPU has registers. */
#define FIRST_ROWS (N_SHARED <= 5U ? N_SHARED : N_SHARED / 2U)

/* The whole matrix, of which the upper triangle is used: with every loop unrolled it stands in registers. */
typedef struct {
    real_t matrix[N][N]; /* sum g g^T / v */
    real_t vector[N];    /* sum g nu / v */
    real_t length;       /* sum nu^2 / v */
} information_t;

typedef struct {
    real_t gradient[N];
    real_t weight;
    real_t weighted_innovation;
} loaded_t;

/* An observation in registers, its gradient up to `end`. */
static inline loaded_t load(const observation_t *row, unsigned end)
{
    loaded_t loaded;
    real_t number[INFORMATION_N_NUMBERS];
    block_load(row->gradient, INFORMATION_N_NUMBERS - N + end, number);
#pragma GCC unroll 16
    for (unsigned k = 0; k < end; k++) {
        loaded.gradient[k] = number[k < N_SHARED ? k : INFORMATION_N_NUMBERS - N + k];
    }
    loaded.weight = number[N_SHARED];
    loaded.weighted_innovation = number[N_SHARED + 1U];
    return loaded;
}

static inline void gather_rows(information_t *sum, const loaded_t *row, unsigned first, unsigned end)
{
#pragma GCC unroll 16
    for (unsigned k = first; k < end; k++) {
        const real_t weighted = row->gradient[k] * row->weight;
        sum->vector[k] = real_add_apart(sum->vector[k], row->gradient[k], row->weighted_innovation);
#pragma GCC unroll 16
        for (unsigned j = k; j < N_SHARED; j++) {
            sum->matrix[k][j] = real_add_apart(sum->matrix[k][j], weighted, row->gradient[j]);
        }
    }
}

static inline void gather_series(information_t *sum, const loaded_t *row)
{
#pragma GCC unroll 16
    for (unsigned k = N_SHARED; k < N; k++) {
        const real_t weighted = row->gradient[k] * row->weight;
        sum->vector[k] = real_add_apart(sum->vector[k], row->gradient[k], row->weighted_innovation);
#pragma GCC unroll 16
        for (unsigned j = 0; j <= k; j++) {
            sum->matrix[j][k] = real_add_apart(sum->matrix[j][k], weighted, row->gradient[j]);
        }
    }
}

/* Behind the last one in series the others' gradients by the terms are 0. */
static inline void gather_all_in_series(information_t *sum, const observations_t *observations)
{
    const unsigned n_in_series = MODEL_N_IN_SERIES;
    const observation_t *end = observations->row + (observations->n < n_in_series ? observations->n : n_in_series);
    for (const observation_t *row = observations->row; row != end; row++) {
        const loaded_t loaded = load(row, N);
        gather_series(sum, &loaded);
    }
}

#if INFORMATION_SIX_IS_THERE

unsigned information_compress(const observations_t *observations, const real_t *context_std, pseudo_observation_t *out,
                              real_t *nis, real_t *log_det)
{
    information_t sum = {.length = observations->length};
    real_t series[N + 1U];
    gather_all_in_series(&sum, observations);
#pragma GCC unroll 16
    for (unsigned k = 0; k < N; k++) {
        series[k] = sum.matrix[k][N - 1U];
    }
    series[N] = sum.vector[N - 1U];
    *log_det = observations->log_det;
    *nis = observations->length;
    return information_compress_six(observations, series, context_std[0], LEAST_PIVOT, out, nis);
}

#else

static inline void gather(information_t *sum, const observations_t *observations)
{
    const observation_t *end = observations->row + observations->n;
    for (const observation_t *row = observations->row; row != end; row++) {
        const loaded_t loaded = load(row, N_SHARED);
        gather_rows(sum, &loaded, 0, FIRST_ROWS);
    }
    for (const observation_t *row = observations->row; FIRST_ROWS < N_SHARED && row != end; row++) {
        const loaded_t loaded = load(row, N_SHARED);
        gather_rows(sum, &loaded, FIRST_ROWS, N_SHARED);
    }
    gather_all_in_series(sum, observations);
}

/* What the context adds in units of its standard deviations: its prior is then one. */
static inline void add_context_prior(information_t *sum, const real_t *context_std)
{
#pragma GCC unroll 16
    for (unsigned c = 0; c < N_CONTEXTS; c++) {
        const real_t std = MODEL_HAS_CURVATURE && c == 0U ? REAL(1) : context_std[c - MODEL_HAS_CURVATURE];
#pragma GCC unroll 16
        for (unsigned k = 0; k < N; k++) {
            real_t *element = k < c ? &sum->matrix[k][c] : &sum->matrix[c][k];
            *element *= k == c ? std * std : std;
        }
        sum->vector[c] *= std;
        sum->matrix[c][c] += REAL(1);
    }
}

/* Takes channel k, given those before it, out of the sum. */
static inline void eliminate(information_t *sum, unsigned k, pseudo_observation_t *out)
{
    const real_t inverse = REAL(1) / sum->matrix[k][k];
    out->variance = inverse;
    out->innovation = sum->vector[k] * inverse;
    sum->length -= sum->vector[k] * out->innovation;
#pragma GCC unroll 16
    for (unsigned i = 0; i < N; i++) {
        const real_t factor = i < k ? REAL(0) : i == k ? REAL(1) : sum->matrix[k][i] * inverse;
        if (i >= N_CONTEXTS) {
            out->gradient[i - N_CONTEXTS] = factor;
        }
        if (i <= k) {
            continue;
        }
        sum->vector[i] = real_subtract_apart(sum->vector[i], factor, sum->vector[k]);
#pragma GCC unroll 16
        for (unsigned j = i; j < N; j++) {
            sum->matrix[i][j] = real_subtract_apart(sum->matrix[i][j], factor, sum->matrix[k][j]);
        }
    }
}

unsigned information_compress(const observations_t *observations, const real_t *context_std, pseudo_observation_t *out,
                              real_t *nis, real_t *log_det)
{
    information_t sum = {.length = observations->length};
    pseudo_observation_t context;
    real_t gathered[N];
    unsigned n = 0;
    gather(&sum, observations);
    *log_det = observations->log_det;
    add_context_prior(&sum, context_std);
#pragma GCC unroll 16
    for (unsigned k = 0; k < N; k++) {
        gathered[k] = sum.matrix[k][k];
    }
#pragma GCC unroll 16
    for (unsigned k = 0; k < N_CONTEXTS; k++) {
        *log_det += MODEL_N_PRIORS > 1U ? fmath_log(sum.matrix[k][k]) : REAL(0);
        eliminate(&sum, k, &context);
    }
#pragma GCC unroll 16
    for (unsigned k = N_CONTEXTS; k < N; k++) {
        if (sum.matrix[k][k] > LEAST_PIVOT * gathered[k]) {
            eliminate(&sum, k, &out[n++]);
        }
    }
    *nis = sum.length;
    return n;
}

#endif
