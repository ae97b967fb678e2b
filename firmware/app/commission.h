/* Commissioning of the cell at hand, on request. */
#ifndef EISHIL_APP_COMMISSION_H
#define EISHIL_APP_COMMISSION_H

#include "dispatch.h"

size_t commission_answer(dispatch_t *d, const request_t *request, reply_t *reply);

/* The model of the commissioned cell, or that of every cell. */
const model_t *commission_model(const dispatch_t *d);

/* The spectrum without the offsets of the commissioned cell; good until the next one. */
void commission_correct(dispatch_t *d, estimator_input_t *input);

#endif
