/* Interrupt handlers that the vector table in startup.c names. */
#ifndef EISHIL_PORT_STM32_HANDLERS_H
#define EISHIL_PORT_STM32_HANDLERS_H

void systick_handler(void);
void usart2_handler(void);

#endif
