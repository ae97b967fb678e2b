/* Reception by interrupt into a ring. Transmission polls: there is nothing else to do before the reply is out, and no
 * interrupt of ours can then fall into a step. */
#include "uart.h"

#include "chip.h"
#include "handlers.h"
#include "registers.h"
#include "ring.h"

/* At 400 MHz some four times what one byte takes at 115200 baud. */
#define RECEIVE_TURNS  64U
#define TRANSMIT_TURNS 50000U
/* Bytes in a row, each ready at once: a wire takes two, the register's and the shift register's. */
#define PROMPT_BYTES 8U

#define UART_STATUS_TC BIT(6) /* the same in every family */
#define BAUD_MIN       9600U
#define DIVIDER_MIN    32U /* rounding it then costs at most 1.6 % */

static volatile uint32_t interrupts;

void uart_init(uint32_t clock_Hz, uint32_t baud)
{
    chip_route_uart();
    UART_BRR = chip_uart_divider(clock_Hz, baud);
    UART_CR1 = UART_CR1_UE | UART_CR1_TE | UART_CR1_RE | UART_CR1_RXNEIE;
    NVIC_ISER(UART_IRQ / 32U) = BIT(UART_IRQ % 32U);
}

bool uart_has_baud(uint32_t clock_Hz, uint32_t baud)
{
    return baud >= BAUD_MIN && chip_uart_divider(clock_Hz, baud) >= DIVIDER_MIN;
}

/* The divider may only be written while the UART is off (G4, H7, L4). */
void uart_set_baud(uint32_t clock_Hz, uint32_t baud)
{
    for (uint32_t turn = 0; turn < TRANSMIT_TURNS && (UART_STATUS & UART_STATUS_TC) == 0U; turn++) {
    }
    const uint32_t control = UART_CR1;
    UART_CR1 = control & ~UART_CR1_UE;
    UART_BRR = chip_uart_divider(clock_Hz, baud);
    UART_CR1 = control;
}

uint32_t uart_interrupts(void)
{
    return interrupts;
}

/* QEMU's UART may have the next byte ready, without another interrupt, as soon as one is taken. What is left after so
 * many turns asks for the next interrupt. */
void uart_handler(void)
{
    interrupts++;
    for (uint32_t turn = 0; turn < RECEIVE_TURNS; turn++) {
        const uint32_t status = UART_STATUS;
        if ((status & (UART_STATUS_RXNE | UART_STATUS_ORE)) == 0U) {
            return;
        }
        const uint8_t byte = (uint8_t)UART_RECEIVED;
        if ((status & UART_STATUS_ORE) != 0U) {
            UART_CLEAR_OVERRUN();
            ring_count_overrun();
        }
        if ((status & UART_STATUS_RXNE) != 0U) {
            ring_push(byte);
        }
    }
}

/* Turns until the next byte may be written; TRANSMIT_TURNS when that was too many. */
static uint32_t wait_for_transmitter(void)
{
    uint32_t turn = 0;
    while (turn < TRANSMIT_TURNS && (UART_STATUS & UART_STATUS_TXE) == 0U) {
        turn++;
    }
    return turn;
}

/* An emulator's transmitter is ready at all times, but every look at it stops the emulated core for longer than a byte
 * takes. One that has never made a burst wait, whose second byte would on a wire, is not looked at any more. */
void uart_write(const uint8_t *data, size_t length)
{
    uint32_t prompt = 0;
    for (size_t i = 0; i < length; i++) {
        const uint32_t turns = prompt < PROMPT_BYTES ? wait_for_transmitter() : 0U;
        if (turns == TRANSMIT_TURNS) {
            return;
        }
        prompt = turns == 0U ? prompt + 1U : 0U;
        UART_TRANSMIT = data[i];
    }
}
