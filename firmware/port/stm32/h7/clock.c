#include "chip.h"
#include "hse.h"
#include "registers.h"

/* 8 MHz from the ST-LINK's MCO (UM1974, "OSC clock supply"). */
#define EXTERNAL_CLOCK HSE_SQUARE_WAVE

#define HSI_HZ 64000000UL
#define PLL_HZ 400000000UL

/* The supply has to be confirmed once after power-on before the scale can be changed; scale 1 reaches 400 MHz on every
 * revision of the chip, scale 0 and 480 MHz only on revision V (RM0433, "Power control", voltage scaling). */
static bool voltage_raise(void)
{
    PWR_CR3 = (PWR_CR3 & ~PWR_CR3_SUPPLY_MASK) | PWR_CR3_SUPPLY_LDO;
    if (!chip_wait(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY)) {
        return false;
    }
    PWR_D3CR |= PWR_D3CR_VOS_SCALE_1;
    return chip_wait(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
}

/* 8/3 MHz, the middle of an input range, times 300, divided by 2 (RM0433, "Reset and clock control", PLL). */
static bool pll_start(bool external)
{
    RCC_PLLCKSELR = external ? (RCC_PLLCKSELR_HSE | RCC_PLLCKSELR_M1(3)) : (RCC_PLLCKSELR_HSI | RCC_PLLCKSELR_M1(24));
    RCC_PLLCFGR = RCC_PLLCFGR_RGE_2_4MHZ | RCC_PLLCFGR_P1EN;
    RCC_PLL1DIVR = RCC_PLL1DIVR_N(300) | RCC_PLL1DIVR_P(2);
    RCC_CR |= RCC_CR_PLL1ON;
    return chip_wait(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

/* Buses at 200 MHz, peripherals at 100 MHz. Two wait states and a programming delay of 2 for 185 to 210 MHz of the AXI
 * bus at scale 1 (RM0433, "Embedded Flash memory", recommended wait states). */
static bool switch_to_pll(void)
{
    const uint32_t latency = FLASH_ACR_LATENCY(2) | FLASH_ACR_WRHIGHFREQ(2);
    FLASH_ACR = latency;
    if (!chip_wait(&FLASH_ACR, FLASH_ACR_MASK, latency)) {
        return false;
    }
    RCC_D1CFGR = RCC_D1CFGR_HPRE_DIV2 | RCC_D1CFGR_D1PPRE_DIV2;
    RCC_D2CFGR = RCC_D2CFGR_PPRE1_DIV2 | RCC_D2CFGR_PPRE2_DIV2;
    RCC_D3CFGR = RCC_D3CFGR_PPRE_DIV2;
    RCC_CFGR |= RCC_CFGR_SW_PLL1;
    return chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL1);
}

static void fall_back(void)
{
    RCC_CFGR = 0;
    (void)chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, 0);
    RCC_D1CFGR = RCC_D2CFGR = RCC_D3CFGR = 0;
}

/* The core comes up on the HSI at 64 MHz. */
clock_tree_t chip_start_clock(void)
{
    if (voltage_raise() && pll_start(hse_start(EXTERNAL_CLOCK)) && switch_to_pll()) {
        return (clock_tree_t){.core_Hz = PLL_HZ, .uart_Hz = PLL_HZ / 4U};
    }
    fall_back();
    return (clock_tree_t){.core_Hz = HSI_HZ, .uart_Hz = HSI_HZ};
}

void chip_route_uart(void)
{
    RCC_AHB4ENR |= RCC_AHB4ENR_GPIOD;
    RCC_APB1LENR |= RCC_APB1LENR_USART3;
    (void)RCC_APB1LENR;
    GPIOD_MODER = (GPIOD_MODER & ~(0xFUL << 16)) | (0xAUL << 16); /* PD8, PD9: alternate function */
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFUL) | 0x77UL;                 /* AF7: USART3 (datasheet, alternate functions) */
    GPIOD_PUPDR = (GPIOD_PUPDR & ~(3UL << 18)) | (1UL << 18);     /* PD9 pulled up: silence without a cable */
}

/* Oversampling by 16: BRR is the quotient itself (RM0433, USART, "baud rate generation"). */
uint32_t chip_uart_divider(uint32_t uart_Hz, uint32_t baud)
{
    return (uart_Hz + baud / 2U) / baud;
}
