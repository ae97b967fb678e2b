/* Reception by interrupt into a ring: a byte lasts 87 us at 115200 baud, a step of the estimator longer. Transmission
 * polls: there is nothing else to do before the reply is out, and no interrupt of ours can then fall into a step. */
#include "uart.h"

#include "handlers.h"
#include "registers.h"

#define RING_BYTES 1024U /* a power of two, several times the longest request */
/* At 180 MHz some ten times what one byte takes at 115200 baud. */
#define TRANSMIT_TURNS 50000U

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t head; /* written by the interrupt only */
static volatile uint32_t tail; /* written by uart_read only */
static volatile uint32_t overruns;

void uart_init(uint32_t clock_Hz, uint32_t baud)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA;
    RCC_APB1ENR |= RCC_APB1ENR_USART2;
    (void)RCC_APB1ENR;
    GPIOA_MODER = (GPIOA_MODER & ~(0xFUL << 4)) | (0xAUL << 4); /* PA2, PA3: alternate function */
    GPIOA_AFRL = (GPIOA_AFRL & ~(0xFFUL << 8)) | (0x77UL << 8); /* AF7: USART2 (DS10693, alternate functions) */
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3UL << 6)) | (1UL << 6);     /* PA3 pulled up: silence without a cable */
    USART2_BRR = (clock_Hz + baud / 2U) / baud;                 /* oversampling by 16: BRR is the quotient itself */
    USART2_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
    NVIC_ISER(USART2_IRQ / 32U) = BIT(USART2_IRQ % 32U);
}

/* Reading SR and then DR clears RXNE and ORE (RM0390 25.6.1). */
void usart2_handler(void)
{
    const uint32_t status = USART2_SR;
    const uint8_t byte = (uint8_t)USART2_DR;
    if ((status & USART_SR_ORE) != 0U) {
        overruns++;
    }
    if ((status & USART_SR_RXNE) == 0U) {
        return;
    }
    if (head - tail == RING_BYTES) {
        overruns++;
        return;
    }
    ring[head % RING_BYTES] = byte;
    head++;
}

bool uart_is_empty(void)
{
    return head == tail;
}

bool uart_read(uint8_t *byte)
{
    if (uart_is_empty()) {
        return false;
    }
    *byte = ring[tail % RING_BYTES];
    tail++;
    return true;
}

void uart_write(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint32_t turn = 0;
        while ((USART2_SR & USART_SR_TXE) == 0U) {
            turn++;
            if (turn == TRANSMIT_TURNS) {
                return;
            }
        }
        USART2_DR = data[i];
    }
}

uint32_t uart_overruns(void)
{
    return overruns;
}
