/* The line to the ST-LINK's virtual serial port. */
#ifndef EISHIL_PORT_STM32_UART_H
#define EISHIL_PORT_STM32_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void uart_init(uint32_t clock_Hz, uint32_t baud);
/* Whether a rate comes out within 2 %. */
bool uart_has_baud(uint32_t clock_Hz, uint32_t baud);

/* Waits until all that was written is out. What arrives meanwhile may be lost. */
void uart_set_baud(uint32_t clock_Hz, uint32_t baud);
uint32_t uart_interrupts(void);
void uart_write(const uint8_t *data, size_t length);

#endif
