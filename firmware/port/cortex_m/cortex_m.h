/* Registers of the core that every Cortex-M4 and M7 has: PM0214 (Cortex-M4 programming manual) 4.3 to 4.6, PM0253
 * (Cortex-M7); DWT and DEMCR: Armv7-M Architecture Reference Manual C1.6 and C1.8. */
#ifndef EISHIL_PORT_CORTEX_M_H
#define EISHIL_PORT_CORTEX_M_H

#include <stdint.h>

#ifndef REGISTER /* a test puts memory of its own in their place */
#define REGISTER(address) (*(volatile uint32_t *)(address))
#endif
#define BIT(n) (1UL << (n))

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
