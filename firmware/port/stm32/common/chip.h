/* What differs between the families: the folders beside this one define it, each with its own registers.h. */
#ifndef EISHIL_PORT_STM32_CHIP_H
#define EISHIL_PORT_STM32_CHIP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t core_Hz;
    uint32_t uart_Hz;
} clock_tree_t;

/* Caches and access to the cycle counter, where the core does not come up with them. */
void chip_start_core(void);

/* The board's full speed, else what reset gives. Every wait inside is bounded: an oscillator that is not there, or an
 * emulator without one, costs a fall-back, not a hang. */
clock_tree_t chip_start_clock(void);

/* Clocks and pins of the serial line to the ST-LINK. */
void chip_route_uart(void);

/* Divider of the line's clock; it is near enough for 1 % where the clock is 4 MHz or more. */
uint32_t chip_uart_divider(uint32_t uart_Hz, uint32_t baud);

/* Waits until the masked bits have the value; false when they do not in time. */
bool chip_wait(volatile const uint32_t *reg, uint32_t mask, uint32_t value);

#endif
