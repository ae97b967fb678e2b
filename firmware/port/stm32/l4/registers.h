/* The registers of the STM32L476 that this port touches, and no others: RM0351, in the chapters that are named. */
#ifndef EISHIL_PORT_STM32_REGISTERS_H
#define EISHIL_PORT_STM32_REGISTERS_H

#include "cortex_m.h"
#include "l4_g4.h"
#include "timer2.h"
#include "uart_isr.h"
#include "watchdog.h"

#define LAST_IRQ 81 /* RM0351, "Nested vectored interrupt controller", vector table */

/* "Reset and clock control" */
#define RCC_CR_HSION        BIT(8)
#define RCC_CR_HSIRDY       BIT(10)
#define RCC_APB1ENR1_USART2 BIT(17)

/* "Embedded Flash memory" */
#define FLASH_ACR_LATENCY_MASK 0x7UL

/* "Universal synchronous/asynchronous receiver transmitter", USART2 */
#define UART_BASE 0x40004400UL
#define UART_IRQ  38U

#endif
