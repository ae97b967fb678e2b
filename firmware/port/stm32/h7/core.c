/* Caches and cycle counter of a Cortex-M7. All variables live in the DTCM, which is not cached: the data cache serves
 * constants in the flash, and there is nothing to clean before a reset. */
#include "chip.h"
#include "registers.h"

static void barrier(void)
{
    __asm volatile("dsb\n isb" ::: "memory");
}

/* The cache comes up with whatever its RAM holds. Ways and sets of the level 1 data cache are those that CCSIDR tells;
 * lines are 32 bytes (PM0253, "Cache maintenance operations"). */
static void data_cache_invalidate(void)
{
    SCB_CSSELR = 0;
    barrier();
    const uint32_t size = SCB_CCSIDR;
    const uint32_t last_set = size >> 13 & 0x7FFFU;
    const uint32_t last_way = size >> 3 & 0x3FFU;
    for (uint32_t set = 0; set <= last_set; set++) {
        for (uint32_t way = 0; way <= last_way; way++) {
            SCB_DCISW = way << 30 | set << 5;
        }
    }
}

void chip_start_core(void)
{
    SCB_ICIALLU = 0;
    data_cache_invalidate();
    barrier();
    SCB_CCR |= SCB_CCR_IC | SCB_CCR_DC;
    barrier();
    SCB_DEMCR |= SCB_DEMCR_TRCENA;
    DWT_LAR = DWT_LAR_ENTER;
}
