#include "port.h"

const char port_board[PORT_BOARD_BYTES] = "nucleo_h743zi";
