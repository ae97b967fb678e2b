/* What a board's clock runs at; the file named after the board defines it. */
#ifndef EISHIL_PORT_STM32_CLOCK_PLAN_H
#define EISHIL_PORT_STM32_CLOCK_PLAN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t core_MHz; /* half of the VCO: 50 to 216 */
    uint32_t flash_wait_states;
    bool overdrive; /* of the regulator */
} clock_plan_t;

extern const clock_plan_t clock_plan;

#endif
