/* A process on a POSIX host: the line is standard input and output, and its end is the end of the process. */
#include "port.h"

#include <stdlib.h>
#include <unistd.h>

#define BUFFER_BYTES 4096U

const char port_board[PORT_BOARD_BYTES] = "native";

static uint8_t buffer[BUFFER_BYTES];
static size_t filled;
static size_t taken;
static uint32_t baud = PORT_BAUD; /* remembered, of no effect */

void port_init(void)
{
}

bool port_read(uint8_t *byte)
{
    if (taken == filled) {
        return false;
    }
    *byte = buffer[taken];
    taken++;
    return true;
}

/* Called with an empty buffer: blocking here is the process's idle sleep. */
void port_wait(void)
{
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0) {
        exit(EXIT_SUCCESS);
    }
    filled = (size_t)got;
    taken = 0;
}

void port_write(const uint8_t *data, size_t length)
{
    size_t sent = 0;
    while (sent < length) {
        const ssize_t put = write(STDOUT_FILENO, data + sent, length - sent);
        if (put <= 0) {
            exit(EXIT_FAILURE);
        }
        sent += (size_t)put;
    }
}

bool port_has_baud(uint32_t baud_Bd)
{
    return baud_Bd != 0U;
}

void port_set_baud(uint32_t baud_Bd)
{
    baud = baud_Bd;
}

uint32_t port_baud(void)
{
    return baud;
}

uint32_t port_interrupts(void)
{
    return 0;
}

uint32_t port_overruns(void)
{
    return 0;
}

port_counter_t port_counter(void)
{
    return PORT_COUNTER_NONE;
}

uint32_t port_count(void)
{
    return 0;
}

uint32_t port_core_clock_Hz(void)
{
    return 0;
}

void port_watchdog_feed(void)
{
}

port_history_t port_history(void)
{
    return (port_history_t){0};
}

port_stack_t port_stack(void)
{
    return (port_stack_t){0};
}
