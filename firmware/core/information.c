#include "information.h"

/* A pivot that elimination has left with less than this part of what was gathered is rounding. */
#define LEAST_PIVOT REAL(0x1p-21f)
#define N           MODEL_N_CHANNELS

/* The whole matrix, of which the upper triangle is used: with every loop unrolled it stands in registers. */
typedef struct {
    real_t matrix[N][N]; /* sum g g^T / R */
    real_t vector[N];    /* sum g nu / R */
    real_t length;       /* sum nu^2 / R */
} information_t;

static inline void gather(information_t *sum, const observation_t *row)
{
#pragma GCC unroll 16
    for (unsigned k = 0; k < N; k++) {
        const real_t weighted = row->gradient[k] * row->weight;
        sum->vector[k] = real_add_product(sum->vector[k], row->gradient[k], row->weighted_innovation);
#pragma GCC unroll 16
        for (unsigned j = k; j < N; j++) {
            sum->matrix[k][j] = real_add_product(sum->matrix[k][j], weighted, row->gradient[j]);
        }
    }
    sum->length += row->length;
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
        if (i < k) {
            out->gradient[i] = REAL(0);
            continue;
        }
        const real_t factor = i == k ? REAL(1) : sum->matrix[k][i] * inverse;
        out->gradient[i] = factor;
        if (i == k) {
            continue;
        }
        sum->vector[i] = real_subtract_product(sum->vector[i], factor, sum->vector[k]);
#pragma GCC unroll 16
        for (unsigned j = i; j < N; j++) {
            sum->matrix[i][j] = real_subtract_product(sum->matrix[i][j], factor, sum->matrix[k][j]);
        }
    }
}

unsigned information_compress(const observation_t *observation, unsigned n_observations, pseudo_observation_t *out,
                              real_t *nis)
{
    information_t sum = {.length = REAL(0)};
    real_t gathered[N];
    unsigned n = 0;
    for (unsigned i = 0; i < n_observations; i++) {
        gather(&sum, &observation[i]);
    }
#pragma GCC unroll 16
    for (unsigned k = 0; k < N; k++) {
        gathered[k] = sum.matrix[k][k];
    }
#pragma GCC unroll 16
    for (unsigned k = 0; k < N; k++) {
        if (sum.matrix[k][k] > LEAST_PIVOT * gathered[k]) {
            eliminate(&sum, k, &out[n++]);
        }
    }
    *nis = sum.length;
    return n;
}
