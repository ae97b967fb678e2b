#include "snapshot.h"

#include "finite.h"
#include "integrity.h"

size_t snapshot_answer(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const uint32_t filter = request->body.snapshot.filter;
    wire_snapshot_reply_t *out = &reply->body.snapshot;
    if (!d->initialised || filter >= MODEL_N_PRIORS) {
        out->status = d->initialised ? WIRE_STATUS_REJECTED_INPUT : WIRE_STATUS_NOT_INITIALISED;
        return sizeof *out;
    }
    out->status = WIRE_STATUS_OK;
    out->filter = filter;
    out->steps = d->estimator.steps;
    out->cycles = (float)d->estimator.cycles;
    out->outliers_in_row = d->estimator.gate.outliers;
    out->probation = d->estimator.gate.probation;
    out->log_weight = (float)d->estimator.log_weight[filter];
    for (unsigned i = 0; i < WIRE_N_STATES; i++) {
        out->state[i] = (float)d->estimator.filter[filter].x[i];
    }
    for (unsigned i = 0; i < WIRE_N_COVARIANCE; i++) {
        out->covariance[i] = (float)d->estimator.filter[filter].P[i];
    }
    return sizeof *out;
}

/* What no estimator could have said: numbers that are not finite, a variance that is not positive. */
static bool snapshot_is_sound(const wire_restore_request_t *in)
{
    unsigned diagonal = 0;
    for (unsigned i = 0; i < WIRE_N_STATES; i++) {
        if (!(in->covariance[diagonal] > 0.0f)) {
            return false;
        }
        diagonal += WIRE_N_STATES - i;
    }
    return fmath_is_finite(in->cycles) && fmath_is_finite(in->log_weight) && finite_all(in->state, WIRE_N_STATES) &&
           finite_all(in->covariance, WIRE_N_COVARIANCE);
}

/* Nothing is restored into a model that has changed. Until the last filter is there the estimator stands still. */
static wire_status_t restore_filter(dispatch_t *d, const wire_restore_request_t *in)
{
    estimator_t *e = &d->estimator;
    if (in->filter == 0U) {
        d->initialised = false;
        d->restored = 0;
        if (!integrity_verify_model(&eishil_model)) {
            return WIRE_STATUS_MODEL_CORRUPTED;
        }
    }
    if (in->filter != d->restored || in->filter >= MODEL_N_PRIORS || !snapshot_is_sound(in)) {
        return WIRE_STATUS_REJECTED_INPUT;
    }
    for (unsigned i = 0; i < WIRE_N_STATES; i++) {
        e->filter[in->filter].x[i] = in->state[i];
    }
    for (unsigned i = 0; i < WIRE_N_COVARIANCE; i++) {
        e->filter[in->filter].P[i] = in->covariance[i];
    }
    e->log_weight[in->filter] = in->log_weight;
    e->cycles = in->cycles;
    e->steps = in->steps;
    e->gate = (gate_t){.outliers = in->outliers_in_row, .probation = in->probation};
    d->restored++;
    d->initialised = d->restored == MODEL_N_PRIORS;
    return WIRE_STATUS_OK;
}

size_t snapshot_answer_restore(dispatch_t *d, const request_t *request, reply_t *reply)
{
    reply->body.restore.status = (uint32_t)restore_filter(d, &request->body.restore);
    return sizeof reply->body.restore;
}
