/* Vector table, reset and faults (PM0214 2.3). Nothing here depends on a C library. */
#include "handlers.h"
#include "history.h"
#include "registers.h"

#define EXCEPTION_FRAME_WORDS 8
#define EXCEPTION_FRAME_PC    6

extern uint32_t stack_limit[], stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];
int main(void);
_Noreturn void reset_handler(void);
void fault_handler(void);
_Noreturn void fault_record(const uint32_t *frame);

/* An interrupt that nobody enabled: a mistake in this port. */
static void unexpected_handler(void)
{
    history_fail(PORT_FAULT_ASSERTION, 0);
}

typedef struct {
    uint32_t *initial_stack;
    void (*handler[15 + LAST_IRQ + 1])(void); /* exception n is handler[n - 1], interrupt n is handler[n + 15] */
} vectors_t;

const vectors_t vectors __attribute__((section(".vectors"), used)) = {
    .initial_stack = stack_top,
    .handler =
        {
            [0] = reset_handler,
            [1 ... 5] = fault_handler, /* NMI, hard fault, and those that escalate to it */
            [6 ... 13] = unexpected_handler,
            [14] = systick_handler,
            [15 ... 15 + UART_IRQ - 1] = unexpected_handler,
            [15 + UART_IRQ] = uart_handler,
            [15 + UART_IRQ + 1 ... 15 + LAST_IRQ] = unexpected_handler,
        },
};

/* The linker's symbols are addresses, not parts of one array: their distance is a matter of integers. */
static uint32_t words_between(const uint32_t *start, const uint32_t *end)
{
    return ((uint32_t)end - (uint32_t)start) / sizeof(uint32_t);
}

_Noreturn void reset_handler(void)
{
    SCB_VTOR = (uint32_t)&vectors;
    SCB_CPACR |= SCB_CPACR_FPU;
    __asm volatile("dsb\n isb" ::: "memory");
    for (uint32_t i = 0; i < words_between(data_start, data_end); i++) {
        data_start[i] = data_load[i];
    }
    for (uint32_t i = 0; i < words_between(bss_start, bss_end); i++) {
        bss_start[i] = 0;
    }
    main();
    history_fail(PORT_FAULT_ASSERTION, 0);
}

/* The stack may be what broke: take its pointer as evidence and go on with a fresh one, nobody returns. */
__attribute__((naked)) void fault_handler(void)
{
    __asm volatile("mrs r0, msp\n"
                   "movw r1, #:lower16:stack_top\n"
                   "movt r1, #:upper16:stack_top\n"
                   "msr msp, r1\n"
                   "b fault_record\n");
}

/* frame: where the core stored, or tried to store, its registers; below the stack it could not. */
__attribute__((used)) _Noreturn void fault_record(const uint32_t *frame)
{
    if ((uint32_t)frame < (uint32_t)stack_limit) {
        history_fail(PORT_FAULT_STACK_OVERFLOW, 0);
    }
    const bool readable = (uint32_t)(frame + EXCEPTION_FRAME_WORDS) <= (uint32_t)stack_top;
    history_fail(PORT_FAULT_HARD_FAULT, readable ? frame[EXCEPTION_FRAME_PC] : 0U);
}
