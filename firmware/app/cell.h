/* The cell at hand: its commissioning, on request, and what follows from it for every spectrum. */
#ifndef EISHIL_APP_CELL_H
#define EISHIL_APP_CELL_H

#include "dispatch.h"

size_t cell_answer_commission(dispatch_t *d, const request_t *request, reply_t *reply);

/* The model of the commissioned cell, or that of every cell. */
const model_t *cell_model(const dispatch_t *d);

/* The spectrum that a request begins with, as it was measured; good as long as the request is. */
estimator_input_t cell_spectrum(const request_t *request);

/* The spectrum without the offsets of the commissioned cell; good until the next one. */
void cell_correct(dispatch_t *d, estimator_input_t *input);

#endif
