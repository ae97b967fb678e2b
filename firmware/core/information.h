/* What the observations of one spectrum say together. They depend on the state through few channels only - the modes
 * that the network reads, and the series terms: so they are gathered in the channels, and taken out again as that many
 * scalar pseudo-observations. docs/estimator.md, equation 6. */
#ifndef EISHIL_CORE_INFORMATION_H
#define EISHIL_CORE_INFORMATION_H

#include "model.h"

/* One observation, linearised: gradient g by the channels times a factor f, 1 / (f^2 R), nu / (f R) and nu^2 / R.
 * The factor saves the scaling of g. */
typedef struct {
    real_t gradient[MODEL_N_CHANNELS];
    real_t weight;
    real_t weighted_innovation;
    real_t length;
} observation_t;

/* gradient . (channels - predicted channels) was seen to be `innovation`, with independent errors of `variance`. */
typedef struct {
    real_t gradient[MODEL_N_CHANNELS];
    real_t innovation;
    real_t variance;
} pseudo_observation_t;

/* At most one pseudo-observation for every channel; returns how many. *nis gets the part of sum nu^2 / R that no state
 * can explain. */
unsigned information_compress(const observation_t *observation, unsigned n_observations, pseudo_observation_t *out,
                              real_t *nis);

#endif
