#include "estimate.h"

#include <string.h>

#include "cell.h"
#include "finite.h"
#include "integrity.h"
#include "nn.h"
#include "port.h"

_Static_assert(offsetof(wire_brief_step_reply_t, state_sigma) == offsetof(wire_step_reply_t, covariance),
               "one verdict");
_Static_assert(ESTIMATOR_REJECTED_COVARIANCE == (int)WIRE_STATUS_REJECTED_COVARIANCE, "one enum");
_Static_assert(ESTIMATOR_OUTLIER == (int)WIRE_STATUS_OUTLIER, "one enum");

size_t estimate_answer_init(dispatch_t *d, const request_t *request, reply_t *reply)
{
    (void)request;
    d->restored = 0;
    d->initialised = integrity_verify_model(&eishil_model);
    if (d->initialised) {
        estimator_init(&d->estimator, cell_model(d));
    }
    reply->body.init.status = d->initialised ? WIRE_STATUS_OK : WIRE_STATUS_MODEL_CORRUPTED;
    return sizeof reply->body.init;
}

static void write_estimate(wire_step_reply_t *out, const estimator_output_t *estimate)
{
    out->n_used = estimate->n_used;
    out->nis = estimate->nis;
    memcpy(out->state, estimate->x, sizeof out->state);
    memcpy(out->covariance, estimate->P, sizeof out->covariance);
    memcpy(out->readout, estimate->readout, sizeof out->readout);
    memcpy(out->readout_sigma, estimate->readout_sigma, sizeof out->readout_sigma);
}

/* The count spans estimator_step alone. Where the host waits for each reply no received byte interrupts it; where
 * several requests are in flight the host learns from `interrupts` that the count is not the step's alone. */
size_t estimate_answer_step(dispatch_t *d, const request_t *request, reply_t *reply)
{
    wire_step_reply_t *out = &reply->body.step;
    if (!d->initialised) {
        out->status = WIRE_STATUS_NOT_INITIALISED;
        return sizeof *out;
    }
    estimator_input_t input = cell_spectrum(request);
    const model_t *const model = cell_model(d);
    cell_correct(d, &input);
    const uint32_t interrupts = port_interrupts();
    const uint32_t start = port_count();
    const estimator_status_t status = estimator_step(&d->estimator, model, &d->work, &input, &d->estimate);
    out->count = port_count() - start;
    out->interrupts = port_interrupts() - interrupts;
    out->status = (uint32_t)status;
    out->steps = d->estimator.steps;
    d->outliers += status == ESTIMATOR_OUTLIER ? 1U : 0U;
    if (status == ESTIMATOR_REJECTED_INPUT || status == ESTIMATOR_REJECTED_COVARIANCE) {
        d->steps_rejected++;
        estimator_report(&d->estimator, model, &d->work, &d->estimate);
    }
    write_estimate(out, &d->estimate);
    return sizeof *out;
}

/* In place: each standard deviation is written where nothing is read any more, at or before its variance. */
size_t estimate_answer_brief_step(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const wire_step_reply_t *full = &reply->body.step;
    wire_brief_step_reply_t *out = &reply->body.brief_step;
    estimate_answer_step(d, request, reply);
    unsigned diagonal = 0;
    for (unsigned i = 0; i < WIRE_N_STATES; i++) {
        out->state_sigma[i] = (float)fmath_sqrt((real_t)full->covariance[diagonal]);
        diagonal += WIRE_N_STATES - i;
    }
    memmove(out->readout, full->readout, sizeof out->readout);
    memmove(out->readout_sigma, full->readout_sigma, sizeof out->readout_sigma);
    return sizeof *out;
}

size_t estimate_answer_network(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const nn_t *nn = &eishil_model.network;
    const float *input = request->body.network.input;
    wire_network_reply_t *out = &reply->body.network;
    nn_work_t *work = &d->work.update.network.integer;
    if (!finite_all(input, WIRE_N_INPUTS)) {
        out->status = WIRE_STATUS_REJECTED_INPUT;
        return sizeof *out;
    }
    int32_t q[WIRE_N_INPUTS];
    const uint32_t start = port_count();
    for (unsigned i = 0; i < WIRE_N_INPUTS; i++) {
        q[i] = nn_quantise_input(nn, i, input[i]);
    }
    nn_evaluate(nn, q, work);
    out->count = port_count() - start;
    for (unsigned i = 0; i < WIRE_N_OBSERVATIONS; i++) {
        out->accumulator[i] = nn_accumulator(nn, work, i, 0);
        for (unsigned c = 0; c < WIRE_N_INPUTS; c++) {
            out->jacobian_accumulator[i * WIRE_N_INPUTS + c] = nn_jacobian_accumulator(work, i, c);
        }
    }
    out->status = WIRE_STATUS_OK;
    return sizeof *out;
}
