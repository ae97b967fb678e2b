#include "clock_plan.h"
#include "port.h"

const char port_board[PORT_BOARD_BYTES] = "nucleo_f446re";

/* Five wait states above 150 MHz at 2.7 to 3.6 V (RM0390 3.4.1); over-drive above 168 MHz (RM0390 5.1.4). */
const clock_plan_t clock_plan = {.core_MHz = 180, .flash_wait_states = 5, .overdrive = true};
