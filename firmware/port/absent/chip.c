/* A process: no interrupts, no resets, and a stack that the operating system looks after. */
#include "port.h"

uint32_t port_interrupts(void)
{
    return 0;
}

uint32_t port_overruns(void)
{
    return 0;
}

port_history_t port_history(void)
{
    return (port_history_t){0};
}

port_stack_t port_stack(void)
{
    return (port_stack_t){0};
}
