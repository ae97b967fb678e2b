/* Received bytes between the line's interrupt and the main loop. */
#ifndef EISHIL_PORT_CORTEX_M_RING_H
#define EISHIL_PORT_CORTEX_M_RING_H

#include <stdbool.h>
#include <stdint.h>

/* From the interrupt. */
void ring_push(uint8_t byte);
void ring_count_overrun(void);

/* From the main loop. */
bool ring_pop(uint8_t *byte);
uint32_t ring_overruns(void);

/* Sleeps until an interrupt, unless there is something to read already. */
void ring_wait(void);

#endif
