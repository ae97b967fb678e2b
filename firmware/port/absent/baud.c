/* A line without a rate: it is remembered, to no effect. */
#include "port.h"

static uint32_t baud = PORT_BAUD;

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
