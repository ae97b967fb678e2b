/* An STM32 behind port.h. The images for F4 also run on QEMU's netduinoplus2 (an STM32F405), which has no clock tree, no
 * DWT and no watchdog: whatever does not answer is done without. */
#include "port.h"

#include "chip.h"
#include "handlers.h"
#include "history.h"
#include "registers.h"
#include "ring.h"
#include "stack.h"
#include "uart.h"

#define LSI_WAIT_TURNS  20000U     /* at 400 MHz over 0.3 ms; the LSI needs up to 130 us (datasheets, LSI oscillator) */
#define WATCHDOG_RELOAD 2000U      /* 4 s at 32 kHz / 64 (the F4's LSI runs at 17 to 47 kHz) */
#define SYSTICK_MAX     0xFFFFFFUL /* 42 ms at 400 MHz, 1 s at 16 MHz */

static uint32_t core_clock_Hz;
static uint32_t uart_clock_Hz;
static uint32_t baud = PORT_BAUD;
static volatile uint32_t ticks;
static port_counter_t counter;
static bool watchdog_runs;

/* TIM2 stands in where the DWT does not count; it stays off where the DWT does. */
static port_counter_t counter_init(void)
{
    SCB_DEMCR |= SCB_DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    __asm volatile("nop\n nop\n nop\n nop");
    if (DWT_CYCCNT != before) {
        /* It measures silence too, and would stand still while the core sleeps. */
        DEBUG_CONTROL |= DEBUG_CONTROL_SLEEP;
        return PORT_COUNTER_DWT;
    }
    TIM2_CLOCK |= TIM2_CLOCK_ENABLE;
    (void)TIM2_CLOCK;
    TIM2_PSC = 0;
    TIM2_ARR = UINT32_MAX;
    TIM2_EGR = TIM_EGR_UG;
    TIM2_CR1 = TIM_CR1_CEN;
    return PORT_COUNTER_TIM2;
}

/* Started only where its own oscillator answers. SysTick then wakes the idle loop often enough to feed it. */
static bool watchdog_init(void)
{
    RCC_CSR |= RCC_CSR_LSION;
    for (uint32_t turn = 0; (RCC_CSR & RCC_CSR_LSIRDY) == 0U; turn++) {
        if (turn == LSI_WAIT_TURNS) {
            return false;
        }
    }
    DEBUG_FREEZE |= DEBUG_FREEZE_IWDG;
    IWDG_KR = IWDG_KR_START;
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = IWDG_PR_DIV64;
    IWDG_RLR = WATCHDOG_RELOAD;
    IWDG_KR = IWDG_KR_FEED;
    SYSTICK_LOAD = SYSTICK_MAX;
    SYSTICK_VAL = 0;
    SYSTICK_CTRL = SYSTICK_CTRL_CORE_CLOCK | SYSTICK_CTRL_TICKINT | SYSTICK_CTRL_ENABLE;
    return true;
}

void systick_handler(void)
{
    ticks++;
}

void port_init(void)
{
    stack_paint();
    history_init();
    chip_start_core();
    const clock_tree_t clock = chip_start_clock();
    core_clock_Hz = clock.core_Hz;
    uart_clock_Hz = clock.uart_Hz;
    counter = counter_init();
    uart_init(uart_clock_Hz, PORT_BAUD);
    watchdog_runs = watchdog_init();
}

void port_write(const uint8_t *data, size_t length)
{
    uart_write(data, length);
}

bool port_has_baud(uint32_t baud_Bd)
{
    return uart_has_baud(uart_clock_Hz, baud_Bd);
}

void port_set_baud(uint32_t baud_Bd)
{
    uart_set_baud(uart_clock_Hz, baud_Bd);
    baud = baud_Bd;
}

uint32_t port_baud(void)
{
    return baud;
}

uint32_t port_interrupts(void)
{
    return uart_interrupts() + ticks;
}

port_counter_t port_counter(void)
{
    return counter;
}

uint32_t port_count(void)
{
    return counter == PORT_COUNTER_DWT ? DWT_CYCCNT : TIM2_CNT;
}

uint32_t port_core_clock_Hz(void)
{
    return core_clock_Hz;
}

void port_watchdog_feed(void)
{
    if (watchdog_runs) {
        IWDG_KR = IWDG_KR_FEED;
    }
}
