/* Requests that compute. Each function is a handler of dispatch.c. */
#ifndef EISHIL_APP_ESTIMATE_H
#define EISHIL_APP_ESTIMATE_H

#include "dispatch.h"

size_t estimate_answer_init(dispatch_t *d, const request_t *request, reply_t *reply);
size_t estimate_answer_step(dispatch_t *d, const request_t *request, reply_t *reply);
size_t estimate_answer_brief_step(dispatch_t *d, const request_t *request, reply_t *reply);
size_t estimate_answer_network(dispatch_t *d, const request_t *request, reply_t *reply);

#endif
