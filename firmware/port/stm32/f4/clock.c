#include "clock_plan.h"

#include "chip.h"
#include "hse.h"
#include "pins.h"
#include "registers.h"

/* 8 MHz from the ST-LINK's MCO, on OSC_IN of a Nucleo-64 (UM1724 6.7.1). */
#define EXTERNAL_CLOCK HSE_SQUARE_WAVE

#define HSI_HZ 16000000UL

/* 2 MHz into the VCO, divided by 2 behind it (RM0390 6.3.2). Q and R are unused and within their limits. */
static void pll_configure(bool external)
{
    const uint32_t source = external ? (RCC_PLLCFGR_SRC_HSE | RCC_PLLCFGR_M(4)) : RCC_PLLCFGR_M(8);
    RCC_PLLCFGR = source | RCC_PLLCFGR_N(clock_plan.core_MHz) | RCC_PLLCFGR_Q(8) | RCC_PLLCFGR_R(2);
    RCC_CR |= RCC_CR_PLLON;
}

/* Above 168 MHz the regulator needs its over-drive mode (RM0390 5.1.4 gives this order). */
static bool overdrive_enter(void)
{
    if (!clock_plan.overdrive) {
        return true;
    }
    PWR_CR |= PWR_CR_ODEN;
    if (!chip_wait(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY)) {
        return false;
    }
    PWR_CR |= PWR_CR_ODSWEN;
    return chip_wait(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY);
}

/* APB1 runs at a quarter, APB2 at half: 45 and 90 MHz are the F446's limits, 50 and 100 MHz the F411's. */
static bool switch_to_pll(void)
{
    const uint32_t latency = FLASH_ACR_LATENCY(clock_plan.flash_wait_states);
    FLASH_ACR = latency | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    if (!chip_wait(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, latency)) {
        return false;
    }
    RCC_CFGR |= RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2;
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW_MASK) | RCC_CFGR_SW_PLL;
    return chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
}

/* Back to what reset gives: HSI on every bus. The flash keeps its wait states, which does no harm. */
static void fall_back(void)
{
    RCC_CFGR &= ~RCC_CFGR_SW_MASK;
    (void)chip_wait(&RCC_CFGR, RCC_CFGR_SWS_MASK, 0);
    RCC_CFGR = 0;
    PWR_CR &= ~(PWR_CR_ODSWEN | PWR_CR_ODEN);
    RCC_CR &= ~(RCC_CR_PLLON | RCC_CR_HSEON | RCC_CR_HSEBYP);
}

clock_tree_t chip_start_clock(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    (void)RCC_APB1ENR;
    PWR_CR |= PWR_CR_VOS_SCALE_1;
    pll_configure(hse_start(EXTERNAL_CLOCK));
    if (overdrive_enter() && chip_wait(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY) && switch_to_pll()) {
        const uint32_t core_Hz = clock_plan.core_MHz * 1000000U;
        return (clock_tree_t){.core_Hz = core_Hz, .uart_Hz = core_Hz / 4U};
    }
    fall_back();
    return (clock_tree_t){.core_Hz = HSI_HZ, .uart_Hz = HSI_HZ};
}

void chip_start_core(void)
{
}

void chip_route_uart(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA;
    RCC_APB1ENR |= RCC_APB1ENR_USART2;
    (void)RCC_APB1ENR;
    pins_route_pa2_pa3(7); /* USART2 (datasheets, alternate functions) */
}

/* Oversampling by 16: BRR is the quotient itself (RM0390 25.4.4). */
uint32_t chip_uart_divider(uint32_t uart_Hz, uint32_t baud)
{
    return (uart_Hz + baud / 2U) / baud;
}
