#include "dispatch.h"

#include <string.h>

#include "commission.h"
#include "fmath.h"
#include "integrity.h"
#include "nn.h"
#include "port.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

_Static_assert(offsetof(request_t, body) == sizeof(wire_header_t), "a body follows its header at once");
_Static_assert(offsetof(reply_t, body) == sizeof(wire_header_t), "a body follows its header at once");
_Static_assert(sizeof(wire_brief_step_request_t) == sizeof(wire_step_request_t), "the same spectrum");
_Static_assert(offsetof(wire_brief_step_reply_t, state_sigma) == offsetof(wire_step_reply_t, covariance),
               "one verdict");
_Static_assert(PORT_COUNTER_DWT == (int)WIRE_COUNTER_DWT && PORT_COUNTER_TIM2 == (int)WIRE_COUNTER_TIM2, "one enum");
_Static_assert(PORT_FAULT_ASSERTION == (int)WIRE_FAULT_ASSERTION, "one enum");
_Static_assert(ESTIMATOR_REJECTED_COVARIANCE == (int)WIRE_STATUS_REJECTED_COVARIANCE, "one enum");
_Static_assert(ESTIMATOR_OUTLIER == (int)WIRE_STATUS_OUTLIER, "one enum");
_Static_assert(MODEL_N_STATES == WIRE_N_STATES && MODEL_N_FREQUENCIES == WIRE_N_FREQUENCIES, "one model");

/* Defined by the build: docs/firmware.md. The bench finds it in the ELF by name. */
extern const uint8_t eishil_build_id[8];
const uint8_t eishil_build_id[8] __attribute__((section(".build_id"), used)) = {EISHIL_BUILD_ID};
static const uint8_t wire_digest[8] = WIRE_DIGEST;

/* Writes the reply's body, which is zero before, and returns its length. */
typedef size_t (*handler_t)(dispatch_t *d, const request_t *request, reply_t *reply);

static size_t answer_hello(dispatch_t *d, const request_t *request, reply_t *reply)
{
    wire_hello_reply_t *out = &reply->body.hello;
    (void)request;
    memcpy(out->wire_digest, wire_digest, sizeof out->wire_digest);
    memcpy(out->build_id, eishil_build_id, sizeof out->build_id);
    memcpy(out->model_id, eishil_model.model_id, sizeof out->model_id);
    memcpy(out->board, port_board, sizeof out->board);
    out->core_clock_Hz = port_core_clock_Hz();
    out->boot_count = port_history().boot_count;
    out->sessions = d->sessions;
    out->window_bytes = PORT_RECEIVE_BYTES;
    out->window_requests = DISPATCH_WINDOW;
    out->counter = (uint8_t)port_counter();
    out->n_states = WIRE_N_STATES;
    out->n_frequencies = WIRE_N_FREQUENCIES;
    out->n_inputs = WIRE_N_INPUTS;
    out->n_readouts = WIRE_N_READOUTS;
    out->n_filters = MODEL_N_PRIORS;
    return sizeof *out;
}

static size_t answer_init(dispatch_t *d, const request_t *request, reply_t *reply)
{
    (void)request;
    d->restored = 0;
    d->initialised = integrity_verify_model(&eishil_model);
    if (d->initialised) {
        estimator_init(&d->estimator, commission_model(d));
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
static size_t answer_step(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const wire_step_request_t *in = &request->body.step;
    wire_step_reply_t *out = &reply->body.step;
    if (!d->initialised) {
        out->status = WIRE_STATUS_NOT_INITIALISED;
        return sizeof *out;
    }
    estimator_input_t input = {
        .elapsed_cycles = in->elapsed_cycles,
        .voltage_V = in->voltage_V,
        .temperature_degC = in->temperature_degC,
        .valid_mask = in->valid_mask,
        .z_real_ohm = in->z_real_ohm,
        .z_imag_ohm = in->z_imag_ohm,
    };
    const model_t *const model = commission_model(d);
    commission_correct(d, &input);
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
static size_t answer_brief_step(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const wire_step_reply_t *full = &reply->body.step;
    wire_brief_step_reply_t *out = &reply->body.brief_step;
    answer_step(d, request, reply);
    unsigned diagonal = 0;
    for (unsigned i = 0; i < WIRE_N_STATES; i++) {
        out->state_sigma[i] = (float)fmath_sqrt((real_t)full->covariance[diagonal]);
        diagonal += WIRE_N_STATES - i;
    }
    memmove(out->readout, full->readout, sizeof out->readout);
    memmove(out->readout_sigma, full->readout_sigma, sizeof out->readout_sigma);
    return sizeof *out;
}

static bool all_finite(const float *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!fmath_is_finite(values[i])) {
            return false;
        }
    }
    return true;
}

static size_t answer_network(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const nn_t *nn = &eishil_model.network;
    const float *input = request->body.network.input;
    wire_network_reply_t *out = &reply->body.network;
    nn_work_t *work = &d->work.update.network.integer;
    if (!all_finite(input, WIRE_N_INPUTS)) {
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

static size_t answer_status(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const port_history_t history = port_history();
    const port_stack_t stack = port_stack();
    (void)request;
    reply->body.status = (wire_status_reply_t){
        .frames_received = d->frames_received,
        .crc_errors = d->crc_errors,
        .framing_errors = d->framing_errors,
        .overruns = port_overruns(),
        .steps_rejected = d->steps_rejected,
        .outliers = d->outliers,
        .fault = history.fault,
        .fault_count = history.fault_count,
        .fault_address = history.fault_address,
        .stack_used_bytes = stack.used_bytes,
        .stack_size_bytes = stack.size_bytes,
    };
    return sizeof reply->body.status;
}

static size_t answer_snapshot(dispatch_t *d, const request_t *request, reply_t *reply)
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
    out->outliers = d->estimator.gate.outliers;
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
    return fmath_is_finite(in->cycles) && fmath_is_finite(in->log_weight) && all_finite(in->state, WIRE_N_STATES) &&
           all_finite(in->covariance, WIRE_N_COVARIANCE);
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
    e->gate = (gate_t){.outliers = in->outliers, .probation = in->probation};
    d->restored++;
    d->initialised = d->restored == MODEL_N_PRIORS;
    return WIRE_STATUS_OK;
}

static size_t answer_restore(dispatch_t *d, const request_t *request, reply_t *reply)
{
    reply->body.restore.status = (uint32_t)restore_filter(d, &request->body.restore);
    return sizeof reply->body.restore;
}

static size_t answer_baud(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const uint32_t baud_Bd = request->body.baud.baud_Bd;
    const bool possible = port_has_baud(baud_Bd);
    d->baud_Bd = possible ? baud_Bd : 0U;
    reply->body.baud.status = possible ? WIRE_STATUS_OK : WIRE_STATUS_REJECTED_INPUT;
    return sizeof reply->body.baud;
}

static size_t answer_error(dispatch_t *d, uint8_t type, wire_status_t status, reply_t *reply)
{
    reply->header.type = WIRE_ERROR_REPLY;
    reply->body.error = (wire_error_reply_t){.status = (uint32_t)status, .type = type, .expected = d->expected};
    return sizeof reply->body.error;
}

static const struct {
    uint8_t type;
    size_t body_bytes;
    handler_t answer;
} handlers[] = {
    {WIRE_INIT_REQUEST, sizeof(wire_init_request_t), answer_init},
    {WIRE_STEP_REQUEST, sizeof(wire_step_request_t), answer_step},
    {WIRE_NETWORK_REQUEST, sizeof(wire_network_request_t), answer_network},
    {WIRE_STATUS_REQUEST, sizeof(wire_status_request_t), answer_status},
    {WIRE_SNAPSHOT_REQUEST, sizeof(wire_snapshot_request_t), answer_snapshot},
    {WIRE_RESTORE_REQUEST, sizeof(wire_restore_request_t), answer_restore},
    {WIRE_BAUD_REQUEST, sizeof(wire_baud_request_t), answer_baud},
    {WIRE_BRIEF_STEP_REQUEST, sizeof(wire_brief_step_request_t), answer_brief_step},
    {WIRE_COMMISSION_REQUEST, sizeof(wire_commission_request_t), commission_answer},
};

/* Fills the reply's body and may turn its type into an error. Returns the body's length. */
static size_t answer_body(dispatch_t *d, const request_t *request, size_t body_bytes, reply_t *reply)
{
    const uint8_t type = request->header.type;
    for (size_t i = 0; i < COUNT_OF(handlers); i++) {
        if (handlers[i].type == type) {
            return handlers[i].body_bytes == body_bytes ? handlers[i].answer(d, request, reply)
                                                        : answer_error(d, type, WIRE_STATUS_BAD_LENGTH, reply);
        }
    }
    return answer_error(d, type, WIRE_STATUS_UNKNOWN_MESSAGE, reply);
}

static kept_reply_t *begin_reply(const dispatch_t *d, kept_reply_t *kept, const request_t *request)
{
    memset(kept, 0, sizeof *kept);
    kept->reply.header = (wire_header_t){
        .type = request->header.type | WIRE_REPLY_BIT,
        .epoch = (uint8_t)d->sessions,
        .sequence = request->header.sequence,
        .session = request->header.session,
    };
    return kept;
}

/* A hello that comes again late must not rewind the session that it has opened. */
static void open_session(dispatch_t *d, const wire_header_t *hello)
{
    if (d->sessions != 0U && d->session == hello->session) {
        return;
    }
    d->sessions++;
    d->session = hello->session;
    d->expected = (uint16_t)(hello->sequence + 1U);
    for (size_t i = 0; i < DISPATCH_WINDOW; i++) {
        d->kept[i].length = 0;
    }
}

static void answer_hello_request(dispatch_t *d, const request_t *request, size_t body_bytes)
{
    const bool sound = body_bytes == sizeof(wire_hello_request_t);
    if (sound) {
        open_session(d, &request->header);
    }
    kept_reply_t *const out = begin_reply(d, &d->unkept, request);
    out->length =
        sizeof(wire_header_t) + (sound ? answer_hello(d, request, &out->reply)
                                       : answer_error(d, WIRE_HELLO_REQUEST, WIRE_STATUS_BAD_LENGTH, &out->reply));
    d->answer = out;
}

static void answer_refusal(dispatch_t *d, const request_t *request, wire_status_t status)
{
    kept_reply_t *const out = begin_reply(d, &d->unkept, request);
    out->length = sizeof(wire_header_t) + answer_error(d, request->header.type, status, &out->reply);
    d->answer = out;
}

/* Each request is applied once and in order: the next one is, one before it is answered from what is kept. */
static void answer_in_order(dispatch_t *d, const request_t *request, size_t body_bytes)
{
    kept_reply_t *const kept = &d->kept[request->header.sequence % DISPATCH_WINDOW];
    if (request->header.sequence == d->expected) {
        begin_reply(d, kept, request);
        kept->length = sizeof(wire_header_t) + answer_body(d, request, body_bytes, &kept->reply);
        d->expected++;
        d->answer = kept;
    } else if (kept->length != 0U && kept->reply.header.sequence == request->header.sequence) {
        d->answer = kept;
    } else {
        answer_refusal(d, request, WIRE_STATUS_OUT_OF_ORDER);
    }
}

static void answer_request(dispatch_t *d, const request_t *request, size_t length)
{
    const size_t body_bytes = length - sizeof(wire_header_t);
    const wire_header_t *header = &request->header;
    if (header->type == WIRE_HELLO_REQUEST) {
        answer_hello_request(d, request, body_bytes);
    } else if (d->sessions == 0U || header->session != d->session || header->epoch != (uint8_t)d->sessions) {
        answer_refusal(d, request, WIRE_STATUS_NO_SESSION);
    } else {
        answer_in_order(d, request, body_bytes);
    }
}

bool dispatch_frame(dispatch_t *d, frame_result_t result, const request_t *request, size_t length)
{
    if (result == FRAME_INCOMPLETE) {
        return false;
    }
    if (result == FRAME_CRC_ERROR) {
        d->crc_errors++;
        return false;
    }
    if (result == FRAME_MALFORMED || length < sizeof(wire_header_t) || length > sizeof(request_t)) {
        d->framing_errors++;
        return false;
    }
    d->frames_received++;
    d->baud_Bd = 0;
    answer_request(d, request, length);
    return true;
}
