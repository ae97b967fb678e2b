/* The device: bytes in, frames, requests, replies out. docs/firmware.md */
#include "dispatch.h"
#include "port.h"

/* The decoder writes a payload and its CRC into what is read as a request. */
static struct {
    request_t request;
    uint8_t crc[FRAME_CRC_BYTES];
} received;

static dispatch_t dispatch;
static uint8_t line[FRAME_ENCODED_MAX(sizeof(reply_t))];

static void receive(frame_decoder_t *decoder, uint8_t byte)
{
    const frame_result_t result = frame_decoder_push(decoder, byte);
    if (dispatch_frame(&dispatch, result, &received.request, decoder->length)) {
        port_write(line, frame_encode(line, sizeof line, (const uint8_t *)&dispatch.reply, dispatch.reply_length));
    }
}

int main(void)
{
    frame_decoder_t decoder;
    uint8_t byte;
    port_init();
    frame_decoder_init(&decoder, (uint8_t *)&received, sizeof received);
    for (;;) {
        port_watchdog_feed();
        while (port_read(&byte)) {
            receive(&decoder, byte);
        }
        port_wait();
    }
}
