#include "information.h"

#include "block_moves.h"
#include "fmath.h"

/* A pivot that elimination has left with less than this part of what was gathered is rounding. */
#define LEAST_PIVOT REAL(0x1p-21f)
#define N           INFORMATION_N
#define N_CONTEXTS  INFORMATION_N_CONTEXTS
/* Rows gathered in the first pass: neither pass has more sums than the FPU has registers. */
#define FIRST_ROWS (N / 2U)

/* The whole matrix, of which the upper triangle is used: with every loop unrolled it stands in registers. */
typedef struct {
    real_t matrix[N][N]; /* sum g g^T / v */
    real_t vector[N];    /* sum g nu / v */
    real_t length;       /* sum nu^2 / v */
} information_t;

/* An observation's numbers in registers, from gradient `first` on. */
static inline observation_t load(const observation_t *row, unsigned first)
{
    observation_t loaded;
    real_t number[INFORMATION_N_NUMBERS];
    block_load(&row->gradient[first], INFORMATION_N_NUMBERS - first, number + first);
#pragma GCC unroll 16
    for (unsigned k = first; k < N; k++) {
        loaded.gradient[k] = number[k];
    }
    loaded.weight = number[N];
    loaded.weighted_innovation = number[N + 1U];
    loaded.length = number[N + 2U];
    return loaded;
}

static inline void gather_rows(information_t *sum, const observation_t *row, unsigned first, unsigned end)
{
#pragma GCC unroll 16
    for (unsigned k = first; k < end; k++) {
        const real_t weighted = row->gradient[k] * row->weight;
        sum->vector[k] = real_add_apart(sum->vector[k], row->gradient[k], row->weighted_innovation);
#pragma GCC unroll 16
        for (unsigned j = k; j < N; j++) {
            sum->matrix[k][j] = real_add_apart(sum->matrix[k][j], weighted, row->gradient[j]);
        }
    }
}

static inline void gather(information_t *sum, const observation_t *observation, unsigned n_observations)
{
    const observation_t *end = observation + n_observations;
    for (const observation_t *row = observation; row != end; row++) {
        const observation_t loaded = load(row, 0);
        gather_rows(sum, &loaded, 0, FIRST_ROWS);
    }
    for (const observation_t *row = observation; row != end; row++) {
        const observation_t loaded = load(row, FIRST_ROWS);
        gather_rows(sum, &loaded, FIRST_ROWS, N);
        sum->length += loaded.length;
    }
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

unsigned information_compress(const observation_t *observation, unsigned n_observations, const real_t *context_std,
                              pseudo_observation_t *out, real_t *nis, real_t *log_det)
{
    information_t sum = {.length = REAL(0)};
    pseudo_observation_t context;
    real_t gathered[N];
    unsigned n = 0;
    gather(&sum, observation, n_observations);
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
