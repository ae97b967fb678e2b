/* Why the core started. A port defines it. */
#ifndef EISHIL_PORT_CORTEX_M_RESET_CAUSE_H
#define EISHIL_PORT_CORTEX_M_RESET_CAUSE_H

#include <stdbool.h>

typedef struct {
    bool power_on;
    bool watchdog;
} reset_cause_t;

/* Reads the flags and clears them for the next start. */
reset_cause_t reset_cause_take(void);

#endif
