#include "chip.h"

/* Some ten cycles a turn: over 5 ms at 16 MHz, over 1 ms at 64 MHz. PLLs lock within 0.3 ms, a crystal starts within
 * 2 ms (datasheets, PLL and HSE oscillator characteristics); crystals are waited for at 16 MHz. */
#define TURNS 8000U

bool chip_wait(volatile const uint32_t *reg, uint32_t mask, uint32_t value)
{
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}
