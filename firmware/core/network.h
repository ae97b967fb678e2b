/* The observation network as the filters see it: integers (nn.h), or in a build to compare with, real_t
 * (NETWORK_IS_REAL). Derivatives come as gradient * row scale * column scale. */
#ifndef EISHIL_CORE_NETWORK_H
#define EISHIL_CORE_NETWORK_H

#include "block_moves.h"
#include "nn.h"

#if defined(NETWORK_IS_REAL)

typedef real_t network_input_t;
typedef real_t network_sum_t;

/* What network_real.c of the generated files fills in: y = W tanh(... W ((v - mean) scale) + b ...) + b. */
typedef struct {
    uint8_t n_in;
    uint8_t n_out;
    const real_t *weight; /* [n_out][n_in] */
    const real_t *bias;
} network_layer_t;

typedef struct {
    uint8_t n_layers;
    const real_t *input_mean;
    const real_t *input_scale;
    const network_layer_t *layer;
} network_real_t;

extern const network_real_t eishil_network_real;

typedef struct {
    nn_work_t integer; /* for whoever asks for the integer network */
    real_t output[NN_BATCH][MODEL_N_OBSERVATIONS];
    real_t activation[2][MODEL_MAX_ROWS];
    real_t tangent[2][MODEL_MAX_ROWS][MODEL_N_TANGENTS];
    const real_t (*jacobian)[MODEL_N_TANGENTS];
} network_work_t;

#else

typedef int32_t network_input_t;
typedef uint32_t network_sum_t; /* modulo 2^32: the biases may exceed it, and cancel */

typedef struct {
    nn_work_t integer;
} network_work_t;

#endif

#if defined(NETWORK_IS_REAL)
network_input_t network_read_input(const nn_t *nn, unsigned index, real_t value);
#else
static inline network_input_t network_read_input(const nn_t *nn, unsigned index, real_t value)
{
    return nn_quantise_input(nn, index, value);
}
#endif

/* One sample with its Jacobian. */
void network_evaluate(const nn_t *nn, const network_input_t *input, network_work_t *work);

/* 1 to NN_BATCH samples without. */
void network_evaluate_batch(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], unsigned n_samples,
                            network_work_t *work);

/* Two samples without; sum [n_outputs]: of what both give for an output, in units of the row (network_row_t). */
void network_evaluate_pair(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], network_work_t *work,
                           network_sum_t *sum);

/* Output i of sample `column` in ln ohm. */
static inline real_t network_output(const nn_t *nn, const network_work_t *work, unsigned i, unsigned column)
{
#if defined(NETWORK_IS_REAL)
    (void)nn;
    return work->output[column][i];
#else
    return nn_output(nn, i, nn_accumulator(nn, &work->integer, i, column));
#endif
}

#define NETWORK_N_DERIVATIVES (MODEL_N_CONTEXTS + MODEL_N_INPUTS - 2U)

/* Runs over the outputs of the sample in column 0 with their derivatives. */
typedef struct {
#if defined(NETWORK_IS_REAL)
    const real_t *output;
    const real_t *gradient;
#else
    const int32_t *sum; /* of the output, then of its derivatives */
#endif
    const nn_output_t *quantised;
} network_row_t;

static inline network_row_t network_first_row(const model_t *model, const network_work_t *work)
{
    network_row_t row = {.quantised = model->network.output};
#if defined(NETWORK_IS_REAL)
    row.output = work->output[0];
    row.gradient = work->jacobian[0];
#else
    row.sum = work->integer.sum.row[0];
#endif
    return row;
}

static inline void network_next_row(network_row_t *row)
{
    row->quantised++;
#if defined(NETWORK_IS_REAL)
    row->output += 1;
    row->gradient += MODEL_N_TANGENTS;
#else
    row->sum += NN_STRIDE;
#endif
}

/* A row in numbers. Derivatives are by what the context's errors are of, then by the other inputs, without the row's
 * and the columns' scales. */
typedef struct {
    real_t output;
    real_t scale;
    real_t gradient[NETWORK_N_DERIVATIVES];
} network_numbers_t;

#if defined(NETWORK_IS_REAL)

static inline network_numbers_t network_row_numbers(const network_row_t *row, real_t inverse_temperature)
{
    network_numbers_t numbers = {.output = *row->output, .scale = REAL(1)};
    (void)inverse_temperature;
#if MODEL_N_TANGENTS < MODEL_N_INPUTS
    numbers.gradient[0] = row->quantised->jacobian_scale * (row->quantised->temperature_offset +
                                                            row->quantised->temperature_slope * inverse_temperature);
#endif
    for (unsigned c = 0; c < MODEL_N_TANGENTS; c++) {
        numbers.gradient[NETWORK_N_DERIVATIVES - MODEL_N_TANGENTS + NN_TANGENT(c)] = row->gradient[c];
    }
    return numbers;
}

#else

static inline network_numbers_t network_row_numbers(const network_row_t *row, real_t inverse_temperature)
{
    enum { SCALE, OFFSET, ROW_SCALE, TEMPERATURE_OFFSET, TEMPERATURE_SLOPE };
    const unsigned n_constants = MODEL_N_TANGENTS < MODEL_N_INPUTS ? TEMPERATURE_SLOPE + 1U : ROW_SCALE + 1U;
    real_t sum[1U + MODEL_N_TANGENTS];
    real_t constant[TEMPERATURE_SLOPE + 1U];
    network_numbers_t numbers;
    block_load_integers(row->sum, 1U + MODEL_N_TANGENTS, sum);
    block_load_high(&row->quantised->scale, n_constants, constant);
    numbers.output = sum[0] * constant[SCALE] + constant[OFFSET];
    numbers.scale = constant[ROW_SCALE];
    if (MODEL_N_TANGENTS < MODEL_N_INPUTS) {
        numbers.gradient[0] =
            real_add_apart(constant[TEMPERATURE_OFFSET], constant[TEMPERATURE_SLOPE], inverse_temperature);
    }
#pragma GCC unroll 16
    for (unsigned c = 0; c < MODEL_N_TANGENTS; c++) {
        numbers.gradient[NETWORK_N_DERIVATIVES - MODEL_N_TANGENTS + c] = sum[1U + c];
    }
    return numbers;
}

#endif

#if MODEL_HAS_CURVATURE
/* Second difference of a pair about the sample in column 0, over sqrt(2), without the row's scale. */
static inline real_t network_row_bend(const network_row_t *row, network_sum_t sum)
{
#if defined(NETWORK_IS_REAL)
    return (sum - REAL(2) * *row->output) * REAL(0x1.6a09e6p-1f);
#else
    return (real_t)(int32_t)(sum - 2U * (uint32_t)row->sum[0]) * row->quantised->bend_scale;
#endif
}
#endif

/* 1 / the row's scale; of an observation in series, which has it. */
static inline real_t network_row_inverse_scale(const observable_t *observable)
{
#if defined(NETWORK_IS_REAL)
    (void)observable;
    return REAL(1);
#else
    return observable->series_scale;
#endif
}

static inline real_t network_column_scale(const nn_t *nn, unsigned c)
{
#if defined(NETWORK_IS_REAL)
    (void)nn, (void)c;
    return REAL(1);
#else
    return nn->jacobian_column_scale[c];
#endif
}

#endif
