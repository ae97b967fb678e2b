/* A bare program for QEMU's netduinoplus2: calls one function some times and ends the emulator by semihosting. */
#include <stdint.h>

#define CALLS 8U

extern uint32_t stack_top[];
void call_peer(unsigned repetition); /* what is measured */
void reset_handler(void);

const uintptr_t vectors[2]
    __attribute__((section(".vectors"), used)) = {(uintptr_t)stack_top, (uintptr_t)reset_handler};

/* SYS_EXIT of Arm's semihosting: operation 0x18, reason ADP_Stopped_ApplicationExit. */
static void leave(void)
{
    __asm volatile("movs r0, #0x18\n ldr r1, =0x20026\n bkpt 0xAB" ::: "r0", "r1");
}

void reset_handler(void)
{
    *(volatile uint32_t *)0xE000ED88UL |= 0xFUL << 20; /* CPACR: the FPU */
    __asm volatile("dsb\n isb" ::: "memory");
    for (unsigned i = 0; i < CALLS; i++) {
        call_peer(i);
    }
    leave();
}
