#include "reset_cause.h"

#include "registers.h"

reset_cause_t reset_cause_take(void)
{
    const uint32_t flags = RESET_FLAGS;
    RESET_FLAGS |= RESET_FLAGS_REMOVE;
    return (reset_cause_t){
        .power_on = (flags & RESET_FLAGS_POWER_ON) != 0U,
        .watchdog = (flags & RESET_FLAGS_WATCHDOG) != 0U,
    };
}
