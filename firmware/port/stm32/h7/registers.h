/* The registers of the STM32H743 that this port touches, and no others: RM0433, in the chapters that are named; the
 * core's caches: PM0253 (Cortex-M7 programming manual), "Cache maintenance operations". */
#ifndef EISHIL_PORT_STM32_REGISTERS_H
#define EISHIL_PORT_STM32_REGISTERS_H

#include "cortex_m.h"
#include "timer2.h"
#include "uart_isr.h"
#include "watchdog.h"

#define LAST_IRQ 149 /* RM0433, "Nested vectored interrupt controllers", vector table */

/* "Reset and clock control" */
#define RCC_CR                 REGISTER(0x58024400UL)
#define RCC_CR_PLL1ON          BIT(24)
#define RCC_CR_PLL1RDY         BIT(25)
#define RCC_CFGR               REGISTER(0x58024410UL)
#define RCC_CFGR_SW_PLL1       0x3UL
#define RCC_CFGR_SWS_MASK      (7UL << 3)
#define RCC_CFGR_SWS_PLL1      (3UL << 3)
#define RCC_D1CFGR             REGISTER(0x58024418UL)
#define RCC_D1CFGR_HPRE_DIV2   8UL
#define RCC_D1CFGR_D1PPRE_DIV2 (4UL << 4)
#define RCC_D2CFGR             REGISTER(0x5802441CUL)
#define RCC_D2CFGR_PPRE1_DIV2  (4UL << 4)
#define RCC_D2CFGR_PPRE2_DIV2  (4UL << 8)
#define RCC_D3CFGR             REGISTER(0x58024420UL)
#define RCC_D3CFGR_PPRE_DIV2   (4UL << 4)
#define RCC_PLLCKSELR          REGISTER(0x58024428UL)
#define RCC_PLLCKSELR_HSI      0UL
#define RCC_PLLCKSELR_HSE      2UL
#define RCC_PLLCKSELR_M1(m)    ((uint32_t)(m) << 4)
#define RCC_PLLCFGR            REGISTER(0x5802442CUL)
#define RCC_PLLCFGR_RGE_2_4MHZ (1UL << 2)
#define RCC_PLLCFGR_P1EN       BIT(16)
#define RCC_PLL1DIVR           REGISTER(0x58024430UL)
#define RCC_PLL1DIVR_N(n)      ((uint32_t)(n) - 1U)
#define RCC_PLL1DIVR_P(p)      (((uint32_t)(p) - 1U) << 9)
#define RCC_CSR                REGISTER(0x58024474UL)
#define RCC_CSR_LSION          BIT(0)
#define RCC_CSR_LSIRDY         BIT(1)
#define RESET_FLAGS            REGISTER(0x580244D0UL) /* RCC_RSR */
#define RESET_FLAGS_REMOVE     BIT(16)
#define RESET_FLAGS_POWER_ON   (BIT(21) | BIT(23)) /* BORRSTF, PORRSTF */
#define RESET_FLAGS_WATCHDOG   BIT(26)             /* IWDG1RSTF */
#define RCC_AHB4ENR            REGISTER(0x580244E0UL)
#define RCC_AHB4ENR_GPIOD      BIT(3)
#define RCC_APB1LENR           REGISTER(0x580244E8UL)
#define RCC_APB1LENR_USART3    BIT(18)

/* "Power control" */
#define PWR_CR3              REGISTER(0x5802480CUL)
#define PWR_CR3_SUPPLY_MASK  0x7UL
#define PWR_CR3_SUPPLY_LDO   BIT(1)
#define PWR_CSR1             REGISTER(0x58024804UL)
#define PWR_CSR1_ACTVOSRDY   BIT(13)
#define PWR_D3CR             REGISTER(0x58024818UL)
#define PWR_D3CR_VOSRDY      BIT(13)
#define PWR_D3CR_VOS_SCALE_1 (3UL << 14)

/* "Embedded Flash memory" */
#define FLASH_ACR               REGISTER(0x52002000UL)
#define FLASH_ACR_MASK          0x3FUL
#define FLASH_ACR_LATENCY(n)    ((uint32_t)(n))
#define FLASH_ACR_WRHIGHFREQ(n) ((uint32_t)(n) << 4)

/* "General-purpose I/Os", port D */
#define GPIOD_MODER REGISTER(0x58020C00UL)
#define GPIOD_PUPDR REGISTER(0x58020C0CUL)
#define GPIOD_AFRH  REGISTER(0x58020C24UL)

/* "Universal synchronous/asynchronous receiver transmitter", USART3 */
#define UART_BASE 0x40004800UL
#define UART_IRQ  39U

/* "General-purpose timers (TIM2/TIM3/TIM4/TIM5)" */
#define TIM2_CLOCK        RCC_APB1LENR
#define TIM2_CLOCK_ENABLE BIT(0)

/* "Independent watchdog"; "Debug infrastructure", DBGMCU_APB4FZ1 */
#define IWDG_BASE           0x58004800UL
#define DEBUG_CONTROL       REGISTER(0x5C001004UL) /* DBGMCU_CR */
#define DEBUG_CONTROL_SLEEP BIT(0)                 /* DBGSLEEP_D1 */
#define DEBUG_FREEZE        REGISTER(0x5C001054UL)
#define DEBUG_FREEZE_IWDG   BIT(18)

/* Caches and the lock of the DWT */
#define SCB_CCR       REGISTER(0xE000ED14UL)
#define SCB_CCR_DC    BIT(16)
#define SCB_CCR_IC    BIT(17)
#define SCB_CCSIDR    REGISTER(0xE000ED80UL)
#define SCB_CSSELR    REGISTER(0xE000ED84UL)
#define SCB_ICIALLU   REGISTER(0xE000EF50UL)
#define SCB_DCISW     REGISTER(0xE000EF60UL)
#define DWT_LAR       REGISTER(0xE0001FB0UL)
#define DWT_LAR_ENTER 0xC5ACCE55UL

#endif
