/* The device: bytes in, frames, requests, replies out. docs/firmware.md */
#include "dispatch.h"
#include "port.h"

/* The decoder writes a payload and its CRC into what is read as a request. */
static struct {
    request_t request;
    uint8_t crc[FRAME_CRC_BYTES];
} received;

#define BAUD_PATIENCE_s 2U

static dispatch_t dispatch;
static uint32_t heard_at; /* port_count() at the last frame that was right */
static uint8_t line[FRAME_ENCODED_MAX(sizeof(reply_t))];

static void receive(frame_decoder_t *decoder, uint8_t byte)
{
    const frame_result_t result = frame_decoder_push(decoder, byte);
    if (!dispatch_frame(&dispatch, result, &received.request, decoder->length)) {
        return;
    }
    const kept_reply_t *const answer = dispatch.answer;
    port_write(line, frame_encode(line, sizeof line, (const uint8_t *)&answer->reply, answer->length));
    heard_at = port_count();
    if (dispatch.baud_Bd != 0U) {
        port_set_baud(dispatch.baud_Bd);
    }
}

/* A host that cannot be heard at a rate of its choice, or one that knows nothing of it, finds the device at the rate
 * that it starts with. */
static void fall_back_from_silence(void)
{
    if (port_baud() != PORT_BAUD && port_count() - heard_at > BAUD_PATIENCE_s * port_core_clock_Hz()) {
        port_set_baud(PORT_BAUD);
    }
}

int main(void)
{
    frame_decoder_t decoder;
    uint8_t byte;
    port_init();
    frame_decoder_init(&decoder, (uint8_t *)&received, sizeof received);
    for (;;) {
        /* For every byte: with requests in a window the line may not be empty for as long as the host goes on. */
        port_watchdog_feed();
        if (port_read(&byte)) {
            receive(&decoder, byte);
            continue;
        }
        fall_back_from_silence();
        port_wait();
    }
}
