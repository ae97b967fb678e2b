/* The Nucleo-F446RE behind port.h. The same image runs on QEMU's netduinoplus2 (an STM32F405), which has no clock
 * tree, no DWT and no watchdog: whatever does not answer is done without. */
#include "port.h"

#include "clock.h"
#include "handlers.h"
#include "history.h"
#include "registers.h"
#include "uart.h"

#define BAUD                  115200U
#define STACK_PAINT           0xA5A5A5A5UL
#define STACK_UNPAINTED_WORDS 64         /* below the caller: frames that are alive while painting */
#define LSI_WAIT_TURNS        4000U      /* at 180 MHz over 0.2 ms; the LSI needs 40 us (DS10693, LSI oscillator) */
#define WATCHDOG_RELOAD       2000U      /* 4 s at 32 kHz / 64 (the LSI runs at 17 to 47 kHz) */
#define SYSTICK_MAX           0xFFFFFFUL /* 93 ms at 180 MHz, 1 s at 16 MHz */

const char port_board[PORT_BOARD_BYTES] = "nucleo_f446re";

extern uint32_t stack_limit[], stack_top[];

static uint32_t core_clock_Hz;
static port_counter_t counter;
static bool watchdog_runs;

static void stack_paint(void)
{
    const uint32_t *const end = (const uint32_t *)__builtin_frame_address(0) - STACK_UNPAINTED_WORDS;
    for (uint32_t *word = stack_limit; word < end; word++) {
        *word = STACK_PAINT;
    }
}

/* TIM2 stands in where the DWT does not count; it stays off where the DWT does. */
static port_counter_t counter_init(void)
{
    SCB_DEMCR |= SCB_DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    __asm volatile("nop\n nop\n nop\n nop");
    if (DWT_CYCCNT != before) {
        return PORT_COUNTER_DWT;
    }
    RCC_APB1ENR |= RCC_APB1ENR_TIM2;
    (void)RCC_APB1ENR;
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
    DBGMCU_APB1_FZ |= DBGMCU_APB1_FZ_IWDG;
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
}

void port_init(void)
{
    stack_paint();
    history_init();
    const clock_tree_t clock = clock_init();
    core_clock_Hz = clock.core_Hz;
    counter = counter_init();
    uart_init(clock.apb1_Hz, BAUD);
    watchdog_runs = watchdog_init();
}

bool port_read(uint8_t *byte)
{
    return uart_read(byte);
}

/* With interrupts masked a pending one still ends wfi: none can slip in between the test and the sleep. */
void port_wait(void)
{
    __asm volatile("cpsid i" ::: "memory");
    if (uart_is_empty()) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}

void port_write(const uint8_t *data, size_t length)
{
    uart_write(data, length);
}

uint32_t port_overruns(void)
{
    return uart_overruns();
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

port_history_t port_history(void)
{
    return history_read();
}

port_stack_t port_stack(void)
{
    const uint32_t size_bytes = (uint32_t)stack_top - (uint32_t)stack_limit;
    uint32_t free_words = 0;
    while (free_words < size_bytes / sizeof(uint32_t) && stack_limit[free_words] == STACK_PAINT) {
        free_words++;
    }
    return (port_stack_t){
        .used_bytes = size_bytes - free_words * (uint32_t)sizeof(uint32_t),
        .size_bytes = size_bytes,
    };
}
