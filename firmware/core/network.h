/* The observation network as the filters see it: integers (nn.h), or in a build to compare with, real_t
 * (NETWORK_IS_REAL). Derivatives come as gradient * row scale * column scale. */
#ifndef EISHIL_CORE_NETWORK_H
#define EISHIL_CORE_NETWORK_H

#include "nn.h"

#if defined(NETWORK_IS_REAL)

typedef real_t network_input_t;

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
    real_t output[NN_BLOCK][MODEL_N_OBSERVATIONS];
    real_t activation[2][MODEL_MAX_ROWS];
    real_t tangent[2][MODEL_MAX_ROWS][MODEL_N_INPUTS];
    const real_t (*jacobian)[MODEL_N_INPUTS];
} network_work_t;

#else

typedef int32_t network_input_t;

typedef struct {
    nn_work_t integer;
} network_work_t;

#endif

network_input_t network_read_input(const nn_t *nn, unsigned index, real_t value);

/* One sample with its Jacobian. */
void network_evaluate(const nn_t *nn, const network_input_t *input, network_work_t *work);

/* 1 to NN_BLOCK samples without. */
void network_evaluate_batch(const nn_t *nn, const network_input_t (*input)[MODEL_N_INPUTS], unsigned n_samples,
                            network_work_t *work);

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

static inline real_t network_gradient(const network_work_t *work, unsigned i, unsigned c)
{
#if defined(NETWORK_IS_REAL)
    return work->jacobian[i][c];
#else
    return (real_t)nn_jacobian_accumulator(&work->integer, i, c);
#endif
}

static inline real_t network_row_scale(const nn_t *nn, unsigned i)
{
#if defined(NETWORK_IS_REAL)
    (void)nn, (void)i;
    return REAL(1);
#else
    return nn->output[i].jacobian_scale;
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
