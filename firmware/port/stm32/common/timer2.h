/* TIM2: the same block at the same place in every family (reference manuals, "General-purpose timers"). */
#ifndef EISHIL_PORT_STM32_TIMER2_H
#define EISHIL_PORT_STM32_TIMER2_H

#include "cortex_m.h"

#define TIM2_CR1    REGISTER(0x40000000UL)
#define TIM_CR1_CEN BIT(0)
#define TIM2_EGR    REGISTER(0x40000014UL)
#define TIM_EGR_UG  BIT(0)
#define TIM2_CNT    REGISTER(0x40000024UL)
#define TIM2_PSC    REGISTER(0x40000028UL)
#define TIM2_ARR    REGISTER(0x4000002CUL)

#endif
