#include "port.h"

const char port_board[PORT_BOARD_BYTES] = "nucleo_l476rg";
