/* A machine without a counter. */
#include "port.h"

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
