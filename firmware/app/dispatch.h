/* From a received frame to the reply that answers it. */
#ifndef EISHIL_APP_DISPATCH_H
#define EISHIL_APP_DISPATCH_H

#include "commissioning.h"
#include "estimator.h"
#include "frame.h"
#include "wire.h"

/* Requests that a host may have unanswered, and replies that are kept to be repeated. A power of two. */
#define DISPATCH_WINDOW 4U

/* A frame's payload as the wire has it: the bodies are aligned behind the header of eight bytes. */
typedef struct {
    wire_header_t header;
    union {
        wire_hello_request_t hello;
        wire_init_request_t init;
        wire_step_request_t step;
        wire_network_request_t network;
        wire_status_request_t status;
        wire_snapshot_request_t snapshot;
        wire_restore_request_t restore;
        wire_baud_request_t baud;
        wire_brief_step_request_t brief_step;
        wire_commission_request_t commission;
    } body;
} request_t;

typedef struct {
    wire_header_t header;
    union {
        wire_hello_reply_t hello;
        wire_init_reply_t init;
        wire_step_reply_t step;
        wire_network_reply_t network;
        wire_status_reply_t status;
        wire_snapshot_reply_t snapshot;
        wire_restore_reply_t restore;
        wire_baud_reply_t baud;
        wire_brief_step_reply_t brief_step;
        wire_commission_reply_t commission;
        wire_error_reply_t error;
    } body;
} reply_t;

typedef struct {
    reply_t reply;
    size_t length; /* 0: nothing is kept here */
} kept_reply_t;

typedef struct {
    estimator_t estimator;
    estimator_work_t work;
    estimator_output_t estimate; /* on the stack it would be a third of it */
    commissioning_t commissioning;
    commissioned_cell_t cell; /* once it is commissioned */
    float corrected_real_ohm[MODEL_N_FREQUENCIES];
    float corrected_imag_ohm[MODEL_N_FREQUENCIES];
    bool is_commissioned;
    bool initialised;
    uint32_t restored; /* filters of the bank, of a restoration that is under way */
    uint32_t frames_received;
    uint32_t crc_errors;
    uint32_t framing_errors;
    uint32_t steps_rejected;
    uint32_t outliers; /* spectra that were not believed */
    uint32_t sessions; /* opened since the start; 0: none is open */
    uint32_t session;
    uint16_t expected; /* sequence number of the request that is applied next */
    uint32_t baud_Bd;  /* to change to when the reply is out; 0: stay */
    kept_reply_t kept[DISPATCH_WINDOW];
    kept_reply_t unkept;        /* replies to hello, and errors that a host may see again and again */
    const kept_reply_t *answer; /* what to send */
} dispatch_t;

/* Counts what the frame decoder made of the line. On FRAME_READY answers the request of `length` bytes into
 * d->answer; false when there is nothing to send. */
bool dispatch_frame(dispatch_t *d, frame_result_t result, const request_t *request, size_t length);

#endif
