/* The pins that lead to the ST-LINK on every Nucleo-64. */
#ifndef EISHIL_PORT_STM32_PINS_H
#define EISHIL_PORT_STM32_PINS_H

#include "registers.h"

static inline void pins_route_pa2_pa3(uint32_t alternate_function)
{
    GPIOA_MODER = (GPIOA_MODER & ~(0xFUL << 4)) | (0xAUL << 4); /* alternate function */
    GPIOA_AFRL = (GPIOA_AFRL & ~(0xFFUL << 8)) | alternate_function << 12 | alternate_function << 8;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3UL << 6)) | (1UL << 6); /* PA3 pulled up: silence without a cable */
}

#endif
