/* A process on a POSIX host: the line is standard input and output, and its end is the end of the process. */
#include "port.h"

#include <stdlib.h>
#include <unistd.h>

#define BUFFER_BYTES 4096U

const char port_board[PORT_BOARD_BYTES] = "native";

static uint8_t buffer[BUFFER_BYTES];
static size_t filled;
static size_t taken;

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
