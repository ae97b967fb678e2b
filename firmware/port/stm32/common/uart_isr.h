/* The serial line of the families after the F4: its status is ISR and its data have a register for each direction
 * (reference manuals, "Universal synchronous/asynchronous receiver transmitter", and the low-power one). The including
 * file says where: UART_BASE. */
#ifndef EISHIL_PORT_STM32_UART_ISR_H
#define EISHIL_PORT_STM32_UART_ISR_H

#include "cortex_m.h"

#define UART_CR1             REGISTER(UART_BASE + 0x00UL)
#define UART_CR1_UE          BIT(0)
#define UART_CR1_RE          BIT(2)
#define UART_CR1_TE          BIT(3)
#define UART_CR1_RXNEIE      BIT(5)
#define UART_BRR             REGISTER(UART_BASE + 0x0CUL)
#define UART_STATUS          REGISTER(UART_BASE + 0x1CUL) /* ISR */
#define UART_STATUS_ORE      BIT(3)
#define UART_STATUS_RXNE     BIT(5)
#define UART_STATUS_TXE      BIT(7)
#define UART_ICR             REGISTER(UART_BASE + 0x20UL)
#define UART_CLEAR_OVERRUN() (UART_ICR = BIT(3))
#define UART_RECEIVED        REGISTER(UART_BASE + 0x24UL) /* RDR: reading it clears RXNE */
#define UART_TRANSMIT        REGISTER(UART_BASE + 0x28UL) /* TDR */

#endif
