#include "history.h"

#include "cortex_m.h"
#include "reset_cause.h"

#define MAGIC 0x45495348UL

typedef struct {
    uint32_t magic;
    port_history_t history;
    uint32_t checksum;
} record_t;

static record_t record __attribute__((section(".noinit")));

/* RAM comes up with a pattern of its own: the rotation keeps equal words from cancelling. */
static uint32_t checksum(const port_history_t *h)
{
    const uint32_t word[] = {h->boot_count, h->fault, h->fault_count, h->fault_address};
    uint32_t sum = MAGIC;
    for (unsigned i = 0; i < sizeof word / sizeof word[0]; i++) {
        sum = ((sum << 7) | (sum >> 25)) ^ word[i];
    }
    return sum;
}

static void seal(void)
{
    record.magic = MAGIC;
    record.checksum = checksum(&record.history);
}

static void note(port_fault_kind_t fault, uint32_t address)
{
    record.history.fault = (uint32_t)fault;
    record.history.fault_count++;
    record.history.fault_address = address;
    seal();
}

void history_init(void)
{
    const reset_cause_t cause = reset_cause_take();
    const bool intact = record.magic == MAGIC && record.checksum == checksum(&record.history);
    if (cause.power_on || !intact) {
        record.history = (port_history_t){0};
    } else {
        record.history.boot_count++;
    }
    seal();
    if (!cause.power_on && cause.watchdog) {
        note(PORT_FAULT_WATCHDOG, 0);
    }
}

port_history_t port_history(void)
{
    return record.history;
}

_Noreturn void history_fail(port_fault_kind_t fault, uint32_t address)
{
    note(fault, address);
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
    for (;;) {
    }
}
