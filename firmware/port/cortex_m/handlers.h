/* Interrupt handlers that the vector table in startup.c names; a port defines them. UART_IRQ and LAST_IRQ are in the
 * port's registers.h. */
#ifndef EISHIL_PORT_CORTEX_M_HANDLERS_H
#define EISHIL_PORT_CORTEX_M_HANDLERS_H

void systick_handler(void);
void uart_handler(void);

#endif
