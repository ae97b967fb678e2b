/* Every wait is bounded: an oscillator that is not there, or an emulator without one, costs a fall-back, not a hang. */
#include "clock.h"

#include <stdbool.h>

#include "registers.h"

#define HSI_HZ 16000000UL
#define PLL_HZ 180000000UL
/* At 16 MHz and some ten cycles a turn over 1 ms: the PLL locks within 0.3 ms (DS10693, PLL characteristics), the others sooner. */
#define WAIT_TURNS 2000U

static bool wait_for(volatile const uint32_t *reg, uint32_t mask, uint32_t value)
{
    for (uint32_t turn = 0; turn < WAIT_TURNS; turn++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

/* 8 MHz from the ST-LINK's MCO arrives on OSC_IN of a Nucleo-64 as a square wave: bypass (UM1724 6.7.1). */
static bool external_clock_start(void)
{
    RCC_CR |= RCC_CR_HSEBYP;
    RCC_CR |= RCC_CR_HSEON;
    if (wait_for(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        return true;
    }
    RCC_CR &= ~(RCC_CR_HSEON | RCC_CR_HSEBYP);
    return false;
}

/* 2 MHz into the VCO, 360 MHz out, divided by 2 (RM0390 6.3.2). Q and R are unused and within their limits. */
static void pll_configure(bool external)
{
    const uint32_t source = external ? (RCC_PLLCFGR_SRC_HSE | RCC_PLLCFGR_M(4)) : RCC_PLLCFGR_M(8);
    RCC_PLLCFGR = source | RCC_PLLCFGR_N(180) | RCC_PLLCFGR_Q(8) | RCC_PLLCFGR_R(2);
    RCC_CR |= RCC_CR_PLLON;
}

/* Above 168 MHz the regulator needs its over-drive mode (RM0390 5.1.4 gives this order). */
static bool overdrive_enter(void)
{
    PWR_CR |= PWR_CR_ODEN;
    if (!wait_for(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY)) {
        return false;
    }
    PWR_CR |= PWR_CR_ODSWEN;
    return wait_for(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY);
}

/* Five wait states above 150 MHz at 2.7 to 3.6 V (RM0390 3.4.1); APB1 at most 45 MHz, APB2 at most 90 MHz. */
static bool switch_to_pll(void)
{
    FLASH_ACR = FLASH_ACR_LATENCY(5) | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    if (!wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, FLASH_ACR_LATENCY(5))) {
        return false;
    }
    RCC_CFGR |= RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2;
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW_MASK) | RCC_CFGR_SW_PLL;
    return wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
}

/* Back to what reset gives: HSI on every bus. The flash keeps its wait states, which does no harm. */
static void fall_back(void)
{
    RCC_CFGR &= ~RCC_CFGR_SW_MASK;
    (void)wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, 0);
    RCC_CFGR = 0;
    PWR_CR &= ~(PWR_CR_ODSWEN | PWR_CR_ODEN);
    RCC_CR &= ~(RCC_CR_PLLON | RCC_CR_HSEON | RCC_CR_HSEBYP);
}

clock_tree_t clock_init(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    (void)RCC_APB1ENR;
    PWR_CR |= PWR_CR_VOS_SCALE_1;
    pll_configure(external_clock_start());
    if (overdrive_enter() && wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY) && switch_to_pll()) {
        return (clock_tree_t){.core_Hz = PLL_HZ, .apb1_Hz = PLL_HZ / 4U};
    }
    fall_back();
    return (clock_tree_t){.core_Hz = HSI_HZ, .apb1_Hz = HSI_HZ};
}
