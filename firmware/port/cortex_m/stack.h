/* The painted stack: how deep it ever was. */
#ifndef EISHIL_PORT_CORTEX_M_STACK_H
#define EISHIL_PORT_CORTEX_M_STACK_H

#include "port.h"

/* Paints what lies below the caller; early in port_init. */
void stack_paint(void);

#endif
