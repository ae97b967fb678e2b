/* Frames: COBS(payload + CRC-32) + 0x00. Lengths are checked before copies, the CRC before use. */
#ifndef EISHIL_CORE_FRAME_H
#define EISHIL_CORE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_CRC_BYTES 4U
/* Longest encoding of n payload bytes with CRC and delimiter. */
#define FRAME_ENCODED_MAX(n) ((n) + FRAME_CRC_BYTES + ((n) + FRAME_CRC_BYTES) / 254U + 2U)

typedef enum {
    FRAME_INCOMPLETE = 0,
    FRAME_READY,     /* decoder->length payload bytes stand in the buffer until the next push */
    FRAME_CRC_ERROR, /* the CRC does not match */
    FRAME_MALFORMED  /* bad COBS, too short or too long */
} frame_result_t;

typedef struct {
    uint8_t *buffer; /* the caller's, capacity bytes: payload and CRC */
    size_t capacity;
    size_t length;
    uint8_t remaining; /* bytes left of the running COBS block */
    uint8_t code;      /* code byte of the running block; 0 before the first */
    uint8_t broken;    /* wait for the next delimiter */
} frame_decoder_t;

/* CRC-32 of zlib and Ethernet; start with crc = 0. */
uint32_t frame_crc32(uint32_t crc, const uint8_t *data, size_t length);

void frame_decoder_init(frame_decoder_t *d, uint8_t *buffer, size_t capacity);
frame_result_t frame_decoder_push(frame_decoder_t *d, uint8_t byte);

/* Bytes written to out, or 0 when capacity is too small. */
size_t frame_encode(uint8_t *out, size_t capacity, const uint8_t *payload, size_t length);

#endif
