/* The second UART of Arm's CMSDK on an MPS2+ board with the AN500 image (Cortex-M7): Arm DDI 0479, "APB UART", and DAI 0500. */
#ifndef EISHIL_PORT_MPS2_REGISTERS_H
#define EISHIL_PORT_MPS2_REGISTERS_H

#include "cortex_m.h"

#define LAST_IRQ 31

#define UART_DATA          REGISTER(0x40005000UL)
#define UART_STATE         REGISTER(0x40005004UL)
#define UART_STATE_TX_FULL BIT(0)
#define UART_STATE_RX_FULL BIT(1)
#define UART_STATE_RX_LOST BIT(3)
#define UART_CTRL          REGISTER(0x40005008UL)
#define UART_CTRL_TX       BIT(0)
#define UART_CTRL_RX       BIT(1)
#define UART_CTRL_RX_IRQ   BIT(3)
#define UART_INTSTATUS     REGISTER(0x4000500CUL)
#define UART_INTSTATUS_RX  BIT(1)
#define UART_BAUDDIV       REGISTER(0x40005010UL)
#define UART_BAUDDIV_MIN   16U
#define UART_IRQ           2U

#endif
