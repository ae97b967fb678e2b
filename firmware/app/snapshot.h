/* The estimator's state out of the device and into it. Each function is a handler of dispatch.c. */
#ifndef EISHIL_APP_SNAPSHOT_H
#define EISHIL_APP_SNAPSHOT_H

#include "dispatch.h"

size_t snapshot_answer(dispatch_t *d, const request_t *request, reply_t *reply);
size_t snapshot_answer_restore(dispatch_t *d, const request_t *request, reply_t *reply);

#endif
