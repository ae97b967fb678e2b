/* An estimator as data: what firmware/generated/model.c fills in from a model file.
 *
 * The sizes come from the generated model_size.h, so that an estimator_t is as small as its model; every loop runs over
 * the sizes in the model_t. Notation and equations: docs/estimator.md, docs/network.md. */
#ifndef EISHIL_CORE_MODEL_H
#define EISHIL_CORE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "model_size.h"
#include "precision.h"

#define MODEL_N_OBSERVATIONS (2U * MODEL_N_FREQUENCIES)
#define MODEL_N_COVARIANCE   (MODEL_N_STATES * (MODEL_N_STATES + 1U) / 2U)

/* Constants of a pair of rows of a layer, two each; the last layer has no multipliers, the first one no tangent
 * multipliers. */
#define NN_BIAS               0U
#define NN_MULTIPLIER         2U
#define NN_TANGENT_MULTIPLIER 4U
#define NN_ROW_CONSTANTS      6U

/* One dense layer. weight has the int8 weights as half-words in the order in which they are read: [pair of rows][pair of
 * inputs][row of the pair], the even input in the low half; zeros fill up what is odd, and after the first layer rows to
 * multiples of four inputs. */
typedef struct {
    uint8_t n_in;
    uint8_t n_out;
    const uint32_t *weight;
    const int32_t *constant; /* [pair of rows][NN_ROW_CONSTANTS] */
} nn_layer_t;

/* From the sums of one output to ln ohm: y = sum * scale + offset, dy/dv = sum * jacobian_scale * column scale. */
typedef struct {
    float scale;
    float offset;
    float jacobian_scale;
} nn_output_t;

typedef struct {
    uint8_t n_inputs;
    uint8_t n_outputs;
    uint8_t n_layers;
    const float *input_mean;
    const float *input_scale;
    const nn_layer_t *layer;
    const uint32_t *tangent;   /* [pair of the first layer's units][n_inputs], the even unit in the low half */
    const nn_output_t *output; /* [n_outputs] */
    const float *jacobian_column_scale;
} nn_t;

/* An impedance in series, linear in one mode: adds coefficient[i] * mode, in ohm, to exp(network output i). */
typedef struct {
    uint8_t mode;
    const float *coefficient; /* [n_observations] */
} series_term_t;

/* A scalar of the modes with one tanh layer: b2 + w2 . tanh(w1 ((modes[input] - mean) * scale) + b1). One with fewer
 * than MODEL_MAX_READOUT_INPUTS is filled up with inputs of weight 0. */
typedef struct {
    uint8_t n_hidden;
    const uint8_t *input; /* mode indices */
    const float *input_mean;
    const float *input_scale;
    const float *w1; /* [n_hidden][MODEL_MAX_READOUT_INPUTS] */
    const float *b1;
    const float *w2;
    float b2;
    float residual_variance;
} readout_t;

/* One filter of the bank; covariance is the upper triangle by rows. */
typedef struct {
    float log_weight;
    const float *mean;
    const float *covariance;
} prior_t;

/* Of one observation's own error, in (ln ohm)^2. */
typedef struct {
    float inverse_variance;
    float log_variance;
} noise_t;

/* One array of the model. */
typedef struct {
    const void *data;
    uint32_t bytes;
} model_block_t;

typedef struct {
    uint8_t n_states;
    uint8_t n_modes;
    uint8_t n_frequencies;
    uint8_t n_priors;
    uint8_t n_series_terms;
    uint8_t n_readouts;
    uint8_t n_nodes;                         /* of the latent trajectory; 0: the states are the modes */
    const float *drift_per_cycle;            /* [n_states] */
    const float *process_variance_per_cycle; /* [n_states] */
    float cycle_spacing;
    const float *trajectory_mean; /* [n_nodes][n_modes] */
    const float *trajectory_phi;  /* [n_nodes][n_modes][n_states] */
    const prior_t *prior;
    const noise_t *noise; /* [n_observations] */
    float voltage_std_V;
    float temperature_std_K;
    const series_term_t *series_term;
    const uint8_t *input_mode; /* [network.n_inputs - 2]: the mode behind each network input; then voltage, 1000/T */
    nn_t network;
    const readout_t *readout;
    uint8_t model_id[8];
    const model_block_t *block; /* every array above */
    uint16_t n_blocks;
    uint32_t crc32; /* of all blocks in turn (frame_crc32) */
} model_t;

extern const model_t eishil_model;

#endif
