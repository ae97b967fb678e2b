/* The registers of the STM32G474 that this port touches, and no others: RM0440, in the chapters that are named. */
#ifndef EISHIL_PORT_STM32_REGISTERS_H
#define EISHIL_PORT_STM32_REGISTERS_H

#include "cortex_m.h"
#include "l4_g4.h"
#include "timer2.h"
#include "uart_isr.h"
#include "watchdog.h"

#define LAST_IRQ 101 /* RM0440, "Nested vectored interrupt controller", vector table */

/* "Reset and clock control" */
#define RCC_CFGR_HPRE_DIV2   (8UL << 4)
#define RCC_APB1ENR1_PWR     BIT(28)
#define RCC_APB1ENR2         REGISTER(0x4002105CUL)
#define RCC_APB1ENR2_LPUART1 BIT(0)

/* "Power control" */
#define PWR_CR5        REGISTER(0x40007080UL)
#define PWR_CR5_R1MODE BIT(8) /* 0: boost */

/* "Embedded Flash memory" */
#define FLASH_ACR_LATENCY_MASK 0xFUL

/* "Low-power universal asynchronous receiver transmitter", LPUART1 */
#define UART_BASE 0x40008000UL
#define UART_IRQ  91U

#endif
