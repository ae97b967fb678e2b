/* Any bytes through the frame decoder: what it accepts, the encoder gives back to the bit. */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY 64U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const uint8_t *payload, size_t length)
{
    uint8_t line[FRAME_ENCODED_MAX(CAPACITY)];
    uint8_t buffer[CAPACITY];
    frame_decoder_t decoder;
    frame_decoder_init(&decoder, buffer, sizeof buffer);
    const size_t encoded = frame_encode(line, sizeof line, payload, length);
    frame_result_t result = FRAME_INCOMPLETE;
    for (size_t i = 0; i < encoded; i++) {
        result = frame_decoder_push(&decoder, line[i]);
    }
    if (encoded == 0U || result != FRAME_READY || decoder.length != length || memcmp(buffer, payload, length) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *buffer = malloc(CAPACITY); /* on the heap: the sanitizer watches its ends */
    frame_decoder_t decoder;
    frame_decoder_init(&decoder, buffer, CAPACITY);
    for (size_t i = 0; i < size; i++) {
        if (frame_decoder_push(&decoder, data[i]) == FRAME_READY) {
            if (decoder.length > CAPACITY - FRAME_CRC_BYTES) {
                abort();
            }
            encode_again(buffer, decoder.length);
        }
    }
    if (size <= CAPACITY - FRAME_CRC_BYTES) {
        encode_again(data, size);
    }
    free(buffer);
    return 0;
}
