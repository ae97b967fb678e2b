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
/* Errors of the context that all observations share: of voltage and temperature; of temperature alone where the network
 * has no tangents by them. */
#define MODEL_N_CONTEXTS (2U - (MODEL_N_INPUTS - MODEL_N_TANGENTS) / 2U)

/* Four of the first layer's units, in the order in which nn_kernel.h reads them: half-words, the even input or unit in the
 * low half. Tangents by the last two inputs, voltage and temperature, come first where there are any (MODEL_N_TANGENTS).
 * Zeros fill up what is missing. */
typedef struct {
    int32_t bias[4];
    uint32_t weight[(MODEL_N_INPUTS + 1U) / 2U][4]; /* [pair of inputs][unit] */
    int32_t multiplier[4];
    uint32_t tangent[(MODEL_N_TANGENTS + 1U) / 2U][2][2]; /* [pair of tangents][pair of units][tangent of the pair] */
} nn_first_t;

/* A layer after the first one, in fours of rows, in the order in which nn_kernel.h reads it. weight has the int8 weights
 * as half-words, [four rows][pair of inputs][row of the four], the even input in the low half; rows has the biases and,
 * of a hidden layer, multipliers and tangents' multipliers, [four rows][what][row of the four]. Zeros fill up rows to
 * fours, and a row's weights to the widest layer's; but one or two last rows of the last layer are no four, and their
 * weights stand as [pair of inputs][row of the two]. */
typedef struct {
    uint8_t n_out;
    uint8_t n_quads; /* fours */
    const uint32_t *weight;
    const int32_t *rows;
} nn_layer_t;

/* From the sums of one output to ln ohm: y = accumulator * scale + offset, dy/dv = sum * jacobian_scale * column scale. */
typedef struct {
    float scale;
    float offset;
    float jacobian_scale;
#if MODEL_N_TANGENTS < MODEL_N_INPUTS
    float temperature_offset; /* dy/d(1000/T) = (temperature_offset + temperature_slope 1000/T) jacobian_scale */
    float temperature_slope;
#endif
#if MODEL_HAS_CURVATURE
    float bend_scale; /* scale / (sqrt(2) jacobian_scale) */
#endif
} nn_output_t;

typedef struct {
    uint8_t n_inputs;
    uint8_t n_outputs;
    uint8_t n_first;  /* units of the first layer */
    uint8_t n_layers; /* after it, one at least */
    const float *input_mean;
    const float *input_scale;
    const nn_first_t *first;   /* [four units] */
    const nn_layer_t *layer;   /* [n_layers] */
    const nn_output_t *output; /* [n_outputs] */
    const float *jacobian_column_scale;
} nn_t;

/* The mode behind each channel that observations depend on: the network's inputs but for voltage and 1000/T, then the
 * series terms. In the header, for GCC to know the indices. */
static const uint8_t model_channel_mode[MODEL_N_CHANNELS] = MODEL_CHANNEL_MODES;

/* An impedance in series, linear in one mode: adds coefficient[i] * mode, in ohm, to exp(network output i). */
typedef struct {
    const float *coefficient; /* [n_observations] */
} series_term_t;

typedef struct {
    float weight[MODEL_MAX_READOUT_INPUTS];
    float bias;
    float out;
} readout_unit_t;

/* A scalar of the modes with one tanh layer, by tanh(t) = 1 - 2 / (1 + exp(2 t)): offset + out . (1 / (1 + exp(weight
 * modes[input] + bias))). One with fewer than MODEL_MAX_READOUT_INPUTS is filled up with inputs of weight 0. */
typedef struct {
    uint8_t n_hidden;                        /* even: filled up with a unit of zeros */
    uint8_t input[MODEL_MAX_READOUT_INPUTS]; /* modes */
    const readout_unit_t *unit;              /* [n_hidden] */
    float offset;
    float residual_variance;
} readout_t;

/* One filter of the bank; covariance is the upper triangle by rows. */
typedef struct {
    float log_weight;
    const float *mean;
    const float *covariance;
} prior_t;

/* Variance of one observation's own error, in (ln ohm)^2, beside what the instrument adds where that follows the
 * spectrum; and where series terms add to what is expected, 1 / jacobian_scale of its output, otherwise 0. */
typedef struct {
#if MODEL_NOISE_FOLLOWS_SPECTRUM
    float variance;
#else
    float inverse_variance;
    float log_variance;
#endif
    float series_scale;
} observable_t;

/* When a spectrum is left out. */
typedef struct {
    float exponent; /* -ln of the probability that a true spectrum is */
    uint8_t patience;
    uint8_t probation;
} gate_settings_t;

/* Some arrays of the model, one after the other. */
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
    const observable_t *observable; /* [n_observations] */
    float instrument_variance;      /* relative to |Z|^2, with MODEL_NOISE_FOLLOWS_SPECTRUM */
    float voltage_std_V;
    float temperature_std_K;
    const float *curvature_gradient; /* by the modes [n_modes], with MODEL_HAS_CURVATURE */
    gate_settings_t gate;            /* with MODEL_HAS_GATE */
    const series_term_t *series_term;
    nn_t network;
    const readout_t *readout;
    uint8_t model_id[8];
    const model_block_t *block; /* all arrays of numbers above */
    uint16_t n_blocks;
    uint32_t crc32; /* of all blocks in turn (frame_crc32) */
} model_t;

extern const model_t eishil_model;

#endif
