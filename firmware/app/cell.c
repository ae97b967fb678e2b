#include "cell.h"

_Static_assert(sizeof(wire_brief_step_request_t) == sizeof(wire_step_request_t), "the same spectrum");
_Static_assert(offsetof(wire_commission_request_t, action) == sizeof(wire_step_request_t), "the same spectrum first");

/* Every request with a spectrum has it first, and C lets any of them be read as the one with nothing else. */
estimator_input_t cell_spectrum(const request_t *request)
{
    const wire_step_request_t *in = &request->body.step;
    return (estimator_input_t){
        .elapsed_cycles = in->elapsed_cycles,
        .voltage_V = in->voltage_V,
        .temperature_degC = in->temperature_degC,
        .valid_mask = in->valid_mask,
        .z_real_ohm = in->z_real_ohm,
        .z_imag_ohm = in->z_imag_ohm,
    };
}

const model_t *cell_model(const dispatch_t *d)
{
    return d->is_commissioned ? &d->cell.model : &eishil_model;
}

void cell_correct(dispatch_t *d, estimator_input_t *input)
{
    if (d->is_commissioned) {
        const estimator_input_t measured = *input;
        commissioning_correct(&d->cell, &measured, d->corrected_real_ohm, d->corrected_imag_ohm, input);
    }
}

static bool add(dispatch_t *d, const request_t *request)
{
    const estimator_input_t input = cell_spectrum(request);
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
static bool act(dispatch_t *d, const request_t *request)
{
    switch (request->body.commission.action) {
    case WIRE_COMMISSIONING_CLEAR:
        return clear(d);
    case WIRE_COMMISSIONING_ADD:
        return add(d, request);
    case WIRE_COMMISSIONING_FINISH:
        return finish(d);
    default:
        return false;
    }
}

size_t cell_answer_commission(dispatch_t *d, const request_t *request, reply_t *reply)
{
    wire_commission_reply_t *out = &reply->body.commission;
    out->status = act(d, request) ? WIRE_STATUS_OK : WIRE_STATUS_REJECTED_INPUT;
    out->spectra = d->commissioning.n_spectra;
    for (unsigned i = 0; d->is_commissioned && i < WIRE_N_OBSERVATIONS; i++) {
        out->offset[i] = (float)d->commissioning.observation[i].offset;
        out->variance[i] = (float)d->commissioning.observation[i].variance;
    }
    return sizeof *out;
}
