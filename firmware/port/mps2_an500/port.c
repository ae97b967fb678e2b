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
static uint32_t baud = PORT_BAUD; /* remembered, of no effect */

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
    while ((UART_STATE & UART_STATE_RX_FULL) != 0U) {
        ring_push((uint8_t)UART_DATA);
    }
}

void systick_handler(void)
{
}

bool port_read(uint8_t *byte)
{
    return ring_pop(byte);
}

void port_wait(void)
{
    ring_wait();
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

bool port_has_baud(uint32_t baud_Bd)
{
    return baud_Bd != 0U;
}

void port_set_baud(uint32_t baud_Bd)
{
    baud = baud_Bd;
}

uint32_t port_baud(void)
{
    return baud;
}

uint32_t port_interrupts(void)
{
    return interrupts;
}

uint32_t port_overruns(void)
{
    return ring_overruns();
}

port_counter_t port_counter(void)
{
    return PORT_COUNTER_NONE;
}

uint32_t port_count(void)
{
    return 0;
}

uint32_t port_core_clock_Hz(void)
{
    return 0;
}

void port_watchdog_feed(void)
{
}

port_history_t port_history(void)
{
    return history_read();
}

port_stack_t port_stack(void)
{
    return stack_measure();
}
