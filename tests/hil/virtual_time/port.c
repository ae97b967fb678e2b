/* A port whose clock is told what time it is, and whose line garbles what comes at another rate than its own.
 *
 * Standard input: `T` and u32: so many milliseconds pass; `B`, u32 rate, u32 n and n bytes: they arrive at that rate.
 * Standard output, for each write of the device: u32 rate, u32 n and n bytes. Little-endian. */
#include "port.h"

#include <stdio.h>
#include <stdlib.h>

#define CLOCK_Hz  1000000U
#define MAX_BYTES 4096U

const char port_board[PORT_BOARD_BYTES] = "virtual";

static uint8_t arrived[MAX_BYTES];
static uint32_t filled;
static uint32_t taken;
static uint32_t now = UINT32_MAX - CLOCK_Hz; /* wraps after a second */
static uint32_t baud = PORT_BAUD;

static void read_all(void *out, size_t length)
{
    if (fread(out, 1, length, stdin) != length) {
        exit(feof(stdin) != 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
}

static uint32_t read_u32(void)
{
    uint8_t raw[4];
    read_all(raw, sizeof raw);
    return (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
}

static void write_u32(uint32_t value)
{
    const uint8_t raw[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    fwrite(raw, 1, sizeof raw, stdout);
}

static void arrive(uint32_t rate)
{
    filled = read_u32();
    taken = 0;
    if (filled > MAX_BYTES) {
        exit(EXIT_FAILURE);
    }
    read_all(arrived, filled);
    for (uint32_t i = 0; rate != baud && i < filled; i++) {
        arrived[i] = (uint8_t)(arrived[i] ^ 0xA5U);
    }
}

void port_init(void)
{
}

bool port_read(uint8_t *byte)
{
    if (taken == filled) {
        return false;
    }
    *byte = arrived[taken];
    taken++;
    return true;
}

/* One command is one event that a chip would be woken by. */
void port_wait(void)
{
    uint8_t command = 0;
    read_all(&command, sizeof command);
    if (command == 'T') {
        now += read_u32() * (CLOCK_Hz / 1000U);
    } else {
        arrive(read_u32());
    }
}

void port_write(const uint8_t *data, size_t length)
{
    write_u32(baud);
    write_u32((uint32_t)length);
    fwrite(data, 1, length, stdout);
}

bool port_has_baud(uint32_t baud_Bd)
{
    return baud_Bd <= 1000000U;
}

void port_set_baud(uint32_t baud_Bd)
{
    baud = baud_Bd;
}

uint32_t port_baud(void)
{
    return baud;
}

port_counter_t port_counter(void)
{
    return PORT_COUNTER_NONE;
}

uint32_t port_count(void)
{
    return now;
}

uint32_t port_core_clock_Hz(void)
{
    return CLOCK_Hz;
}
