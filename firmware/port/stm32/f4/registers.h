/* The registers of the STM32F446 that this port touches, and no others.
 * RM0390 rev 6 (STM32F446 reference manual) and PM0214 rev 10 (Cortex-M4 programming manual); sections stand beside. */
#ifndef EISHIL_PORT_STM32_REGISTERS_H
#define EISHIL_PORT_STM32_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define BIT(n)            (1UL << (n))

/* Reset and clock control, RM0390 6.3. A peripheral's clock needs a moment after its bit: read the register back before
 * touching the peripheral (ES0298, "Delay after an RCC peripheral clock enabling"). */
#define RCC_CR              REGISTER(0x40023800UL)
#define RCC_CR_HSEON        BIT(16)
#define RCC_CR_HSERDY       BIT(17)
#define RCC_CR_HSEBYP       BIT(18)
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
#define RCC_APB1ENR_TIM2    BIT(0)
#define RCC_APB1ENR_USART2  BIT(17)
#define RCC_APB1ENR_PWR     BIT(28)
#define RCC_CSR             REGISTER(0x40023874UL)
#define RCC_CSR_LSION       BIT(0)
#define RCC_CSR_LSIRDY      BIT(1)
#define RCC_CSR_RMVF        BIT(24)
#define RCC_CSR_BORRSTF     BIT(25)
#define RCC_CSR_PORRSTF     BIT(27)
#define RCC_CSR_IWDGRSTF    BIT(29)

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

/* USART2, RM0390 25.6 */
#define USART2_SR        REGISTER(0x40004400UL)
#define USART_SR_ORE     BIT(3)
#define USART_SR_RXNE    BIT(5)
#define USART_SR_TXE     BIT(7)
#define USART2_DR        REGISTER(0x40004404UL)
#define USART2_BRR       REGISTER(0x40004408UL)
#define USART2_CR1       REGISTER(0x4000440CUL)
#define USART_CR1_RE     BIT(2)
#define USART_CR1_TE     BIT(3)
#define USART_CR1_RXNEIE BIT(5)
#define USART_CR1_UE     BIT(13)
#define USART2_IRQ       38U

/* TIM2, RM0390 17.4 */
#define TIM2_CR1    REGISTER(0x40000000UL)
#define TIM_CR1_CEN BIT(0)
#define TIM2_EGR    REGISTER(0x40000014UL)
#define TIM_EGR_UG  BIT(0)
#define TIM2_CNT    REGISTER(0x40000024UL)
#define TIM2_PSC    REGISTER(0x40000028UL)
#define TIM2_ARR    REGISTER(0x4000002CUL)

/* Independent watchdog, RM0390 20.4; debug freeze, RM0390 33.16.4 */
#define IWDG_KR             REGISTER(0x40003000UL)
#define IWDG_KR_FEED        0xAAAAUL
#define IWDG_KR_UNLOCK      0x5555UL
#define IWDG_KR_START       0xCCCCUL
#define IWDG_PR             REGISTER(0x40003004UL)
#define IWDG_PR_DIV64       4UL
#define IWDG_RLR            REGISTER(0x40003008UL)
#define DBGMCU_APB1_FZ      REGISTER(0xE0042008UL)
#define DBGMCU_APB1_FZ_IWDG BIT(12)

/* Core: SysTick, NVIC and SCB, PM0214 4.3 to 4.6; DWT and DEMCR, Armv7-M Architecture Reference Manual C1.6 and C1.8 */
#define SYSTICK_CTRL            REGISTER(0xE000E010UL)
#define SYSTICK_CTRL_ENABLE     BIT(0)
#define SYSTICK_CTRL_TICKINT    BIT(1)
#define SYSTICK_CTRL_CORE_CLOCK BIT(2)
#define SYSTICK_LOAD            REGISTER(0xE000E014UL)
#define SYSTICK_VAL             REGISTER(0xE000E018UL)
#define NVIC_ISER(n)            REGISTER(0xE000E100UL + 4UL * (n))
#define SCB_VTOR                REGISTER(0xE000ED08UL)
#define SCB_AIRCR               REGISTER(0xE000ED0CUL)
#define SCB_AIRCR_SYSRESETREQ   (0x05FA0000UL | BIT(2))
#define SCB_CPACR               REGISTER(0xE000ED88UL)
#define SCB_CPACR_FPU           (0xFUL << 20)
#define SCB_DEMCR               REGISTER(0xE000EDFCUL)
#define SCB_DEMCR_TRCENA        BIT(24)
#define DWT_CTRL                REGISTER(0xE0001000UL)
#define DWT_CTRL_CYCCNTENA      BIT(0)
#define DWT_CYCCNT              REGISTER(0xE0001004UL)

#endif
