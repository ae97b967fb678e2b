#include "dispatch.h"

#include <string.h>

#include "fmath.h"
#include "integrity.h"
#include "nn.h"
#include "port.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

_Static_assert(offsetof(request_t, body) == sizeof(wire_header_t), "a body follows its header at once");
_Static_assert(offsetof(reply_t, body) == sizeof(wire_header_t), "a body follows its header at once");
_Static_assert(PORT_COUNTER_DWT == (int)WIRE_COUNTER_DWT && PORT_COUNTER_TIM2 == (int)WIRE_COUNTER_TIM2, "one enum");
_Static_assert(PORT_FAULT_ASSERTION == (int)WIRE_FAULT_ASSERTION, "one enum");
_Static_assert(ESTIMATOR_REJECTED_COVARIANCE == (int)WIRE_STATUS_REJECTED_COVARIANCE, "one enum");
_Static_assert(MODEL_N_STATES == WIRE_N_STATES && MODEL_N_FREQUENCIES == WIRE_N_FREQUENCIES, "one model");

/* Defined by the build: docs/firmware.md. The bench finds it in the ELF by name. */
extern const uint8_t eishil_build_id[8];
const uint8_t eishil_build_id[8] __attribute__((section(".build_id"), used)) = {EISHIL_BUILD_ID};
static const uint8_t wire_digest[8] = WIRE_DIGEST;

/* Writes d->reply.body, which is zero before, and returns its length. */
typedef size_t (*handler_t)(dispatch_t *d, const request_t *request);

static size_t answer_hello(dispatch_t *d, const request_t *request)
{
    wire_hello_reply_t *out = &d->reply.body.hello;
    (void)request;
    memcpy(out->wire_digest, wire_digest, sizeof out->wire_digest);
    memcpy(out->build_id, eishil_build_id, sizeof out->build_id);
    memcpy(out->model_id, eishil_model.model_id, sizeof out->model_id);
    memcpy(out->board, port_board, sizeof out->board);
    out->core_clock_Hz = port_core_clock_Hz();
    out->boot_count = port_history().boot_count;
    out->counter = (uint8_t)port_counter();
    out->n_states = WIRE_N_STATES;
    out->n_frequencies = WIRE_N_FREQUENCIES;
    out->n_inputs = WIRE_N_INPUTS;
    out->n_readouts = WIRE_N_READOUTS;
    return sizeof *out;
}

static size_t answer_init(dispatch_t *d, const request_t *request)
{
    (void)request;
    d->initialised = integrity_verify_model(&eishil_model);
    if (d->initialised) {
        estimator_init(&d->estimator, &eishil_model);
    }
    d->reply.body.init.status = d->initialised ? WIRE_STATUS_OK : WIRE_STATUS_MODEL_CORRUPTED;
    return sizeof d->reply.body.init;
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

/* The count spans estimator_step alone. No interrupt of this firmware falls into it as long as the host waits for the
 * reply: the last byte has been received, the next one follows the reply. */
static size_t answer_step(dispatch_t *d, const request_t *request)
{
    const wire_step_request_t *in = &request->body.step;
    wire_step_reply_t *out = &d->reply.body.step;
    if (!d->initialised) {
        out->status = WIRE_STATUS_NOT_INITIALISED;
        return sizeof *out;
    }
    const estimator_input_t input = {
        .elapsed_cycles = in->elapsed_cycles,
        .voltage_V = in->voltage_V,
        .temperature_degC = in->temperature_degC,
        .valid_mask = in->valid_mask,
        .z_real_ohm = in->z_real_ohm,
        .z_imag_ohm = in->z_imag_ohm,
    };
    estimator_output_t estimate;
    const uint32_t start = port_count();
    const estimator_status_t status = estimator_step(&d->estimator, &eishil_model, &d->work, &input, &estimate);
    out->count = port_count() - start;
    out->status = (uint32_t)status;
    out->steps = d->estimator.steps;
    if (status == ESTIMATOR_OK || status == ESTIMATOR_POINTS_SKIPPED) {
        write_estimate(out, &estimate);
    } else {
        d->steps_rejected++;
    }
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

static size_t answer_network(dispatch_t *d, const request_t *request)
{
    const nn_t *nn = &eishil_model.network;
    const float *input = request->body.network.input;
    wire_network_reply_t *out = &d->reply.body.network;
    nn_work_t *work = &d->work.update.network;
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

static size_t answer_status(dispatch_t *d, const request_t *request)
{
    const port_history_t history = port_history();
    const port_stack_t stack = port_stack();
    (void)request;
    d->reply.body.status = (wire_status_reply_t){
        .frames_received = d->frames_received,
        .crc_errors = d->crc_errors,
        .framing_errors = d->framing_errors,
        .overruns = port_overruns(),
        .steps_rejected = d->steps_rejected,
        .fault = history.fault,
        .fault_count = history.fault_count,
        .fault_address = history.fault_address,
        .stack_used_bytes = stack.used_bytes,
        .stack_size_bytes = stack.size_bytes,
    };
    return sizeof d->reply.body.status;
}

static size_t answer_error(dispatch_t *d, uint8_t type, wire_status_t status)
{
    d->reply.header.type = WIRE_ERROR_REPLY;
    d->reply.body.error = (wire_error_reply_t){.status = (uint32_t)status, .type = type};
    return sizeof d->reply.body.error;
}

static const struct {
    uint8_t type;
    size_t body_bytes;
    handler_t answer;
} handlers[] = {
    {WIRE_HELLO_REQUEST, sizeof(wire_hello_request_t), answer_hello},
    {WIRE_INIT_REQUEST, sizeof(wire_init_request_t), answer_init},
    {WIRE_STEP_REQUEST, sizeof(wire_step_request_t), answer_step},
    {WIRE_NETWORK_REQUEST, sizeof(wire_network_request_t), answer_network},
    {WIRE_STATUS_REQUEST, sizeof(wire_status_request_t), answer_status},
};

/* Fills the reply's body and may turn its type into an error. Returns the body's length. */
static size_t answer(dispatch_t *d, const request_t *request, size_t body_bytes)
{
    const uint8_t type = request->header.type;
    for (size_t i = 0; i < COUNT_OF(handlers); i++) {
        if (handlers[i].type == type) {
            return handlers[i].body_bytes == body_bytes ? handlers[i].answer(d, request)
                                                        : answer_error(d, type, WIRE_STATUS_BAD_LENGTH);
        }
    }
    return answer_error(d, type, WIRE_STATUS_UNKNOWN_MESSAGE);
}

/* The cache is one request deep: whatever comes next, a hello too, displaces it. */
static bool is_repeated(const dispatch_t *d, const request_t *request, size_t length)
{
    return d->last_length == length && memcmp(&d->last_request, request, length) == 0;
}

static void answer_request(dispatch_t *d, const request_t *request, size_t length)
{
    memset(&d->reply, 0, sizeof d->reply);
    d->reply.header.type = request->header.type | WIRE_REPLY_BIT;
    d->reply.header.sequence = request->header.sequence;
    d->reply_length = sizeof(wire_header_t) + answer(d, request, length - sizeof(wire_header_t));
    memcpy(&d->last_request, request, length);
    d->last_length = length;
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
    if (!is_repeated(d, request, length)) {
        answer_request(d, request, length);
    }
    return true;
}
