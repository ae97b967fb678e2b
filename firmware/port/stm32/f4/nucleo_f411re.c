#include "clock_plan.h"
#include "port.h"

const char port_board[PORT_BOARD_BYTES] = "nucleo_f411re";

/* Three wait states above 90 MHz at 2.7 to 3.6 V (RM0383, "Embedded Flash memory interface", read access latency); no
 * over-drive: scale 1 of the regulator reaches 100 MHz (RM0383, "Power controller"). */
const clock_plan_t clock_plan = {.core_MHz = 100, .flash_wait_states = 3, .overdrive = false};
