#include "chip.h"
#include "hse.h"
#include "pins.h"
#include "registers.h"

/* The 24 MHz crystal X3 of the board (UM2505, "HSE clock"). */
#define EXTERNAL_CLOCK HSE_CRYSTAL

#define HSI_HZ       16000000UL
#define PLL_HZ       170000000UL
#define SETTLE_TURNS 200U /* over 1 us at 85 MHz */

/* 4 MHz into the VCO, 340 MHz out (RM0440, "Reset and clock control": 2.66 to 16 MHz in, 96 to 344 MHz out). */
static bool pll_start(bool external)
{
    const uint32_t source =
        external ? (RCC_PLLCFGR_SRC_HSE | RCC_PLLCFGR_M(6)) : (RCC_PLLCFGR_SRC_HSI | RCC_PLLCFGR_M(4));
    RCC_PLLCFGR = source | RCC_PLLCFGR_N(85) | RCC_PLLCFGR_REN;
    RCC_CR |= RCC_CR_PLLON;
    return chip_wait(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* Above 150 MHz range 1 of the regulator needs its boost mode, and the bus half the speed for a microsecond on the way
 * up (RM0440, "Power control", dynamic voltage scaling). Four wait states up to 170 MHz in boost mode ("Read access
 * latency"). */
static bool switch_to_pll(void)
{
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWR;
    (void)RCC_APB1ENR1;
    PWR_CR5 &= ~PWR_CR5_R1MODE;
    FLASH_ACR = FLASH_ACR_LATENCY(4) | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    if (!chip_wait(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, FLASH_ACR_LATENCY(4))) {
        return false;
    }
    RCC_CFGR |= RCC_CFGR_HPRE_DIV2;
    RCC_CFGR |= RCC_CFGR_SW_PLL;
    const bool switched = chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
    for (volatile uint32_t turn = 0; turn < SETTLE_TURNS; turn++) {
    }
    RCC_CFGR &= ~RCC_CFGR_HPRE_DIV2;
    return switched;
}

/* The core comes up on the HSI at 16 MHz. */
clock_tree_t chip_start_clock(void)
{
    if (pll_start(hse_start(EXTERNAL_CLOCK)) && switch_to_pll()) {
        return (clock_tree_t){.core_Hz = PLL_HZ, .uart_Hz = PLL_HZ};
    }
    RCC_CFGR = RCC_CFGR_SW_HSI;
    return (clock_tree_t){.core_Hz = HSI_HZ, .uart_Hz = HSI_HZ};
}

void chip_start_core(void)
{
}

void chip_route_uart(void)
{
    RCC_AHB2ENR |= RCC_AHB2ENR_GPIOA;
    RCC_APB1ENR2 |= RCC_APB1ENR2_LPUART1;
    (void)RCC_APB1ENR2;
    pins_route_pa2_pa3(12); /* LPUART1 (datasheet, alternate functions) */
}

/* An LPUART divides 256 times its clock (RM0440, LPUART, "baud rate generation"). */
uint32_t chip_uart_divider(uint32_t uart_Hz, uint32_t baud)
{
    return (uint32_t)((256ULL * uart_Hz + baud / 2U) / baud);
}
