/* A machine without a watchdog. */
#include "port.h"

void port_watchdog_feed(void)
{
}
