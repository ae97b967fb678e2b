/* USART2 on PA2 and PA3: the ST-LINK's virtual serial port on a Nucleo-64 (UM1724 6.8). */
#ifndef EISHIL_PORT_STM32_UART_H
#define EISHIL_PORT_STM32_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void uart_init(uint32_t clock_Hz, uint32_t baud);
bool uart_is_empty(void);
bool uart_read(uint8_t *byte);
void uart_write(const uint8_t *data, size_t length);
uint32_t uart_overruns(void);

#endif
