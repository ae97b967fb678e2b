#include "device.h"

#include <string.h>

#include "port.h"

_Static_assert(PORT_COUNTER_DWT == (int)WIRE_COUNTER_DWT && PORT_COUNTER_TIM2 == (int)WIRE_COUNTER_TIM2, "one enum");
_Static_assert(PORT_FAULT_ASSERTION == (int)WIRE_FAULT_ASSERTION, "one enum");

/* Defined by the build: docs/firmware.md. The bench finds it in the ELF by name. */
extern const uint8_t eishil_build_id[8];
const uint8_t eishil_build_id[8] __attribute__((section(".build_id"), used)) = {EISHIL_BUILD_ID};
static const uint8_t wire_digest[8] = WIRE_DIGEST;

size_t device_answer_hello(dispatch_t *d, const request_t *request, reply_t *reply)
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

size_t device_answer_status(dispatch_t *d, const request_t *request, reply_t *reply)
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

size_t device_answer_baud(dispatch_t *d, const request_t *request, reply_t *reply)
{
    const uint32_t baud_Bd = request->body.baud.baud_Bd;
    const bool possible = port_has_baud(baud_Bd);
    d->baud_Bd = possible ? baud_Bd : 0U;
    reply->body.baud.status = possible ? WIRE_STATUS_OK : WIRE_STATUS_REJECTED_INPUT;
    return sizeof reply->body.baud;
}
