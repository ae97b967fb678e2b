/* A Cortex-M7 that only QEMU is: its machine mps2-an500, for the proof that the core computes the same there. It has no
 * counter worth the name; instructions are counted from outside (bench/emulation/qemu_plugin). */
#include "port.h"

#include "handlers.h"
#include "history.h"
#include "registers.h"
#include "reset_cause.h"
#include "ring.h"
#include "stack.h"

#define TRANSMIT_TURNS 50000U

static volatile uint32_t interrupts;

const char port_board[PORT_BOARD_BYTES] = "mps2_an500";

/* The board's controller knows no causes: what the record says is all there is. */
reset_cause_t reset_cause_take(void)
{
    return (reset_cause_t){.power_on = false, .watchdog = false};
}

void port_init(void)
{
    stack_paint();
    history_init();
    UART_BAUDDIV = UART_BAUDDIV_MIN;
    UART_CTRL = UART_CTRL_TX | UART_CTRL_RX | UART_CTRL_RX_IRQ;
    NVIC_ISER(UART_IRQ / 32U) = BIT(UART_IRQ % 32U);
}

void uart_handler(void)
{
    interrupts++;
    UART_INTSTATUS = UART_INTSTATUS_RX;
    if ((UART_STATE & UART_STATE_RX_LOST) != 0U) {
        UART_STATE = UART_STATE_RX_LOST;
        ring_count_overrun();
    }
    for (uint32_t turn = 0; turn < PORT_RECEIVE_BYTES && (UART_STATE & UART_STATE_RX_FULL) != 0U; turn++) {
        ring_push((uint8_t)UART_DATA);
    }
}

void systick_handler(void)
{
}

void port_write(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint32_t turn = 0;
        while ((UART_STATE & UART_STATE_TX_FULL) != 0U) {
            turn++;
            if (turn == TRANSMIT_TURNS) {
                return;
            }
        }
        UART_DATA = data[i];
    }
}

uint32_t port_interrupts(void)
{
    return interrupts;
}
