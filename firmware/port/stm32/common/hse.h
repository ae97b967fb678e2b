/* The clock that comes from outside: in every family the same bits of RCC_CR (reference manuals, "Reset and clock
 * control"). */
#ifndef EISHIL_PORT_STM32_HSE_H
#define EISHIL_PORT_STM32_HSE_H

#include "chip.h"
#include "registers.h"

#define RCC_CR_HSEON  BIT(16)
#define RCC_CR_HSERDY BIT(17)
#define RCC_CR_HSEBYP BIT(18)

#define HSE_CRYSTAL     0U
#define HSE_SQUARE_WAVE RCC_CR_HSEBYP /* such as the ST-LINK's MCO: the oscillator is bypassed */

/* Whether it is there; where it is not it is off again. */
static inline bool hse_start(uint32_t kind)
{
    if (kind != HSE_CRYSTAL) {
        RCC_CR |= kind;
    }
    RCC_CR |= RCC_CR_HSEON;
    if (chip_wait(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        return true;
    }
    RCC_CR &= ~(RCC_CR_HSEON | kind);
    return false;
}

#endif
