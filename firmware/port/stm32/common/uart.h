/* The line to the ST-LINK's virtual serial port. */
#ifndef EISHIL_PORT_STM32_UART_H
#define EISHIL_PORT_STM32_UART_H

#include <stddef.h>
#include <stdint.h>

void uart_init(uint32_t clock_Hz, uint32_t baud);
void uart_write(const uint8_t *data, size_t length);

#endif
