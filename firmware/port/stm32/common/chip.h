/* Clock tree of the Nucleo-F446RE. */
#ifndef EISHIL_PORT_STM32_CLOCK_H
#define EISHIL_PORT_STM32_CLOCK_H

#include <stdint.h>

typedef struct {
    uint32_t core_Hz;
    uint32_t apb1_Hz; /* USART2 */
} clock_tree_t;

/* 180 MHz from the ST-LINK's 8 MHz on OSC_IN, else from the internal 16 MHz, else 16 MHz without the PLL. */
clock_tree_t clock_init(void);

#endif
