/* The registers of the STM32F446 and STM32F411 that this port touches, and no others; sections are those of RM0390 rev 6
 * (STM32F446). RM0383 (STM32F411) has the same registers at the same places in its chapters of the same names, without
 * the over-drive bits of PWR. */
#ifndef EISHIL_PORT_STM32_REGISTERS_H
#define EISHIL_PORT_STM32_REGISTERS_H

#include "cortex_m.h"
#include "timer2.h"
#include "watchdog.h"

#define LAST_IRQ 96 /* RM0390 10.1.3; the F411 has fewer (RM0383, "Interrupts and events") */

/* Reset and clock control, RM0390 6.3. A peripheral's clock needs a moment after its bit: read the register back before
 * touching the peripheral (ES0298, "Delay after an RCC peripheral clock enabling"). */
#define RCC_CR              REGISTER(0x40023800UL)
#define RCC_CR_PLLON        BIT(24)
#define RCC_CR_PLLRDY       BIT(25)
#define RCC_PLLCFGR         REGISTER(0x40023804UL)
#define RCC_PLLCFGR_M(m)    ((uint32_t)(m))
#define RCC_PLLCFGR_N(n)    ((uint32_t)(n) << 6)
#define RCC_PLLCFGR_SRC_HSE BIT(22)
#define RCC_PLLCFGR_Q(q)    ((uint32_t)(q) << 24)
#define RCC_PLLCFGR_R(r)    ((uint32_t)(r) << 28)
#define RCC_CFGR            REGISTER(0x40023808UL)
#define RCC_CFGR_SW_MASK    0x3UL
#define RCC_CFGR_SW_PLL     0x2UL
#define RCC_CFGR_SWS_MASK   0xCUL
#define RCC_CFGR_SWS_PLL    0x8UL
#define RCC_CFGR_PPRE1_DIV4 (5UL << 10)
#define RCC_CFGR_PPRE2_DIV2 (4UL << 13)
#define RCC_AHB1ENR         REGISTER(0x40023830UL)
#define RCC_AHB1ENR_GPIOA   BIT(0)
#define RCC_APB1ENR         REGISTER(0x40023840UL)
#define RCC_APB1ENR_USART2  BIT(17)
#define RCC_APB1ENR_PWR     BIT(28)
#define RCC_CSR             REGISTER(0x40023874UL)
#define RCC_CSR_LSION       BIT(0)
#define RCC_CSR_LSIRDY      BIT(1)

/* RCC_CSR once more, as the history of resets sees it. BORRSTF is set at power-on too. */
#define RESET_FLAGS          RCC_CSR
#define RESET_FLAGS_REMOVE   BIT(24)
#define RESET_FLAGS_POWER_ON (BIT(25) | BIT(27)) /* BORRSTF, PORRSTF */
#define RESET_FLAGS_WATCHDOG BIT(29)             /* IWDGRSTF */

/* Power control, RM0390 5.4 */
#define PWR_CR             REGISTER(0x40007000UL)
#define PWR_CR_VOS_SCALE_1 (3UL << 14)
#define PWR_CR_ODEN        BIT(16)
#define PWR_CR_ODSWEN      BIT(17)
#define PWR_CSR            REGISTER(0x40007004UL)
#define PWR_CSR_ODRDY      BIT(16)
#define PWR_CSR_ODSWRDY    BIT(17)

/* Flash interface, RM0390 3.8.1 */
#define FLASH_ACR              REGISTER(0x40023C00UL)
#define FLASH_ACR_LATENCY_MASK 0xFUL
#define FLASH_ACR_LATENCY(n)   ((uint32_t)(n))
#define FLASH_ACR_PRFTEN       BIT(8)
#define FLASH_ACR_ICEN         BIT(9)
#define FLASH_ACR_DCEN         BIT(10)

/* Port A, RM0390 7.4 */
#define GPIOA_MODER REGISTER(0x40020000UL)
#define GPIOA_PUPDR REGISTER(0x4002000CUL)
#define GPIOA_AFRL  REGISTER(0x40020020UL)

/* USART2, RM0390 25.6: reading SR and then DR clears RXNE and ORE (25.6.1) */
#define UART_STATUS          REGISTER(0x40004400UL) /* SR */
#define UART_STATUS_ORE      BIT(3)
#define UART_STATUS_RXNE     BIT(5)
#define UART_STATUS_TXE      BIT(7)
#define UART_RECEIVED        REGISTER(0x40004404UL) /* DR */
#define UART_TRANSMIT        UART_RECEIVED
#define UART_CLEAR_OVERRUN() ((void)0)
#define UART_BRR             REGISTER(0x40004408UL)
#define UART_CR1             REGISTER(0x4000440CUL)
#define UART_CR1_RE          BIT(2)
#define UART_CR1_TE          BIT(3)
#define UART_CR1_RXNEIE      BIT(5)
#define UART_CR1_UE          BIT(13)
#define UART_IRQ             38U

/* TIM2, RM0390 17.4 */
#define TIM2_CLOCK        RCC_APB1ENR
#define TIM2_CLOCK_ENABLE BIT(0)

/* Independent watchdog, RM0390 20.4; debug freeze, RM0390 33.16.4 */
#define IWDG_BASE           0x40003000UL
#define DEBUG_CONTROL       REGISTER(0xE0042004UL) /* DBGMCU_CR */
#define DEBUG_CONTROL_SLEEP BIT(0)
#define DEBUG_FREEZE        REGISTER(0xE0042008UL) /* DBGMCU_APB1_FZ */
#define DEBUG_FREEZE_IWDG   BIT(12)

#endif
