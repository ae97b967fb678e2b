/* What survives a reset of the core: boot count and last fault, in RAM that nobody clears. */
#ifndef EISHIL_PORT_CORTEX_M_HISTORY_H
#define EISHIL_PORT_CORTEX_M_HISTORY_H

#include "port.h"

/* After a power-on, or with a damaged record, everything is zero; after a reset boot_count is one more. */
void history_init(void);

/* Records the fault and resets the core. */
_Noreturn void history_fail(port_fault_kind_t fault, uint32_t address);

#endif
