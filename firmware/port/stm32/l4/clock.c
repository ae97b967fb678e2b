#include "chip.h"
#include "hse.h"
#include "pins.h"
#include "registers.h"

/* 8 MHz from the ST-LINK's MCO, where the board's solder bridges let it through (UM1724, "OSC clock"). */
#define EXTERNAL_CLOCK HSE_SQUARE_WAVE

#define HSI_HZ 16000000UL
#define PLL_HZ 80000000UL

/* The core comes up on the MSI at 4 MHz; everything else starts from 16 MHz. */
static bool internal_clock_start(void)
{
    RCC_CR |= RCC_CR_HSION;
    if (!chip_wait(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return false;
    }
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW_MASK) | RCC_CFGR_SW_HSI;
    return chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_HSI);
}

/* 8 MHz into the VCO, 160 MHz out (RM0351, "Reset and clock control": 4 to 16 MHz in, 64 to 344 MHz out). */
static bool pll_start(bool external)
{
    const uint32_t source =
        external ? (RCC_PLLCFGR_SRC_HSE | RCC_PLLCFGR_M(1)) : (RCC_PLLCFGR_SRC_HSI | RCC_PLLCFGR_M(2));
    RCC_PLLCFGR = source | RCC_PLLCFGR_N(20) | RCC_PLLCFGR_REN;
    RCC_CR |= RCC_CR_PLLON;
    return chip_wait(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* Four wait states up to 80 MHz in voltage range 1, which reset selects (RM0351, "Read access latency"). */
static bool switch_to_pll(void)
{
    FLASH_ACR = FLASH_ACR_LATENCY(4) | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    if (!chip_wait(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, FLASH_ACR_LATENCY(4))) {
        return false;
    }
    RCC_CFGR |= RCC_CFGR_SW_PLL;
    return chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
}

clock_tree_t chip_start_clock(void)
{
    if (!internal_clock_start()) {
        return (clock_tree_t){.core_Hz = HSI_HZ / 4U, .uart_Hz = HSI_HZ / 4U};
    }
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
    RCC_APB1ENR1 |= RCC_APB1ENR1_USART2;
    (void)RCC_APB1ENR1;
    pins_route_pa2_pa3(7); /* USART2 (datasheet, alternate functions) */
}

/* Oversampling by 16: BRR is the quotient itself (RM0351, USART, "baud rate generation"). */
uint32_t chip_uart_divider(uint32_t uart_Hz, uint32_t baud)
{
    return (uart_Hz + baud / 2U) / baud;
}
