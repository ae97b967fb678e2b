/* A byte lasts 87 us at 115200 baud, a step of the estimator longer: reception must not wait for the main loop. */
#include "ring.h"

#include "port.h"

#define RING_BYTES 1024U /* a power of two, several times the longest request */

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t head; /* written by the interrupt only */
static volatile uint32_t tail; /* written by port_read only */
static volatile uint32_t overruns;

void ring_push(uint8_t byte)
{
    if (head - tail == RING_BYTES) {
        overruns++;
        return;
    }
    ring[head % RING_BYTES] = byte;
    head++;
}

void ring_count_overrun(void)
{
    overruns++;
}

bool port_read(uint8_t *byte)
{
    if (head == tail) {
        return false;
    }
    *byte = ring[tail % RING_BYTES];
    tail++;
    return true;
}

uint32_t port_overruns(void)
{
    return overruns;
}

/* With interrupts masked a pending one still ends wfi: none can slip in between the test and the sleep. */
void port_wait(void)
{
    __asm volatile("cpsid i" ::: "memory");
    if (head == tail) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}
