/* From a received frame to the reply that answers it. */
#ifndef EISHIL_APP_DISPATCH_H
#define EISHIL_APP_DISPATCH_H

#include "estimator.h"
#include "frame.h"
#include "wire.h"

/* A frame's payload as the wire has it: the bodies are aligned behind the header of four bytes. */
typedef struct {
    wire_header_t header;
    union {
        wire_hello_request_t hello;
        wire_init_request_t init;
        wire_step_request_t step;
        wire_network_request_t network;
        wire_status_request_t status;
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
        wire_error_reply_t error;
    } body;
} reply_t;

typedef struct {
    estimator_t estimator;
    estimator_work_t work;
    bool initialised;
    uint32_t frames_received;
    uint32_t crc_errors;
    uint32_t framing_errors;
    uint32_t steps_rejected;
    request_t last_request; /* what `reply` answers; last_length 0: nothing */
    size_t last_length;
    reply_t reply;
    size_t reply_length;
} dispatch_t;

/* Counts what the frame decoder made of the line. On FRAME_READY answers the request of `length` bytes into
 * d->reply; false when there is nothing to send. */
bool dispatch_frame(dispatch_t *d, frame_result_t result, const request_t *request, size_t length);

#endif
