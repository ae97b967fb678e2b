#include "dispatch.h"

#include <string.h>

#include "cell.h"
#include "device.h"
#include "estimate.h"
#include "snapshot.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

_Static_assert(offsetof(request_t, body) == sizeof(wire_header_t), "a body follows its header at once");
_Static_assert(offsetof(reply_t, body) == sizeof(wire_header_t), "a body follows its header at once");
_Static_assert(MODEL_N_STATES == WIRE_N_STATES && MODEL_N_FREQUENCIES == WIRE_N_FREQUENCIES, "one model");

/* Writes the reply's body, which is zero before, and returns its length. */
typedef size_t (*handler_t)(dispatch_t *d, const request_t *request, reply_t *reply);

static size_t answer_error(dispatch_t *d, uint8_t type, wire_status_t status, reply_t *reply)
{
    reply->header.type = WIRE_ERROR_REPLY;
    reply->body.error = (wire_error_reply_t){
        .status = (uint32_t)status,
        .type = type,
        .expected = d->expected,
        .protocol_version = WIRE_PROTOCOL_VERSION,
    };
    return sizeof reply->body.error;
}

static const struct {
    uint8_t type;
    size_t body_bytes;
    handler_t answer;
} handlers[] = {
    {WIRE_INIT_REQUEST, sizeof(wire_init_request_t), estimate_answer_init},
    {WIRE_STEP_REQUEST, sizeof(wire_step_request_t), estimate_answer_step},
    {WIRE_NETWORK_REQUEST, sizeof(wire_network_request_t), estimate_answer_network},
    {WIRE_STATUS_REQUEST, sizeof(wire_status_request_t), device_answer_status},
    {WIRE_SNAPSHOT_REQUEST, sizeof(wire_snapshot_request_t), snapshot_answer},
    {WIRE_RESTORE_REQUEST, sizeof(wire_restore_request_t), snapshot_answer_restore},
    {WIRE_BAUD_REQUEST, sizeof(wire_baud_request_t), device_answer_baud},
    {WIRE_BRIEF_STEP_REQUEST, sizeof(wire_brief_step_request_t), estimate_answer_brief_step},
    {WIRE_COMMISSION_REQUEST, sizeof(wire_commission_request_t), cell_answer_commission},
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

static void answer_refusal(dispatch_t *d, const request_t *request, wire_status_t status)
{
    kept_reply_t *const out = begin_reply(d, &d->unkept, request);
    out->length = sizeof(wire_header_t) + answer_error(d, request->header.type, status, &out->reply);
    d->answer = out;
}

/* A host of another protocol would make other numbers of all further replies. */
static void answer_hello_request(dispatch_t *d, const request_t *request, size_t body_bytes)
{
    if (body_bytes != sizeof(wire_hello_request_t)) {
        answer_refusal(d, request, WIRE_STATUS_BAD_LENGTH);
        return;
    }
    if (request->body.hello.protocol_version != WIRE_PROTOCOL_VERSION) {
        answer_refusal(d, request, WIRE_STATUS_OTHER_PROTOCOL);
        return;
    }
    open_session(d, &request->header);
    kept_reply_t *const out = begin_reply(d, &d->unkept, request);
    out->length = sizeof(wire_header_t) + device_answer_hello(d, request, &out->reply);
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
