/* What a cell's own constants do to its spectra, learned from its first ones: an offset of every ln Z, and the variance
 * that is left. docs/estimator.md, "Commissioning". A module of its own: who does not call it does not link it.
 *
 *     commissioning_init(&c);
 *     commissioning_add(&c, &eishil_model, &work, &spectrum);   for every spectrum of the fresh cell
 *     commissioning_finish(&c);
 *     commissioning_adapt(&c, &eishil_model, &cell);
 *     estimator_init(&estimator, &cell.model);                  and from then on, for every spectrum:
 *     commissioning_correct(&cell, &spectrum, z_real_ohm, z_imag_ohm, &corrected);
 *     estimator_step(&estimator, &cell.model, &work, &corrected, &out); */
#ifndef EISHIL_CORE_COMMISSIONING_H
#define EISHIL_CORE_COMMISSIONING_H

#include "estimator.h"

#define COMMISSIONING_LEAST_SPECTRA 2U

/* Of one observation; in (ln ohm)^2 but for the offset. */
typedef struct {
    uint32_t count;
    real_t offset;   /* mean of measured minus expected ln Z */
    real_t variance; /* while spectra are added the sum of squares about the mean, then what is left */
    real_t expected; /* sum of the variances that the model expects */
} commissioning_observation_t;

/* Plain data: finished, it may be kept over a power cut, and is valid for the model it was made with. */
typedef struct {
    uint32_t n_spectra;
    commissioning_observation_t observation[MODEL_N_OBSERVATIONS];
} commissioning_t;

/* The model for one cell; it points into itself and cannot be copied. */
typedef struct {
    model_t model;
    observable_t observable[MODEL_N_OBSERVATIONS];
    float factor[MODEL_N_OBSERVATIONS]; /* exp(-offset) */
} commissioned_cell_t;

void commissioning_init(commissioning_t *c);

/* One spectrum of the fresh cell; its elapsed cycles play no part. False, and nothing is changed, where the estimator
 * would reject it. */
bool commissioning_add(commissioning_t *c, const model_t *model, estimator_work_t *work, const estimator_input_t *in);

/* From sums to offsets and variances; once. False, and nothing is changed, with less than COMMISSIONING_LEAST_SPECTRA. */
bool commissioning_finish(commissioning_t *c);

/* `cell` gets the model with the doubt that is left. */
void commissioning_adapt(const commissioning_t *c, const model_t *model, commissioned_cell_t *cell);

/* The spectrum without the cell's offsets, in the caller's arrays [n_frequencies]. */
void commissioning_correct(const commissioned_cell_t *cell, const estimator_input_t *in, float *z_real_ohm,
                           float *z_imag_ohm, estimator_input_t *out);

#endif
