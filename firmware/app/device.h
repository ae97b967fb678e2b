/* Requests about the device itself. Each function is a handler of dispatch.c. */
#ifndef EISHIL_APP_DEVICE_H
#define EISHIL_APP_DEVICE_H

#include "dispatch.h"

size_t device_answer_hello(dispatch_t *d, const request_t *request, reply_t *reply);
size_t device_answer_status(dispatch_t *d, const request_t *request, reply_t *reply);
size_t device_answer_baud(dispatch_t *d, const request_t *request, reply_t *reply);

#endif
