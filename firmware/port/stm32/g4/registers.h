/* The registers of the STM32G474 that this port touches, and no others: RM0440, in the chapters that are named. */
#ifndef EISHIL_PORT_STM32_REGISTERS_H
#define EISHIL_PORT_STM32_REGISTERS_H

#include "cortex_m.h"

#define LAST_IRQ 101 /* RM0440, "Nested vectored interrupt controller", vector table */

/* "Reset and clock control" */
#define RCC_CR               REGISTER(0x40021000UL)
#define RCC_CR_HSEON         BIT(16)
#define RCC_CR_HSERDY        BIT(17)
#define RCC_CR_PLLON         BIT(24)
#define RCC_CR_PLLRDY        BIT(25)
#define RCC_CFGR             REGISTER(0x40021008UL)
#define RCC_CFGR_SW_MASK     0x3UL
#define RCC_CFGR_SW_HSI      0x1UL
#define RCC_CFGR_SW_PLL      0x3UL
#define RCC_CFGR_SWS_MASK    0xCUL
#define RCC_CFGR_SWS_HSI     0x4UL
#define RCC_CFGR_SWS_PLL     0xCUL
#define RCC_CFGR_HPRE_DIV2   (8UL << 4)
#define RCC_PLLCFGR          REGISTER(0x4002100CUL)
#define RCC_PLLCFGR_SRC_HSI  0x2UL
#define RCC_PLLCFGR_SRC_HSE  0x3UL
#define RCC_PLLCFGR_M(m)     (((uint32_t)(m) - 1U) << 4) /* four bits here, three on an L4 */
#define RCC_PLLCFGR_N(n)     ((uint32_t)(n) << 8)
#define RCC_PLLCFGR_REN      BIT(24) /* output R, divided by 2: the system clock */
#define RCC_AHB2ENR          REGISTER(0x4002104CUL)
#define RCC_AHB2ENR_GPIOA    BIT(0)
#define RCC_APB1ENR1         REGISTER(0x40021058UL)
#define RCC_APB1ENR1_PWR     BIT(28)
#define RCC_APB1ENR2         REGISTER(0x4002105CUL)
#define RCC_APB1ENR2_LPUART1 BIT(0)
#define RCC_CSR              REGISTER(0x40021094UL)
#define RCC_CSR_LSION        BIT(0)
#define RCC_CSR_LSIRDY       BIT(1)
#define RESET_FLAGS          RCC_CSR
#define RESET_FLAGS_REMOVE   BIT(23)
#define RESET_FLAGS_POWER_ON BIT(27) /* BORRSTF: set at power-on too */
#define RESET_FLAGS_WATCHDOG BIT(29) /* IWDGRSTF */

/* "Power control" */
#define PWR_CR5        REGISTER(0x40007080UL)
#define PWR_CR5_R1MODE BIT(8) /* 0: boost */

/* "Embedded Flash memory" */
#define FLASH_ACR              REGISTER(0x40022000UL)
#define FLASH_ACR_LATENCY_MASK 0xFUL
#define FLASH_ACR_LATENCY(n)   ((uint32_t)(n))
#define FLASH_ACR_PRFTEN       BIT(8)
#define FLASH_ACR_ICEN         BIT(9)
#define FLASH_ACR_DCEN         BIT(10)

/* "General-purpose I/Os", port A */
#define GPIOA_MODER REGISTER(0x48000000UL)
#define GPIOA_PUPDR REGISTER(0x4800000CUL)
#define GPIOA_AFRL  REGISTER(0x48000020UL)

/* "Low-power universal asynchronous receiver transmitter", LPUART1 */
#define UART_CR1             REGISTER(0x40008000UL)
#define UART_CR1_UE          BIT(0)
#define UART_CR1_RE          BIT(2)
#define UART_CR1_TE          BIT(3)
#define UART_CR1_RXNEIE      BIT(5)
#define UART_BRR             REGISTER(0x4000800CUL)
#define UART_STATUS          REGISTER(0x4000801CUL) /* ISR */
#define UART_STATUS_ORE      BIT(3)
#define UART_STATUS_RXNE     BIT(5)
#define UART_STATUS_TXE      BIT(7)
#define UART_ICR             REGISTER(0x40008020UL)
#define UART_CLEAR_OVERRUN() (UART_ICR = BIT(3))
#define UART_RECEIVED        REGISTER(0x40008024UL) /* RDR: reading it clears RXNE */
#define UART_TRANSMIT        REGISTER(0x40008028UL) /* TDR */
#define UART_IRQ             91U

/* "General-purpose timers (TIM2/TIM3/TIM4/TIM5)" */
#define TIM2_CLOCK        RCC_APB1ENR1
#define TIM2_CLOCK_ENABLE BIT(0)
#define TIM2_CR1          REGISTER(0x40000000UL)
#define TIM_CR1_CEN       BIT(0)
#define TIM2_EGR          REGISTER(0x40000014UL)
#define TIM_EGR_UG        BIT(0)
#define TIM2_CNT          REGISTER(0x40000024UL)
#define TIM2_PSC          REGISTER(0x40000028UL)
#define TIM2_ARR          REGISTER(0x4000002CUL)

/* "Independent watchdog"; "Debug support", APB1 freeze register 1 */
#define IWDG_KR           REGISTER(0x40003000UL)
#define IWDG_KR_FEED      0xAAAAUL
#define IWDG_KR_UNLOCK    0x5555UL
#define IWDG_KR_START     0xCCCCUL
#define IWDG_PR           REGISTER(0x40003004UL)
#define IWDG_PR_DIV64     4UL
#define IWDG_RLR          REGISTER(0x40003008UL)
#define DEBUG_FREEZE      REGISTER(0xE0042008UL)
#define DEBUG_FREEZE_IWDG BIT(12)

#endif
