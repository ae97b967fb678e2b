/* Received bytes between the line's interrupt and the main loop, which gets them by port_read. */
#ifndef EISHIL_PORT_CORTEX_M_RING_H
#define EISHIL_PORT_CORTEX_M_RING_H

#include <stdint.h>

/* From the interrupt. */
void ring_push(uint8_t byte);
void ring_count_overrun(void);

#endif
