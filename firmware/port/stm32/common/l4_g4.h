/* Registers that the L4 and the G4 have alike: RM0351 (STM32L476) and RM0440 (STM32G474), in the chapters that are
 * named. */
#ifndef EISHIL_PORT_STM32_L4_G4_H
#define EISHIL_PORT_STM32_L4_G4_H

#include "cortex_m.h"

/* "Reset and clock control" */
#define RCC_CR               REGISTER(0x40021000UL)
#define RCC_CR_PLLON         BIT(24)
#define RCC_CR_PLLRDY        BIT(25)
#define RCC_CFGR             REGISTER(0x40021008UL)
#define RCC_CFGR_SW_MASK     0x3UL
#define RCC_CFGR_SW_HSI      0x1UL
#define RCC_CFGR_SW_PLL      0x3UL
#define RCC_CFGR_SWS_MASK    0xCUL
#define RCC_CFGR_SWS_HSI     0x4UL
#define RCC_CFGR_SWS_PLL     0xCUL
#define RCC_PLLCFGR          REGISTER(0x4002100CUL)
#define RCC_PLLCFGR_SRC_HSI  0x2UL
#define RCC_PLLCFGR_SRC_HSE  0x3UL
#define RCC_PLLCFGR_M(m)     (((uint32_t)(m) - 1U) << 4) /* three bits on the L4, four on the G4 */
#define RCC_PLLCFGR_N(n)     ((uint32_t)(n) << 8)
#define RCC_PLLCFGR_REN      BIT(24) /* output R, divided by 2: the system clock */
#define RCC_AHB2ENR          REGISTER(0x4002104CUL)
#define RCC_AHB2ENR_GPIOA    BIT(0)
#define RCC_APB1ENR1         REGISTER(0x40021058UL)
#define RCC_CSR              REGISTER(0x40021094UL)
#define RCC_CSR_LSION        BIT(0)
#define RCC_CSR_LSIRDY       BIT(1)
#define RESET_FLAGS          RCC_CSR
#define RESET_FLAGS_REMOVE   BIT(23)
#define RESET_FLAGS_POWER_ON BIT(27) /* BORRSTF: set at power-on too */
#define RESET_FLAGS_WATCHDOG BIT(29) /* IWDGRSTF */

/* "Embedded Flash memory" */
#define FLASH_ACR            REGISTER(0x40022000UL)
#define FLASH_ACR_LATENCY(n) ((uint32_t)(n))
#define FLASH_ACR_PRFTEN     BIT(8)
#define FLASH_ACR_ICEN       BIT(9)
#define FLASH_ACR_DCEN       BIT(10)

/* "General-purpose I/Os", port A */
#define GPIOA_MODER REGISTER(0x48000000UL)
#define GPIOA_PUPDR REGISTER(0x4800000CUL)
#define GPIOA_AFRL  REGISTER(0x48000020UL)

/* "General-purpose timers"; "Independent watchdog"; "Debug support", APB1 freeze register 1 */
#define TIM2_CLOCK          RCC_APB1ENR1
#define TIM2_CLOCK_ENABLE   BIT(0)
#define IWDG_BASE           0x40003000UL
#define DEBUG_CONTROL       REGISTER(0xE0042004UL) /* DBGMCU_CR */
#define DEBUG_CONTROL_SLEEP BIT(0)
#define DEBUG_FREEZE        REGISTER(0xE0042008UL)
#define DEBUG_FREEZE_IWDG   BIT(12)

#endif
