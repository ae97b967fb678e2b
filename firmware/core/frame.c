#include "frame.h"

#include <stdbool.h>

#define DELIMITER  0U
#define FULL_BLOCK 0xFFU /* code of a block of 254 bytes that no zero follows */

uint32_t frame_crc32(uint32_t crc, const uint8_t *data, size_t length)
{
    /* Half a byte at a time: 64 bytes of table instead of 1 KiB. */
    static const uint32_t nibble[16] = {
        0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U, 0x4DB26158U, 0x5005713CU,
        0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU, 0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
    };
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ nibble[crc & 15U];
        crc = (crc >> 4) ^ nibble[crc & 15U];
    }
    return ~crc;
}

void frame_decoder_init(frame_decoder_t *d, uint8_t *buffer, size_t capacity)
{
    *d = (frame_decoder_t){.buffer = buffer, .capacity = capacity};
}

static void append(frame_decoder_t *d, uint8_t byte)
{
    if (d->length == d->capacity) {
        d->broken = 1U;
        return;
    }
    d->buffer[d->length++] = byte;
}

static void begin_block(frame_decoder_t *d, uint8_t code)
{
    if (d->code == 0U) {
        d->length = 0; /* the first block of a frame: the one before has been read by now */
    } else if (d->code != FULL_BLOCK) {
        append(d, 0U);
    }
    d->code = code;
    d->remaining = (uint8_t)(code - 1U);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static frame_result_t finish(frame_decoder_t *d)
{
    bool empty = d->code == 0U; /* delimiters in a row: how a sender flushes a line */
    bool complete = d->broken == 0U && d->remaining == 0U && d->length >= FRAME_CRC_BYTES;
    d->code = 0U;
    d->remaining = 0U;
    d->broken = 0U;
    if (empty) {
        return FRAME_INCOMPLETE;
    }
    if (!complete) {
        return FRAME_MALFORMED;
    }
    d->length -= FRAME_CRC_BYTES;
    return frame_crc32(0U, d->buffer, d->length) == read_u32(d->buffer + d->length) ? FRAME_READY : FRAME_CRC_ERROR;
}

frame_result_t frame_decoder_push(frame_decoder_t *d, uint8_t byte)
{
    if (byte == DELIMITER) {
        return finish(d);
    }
    if (d->broken != 0U) {
        return FRAME_INCOMPLETE;
    }
    if (d->remaining == 0U) {
        begin_block(d, byte);
    } else {
        d->remaining--;
        append(d, byte);
    }
    return FRAME_INCOMPLETE;
}

typedef struct {
    uint8_t *out;
    size_t length;
    size_t block;       /* where the code byte of the running block stands */
    bool block_is_open; /* a full block is closed at once, and the next one opened only when a byte follows */
} encoder_t;

static void open_block(encoder_t *e)
{
    e->block = e->length++;
    e->out[e->block] = 1U;
    e->block_is_open = true;
}

static void encode(encoder_t *e, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!e->block_is_open) {
            open_block(e);
        }
        if (data[i] == 0U) {
            open_block(e);
            continue;
        }
        e->out[e->length++] = data[i];
        e->out[e->block]++;
        e->block_is_open = e->out[e->block] != FULL_BLOCK;
    }
}

size_t frame_encode(uint8_t *out, size_t capacity, const uint8_t *payload, size_t length)
{
    if (length > capacity || capacity < FRAME_ENCODED_MAX(length)) {
        return 0U;
    }
    uint32_t crc = frame_crc32(0U, payload, length);
    uint8_t trailer[FRAME_CRC_BYTES] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24)};
    encoder_t e = {.out = out};
    encode(&e, payload, length);
    encode(&e, trailer, sizeof trailer);
    out[e.length++] = DELIMITER;
    return e.length;
}
