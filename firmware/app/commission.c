#include "commission.h"

#include <string.h>

const model_t *commission_model(const dispatch_t *d)
{
    return d->is_commissioned ? &d->cell.model : &eishil_model;
}

void commission_correct(dispatch_t *d, estimator_input_t *input)
{
    if (d->is_commissioned) {
        const estimator_input_t measured = *input;
        commissioning_correct(&d->cell, &measured, d->corrected_real_ohm, d->corrected_imag_ohm, input);
    }
}

static bool add(dispatch_t *d, const wire_commission_request_t *in)
{
    const estimator_input_t input = {
        .elapsed_cycles = in->elapsed_cycles,
        .voltage_V = in->voltage_V,
        .temperature_degC = in->temperature_degC,
        .valid_mask = in->valid_mask,
        .z_real_ohm = in->z_real_ohm,
        .z_imag_ohm = in->z_imag_ohm,
    };
    return !d->is_commissioned && commissioning_add(&d->commissioning, &eishil_model, &d->work, &input);
}

static bool finish(dispatch_t *d)
{
    if (d->is_commissioned || !commissioning_finish(&d->commissioning)) {
        return false;
    }
    commissioning_adapt(&d->commissioning, &eishil_model, &d->cell);
    d->is_commissioned = true;
    d->initialised = false;
    return true;
}

static bool clear(dispatch_t *d)
{
    d->initialised = false;
    d->is_commissioned = false;
    commissioning_init(&d->commissioning);
    return true;
}

/* An estimator of another model is none: after a change the next request is `init` or `restore`. */
static bool act(dispatch_t *d, const wire_commission_request_t *in)
{
    switch (in->action) {
    case WIRE_COMMISSIONING_CLEAR:
        return clear(d);
    case WIRE_COMMISSIONING_ADD:
        return add(d, in);
    case WIRE_COMMISSIONING_FINISH:
        return finish(d);
    default:
        return false;
    }
}

size_t commission_answer(dispatch_t *d, const request_t *request, reply_t *reply)
{
    wire_commission_reply_t *out = &reply->body.commission;
    out->status = act(d, &request->body.commission) ? WIRE_STATUS_OK : WIRE_STATUS_REJECTED_INPUT;
    out->spectra = d->commissioning.n_spectra;
    for (unsigned i = 0; d->is_commissioned && i < WIRE_N_OBSERVATIONS; i++) {
        out->offset[i] = (float)d->commissioning.observation[i].offset;
        out->variance[i] = (float)d->commissioning.observation[i].variance;
    }
    return sizeof *out;
}
