/* What the observations of one spectrum say together. They depend on the state through few channels only - the modes
 * that the network reads, and the series terms - and on the errors of the spectrum's context, which all of them share: so
 * they are gathered in the channels, the context's errors are taken out, and what is left comes as one scalar
 * pseudo-observation for every channel. docs/estimator.md, "The core's update". */
#ifndef EISHIL_CORE_INFORMATION_H
#define EISHIL_CORE_INFORMATION_H

#include "model.h"

/* What all observations share comes first: what the second-order terms leave open, in units of its standard deviation,
 * then errors of the context. */
#define INFORMATION_N_CONTEXTS (MODEL_HAS_CURVATURE + MODEL_N_CONTEXTS)
#define INFORMATION_N          (INFORMATION_N_CONTEXTS + MODEL_N_CHANNELS)

/* Channels that all observations have: those of series terms, which come last, only some. */
#define INFORMATION_N_SHARED (INFORMATION_N - MODEL_N_SERIES_TERMS)

/* One observation, linearised: gradient g by the channels times a factor f, and with its own variance v, 1 / (f^2 v) and
 * nu / (f v). The factor saves the scaling of g. */
typedef struct {
    real_t gradient[INFORMATION_N_SHARED];
    real_t weight;
    real_t weighted_innovation;
#if MODEL_N_SERIES_TERMS > 0U
    real_t by_term[MODEL_N_SERIES_TERMS]; /* more of the gradient */
#endif
} observation_t;

#define INFORMATION_N_NUMBERS (INFORMATION_N + 2U) /* of an observation_t */

/* Those of a spectrum, in the model's order. */
typedef struct {
    const observation_t *row;
    unsigned n;
    real_t length;  /* sum nu^2 / v */
    real_t log_det; /* with several filters sum ln v */
} observations_t;

/* gradient . (channels - predicted channels) was seen to be `innovation`, with independent errors of `variance`. */
typedef struct {
    real_t gradient[MODEL_N_CHANNELS];
    real_t innovation;
    real_t variance;
} pseudo_observation_t;

/* At most one pseudo-observation for every channel, the gradient of number k 0 before element k; returns how many.
 * context_std [MODEL_N_CONTEXTS]: standard deviations of the context's errors, in units of their channels. *nis gets the
 * part of nu^T R^-1 nu that no state can explain, *log_det with several filters ln det R. */
unsigned information_compress(const observations_t *observations, const real_t *context_std, pseudo_observation_t *out,
                              real_t *nis, real_t *log_det);

#endif
