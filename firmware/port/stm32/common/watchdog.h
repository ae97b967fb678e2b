/* The independent watchdog, the same block in every family (reference manuals, "Independent watchdog"). The including
 * file says where: IWDG_BASE. */
#ifndef EISHIL_PORT_STM32_WATCHDOG_H
#define EISHIL_PORT_STM32_WATCHDOG_H

#include "cortex_m.h"

#define IWDG_KR        REGISTER(IWDG_BASE + 0x00UL)
#define IWDG_KR_FEED   0xAAAAUL
#define IWDG_KR_UNLOCK 0x5555UL
#define IWDG_KR_START  0xCCCCUL
#define IWDG_PR        REGISTER(IWDG_BASE + 0x04UL)
#define IWDG_PR_DIV64  4UL
#define IWDG_RLR       REGISTER(IWDG_BASE + 0x08UL)

#endif
