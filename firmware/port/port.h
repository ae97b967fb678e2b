/* The whole porting surface: what firmware/app needs of a machine. A port is a folder that defines these functions. */
#ifndef EISHIL_PORT_H
#define EISHIL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_BOARD_BYTES   16U
#define PORT_BAUD          115200U /* after port_init */
#define PORT_RECEIVE_BYTES 1024U   /* that every port holds between the line and port_read */

/* Values are those of the wire's enum counter. */
typedef enum {
    PORT_COUNTER_NONE = 0,
    PORT_COUNTER_DWT = 1, /* core cycles */
    PORT_COUNTER_TIM2 = 2 /* timer ticks; executed instructions under QEMU's -icount shift=0 */
} port_counter_t;

/* Values are those of the wire's enum fault. */
typedef enum {
    PORT_FAULT_NONE = 0,
    PORT_FAULT_HARD_FAULT = 1,
    PORT_FAULT_STACK_OVERFLOW = 2,
    PORT_FAULT_WATCHDOG = 3,
    PORT_FAULT_ASSERTION = 4 /* an interrupt that nobody enabled */
} port_fault_kind_t;

/* What a reset of the core keeps: counted since power-on. */
typedef struct {
    uint32_t boot_count; /* resets since power-on */
    uint32_t fault;      /* the last one, port_fault_kind_t */
    uint32_t fault_count;
    uint32_t fault_address; /* program counter where known, else 0 */
} port_history_t;

typedef struct {
    uint32_t used_bytes; /* high-water mark since the start; 0 where unknown */
    uint32_t size_bytes;
} port_stack_t;

extern const char port_board[PORT_BOARD_BYTES]; /* ASCII, padded with zero bytes */

void port_init(void);

/* Next received byte; false when there is none. Never waits. */
bool port_read(uint8_t *byte);

/* Sleeps until a byte is there or some other event; returning early is allowed. */
void port_wait(void);

/* Sends all bytes, or gives up within a bounded time: the host's deadline covers a lost reply. */
void port_write(const uint8_t *data, size_t length);

/* Whether the line can run at a rate, within 2 %. A port without a rate has every one. */
bool port_has_baud(uint32_t baud_Bd);

/* Changes to a rate that port_has_baud, when all that was written is out; the rate that the line runs at. */
void port_set_baud(uint32_t baud_Bd);
uint32_t port_baud(void);

/* Interrupts handled since the start, wraps: tells which counts are disturbed. */
uint32_t port_interrupts(void);

/* Received bytes that were lost before port_read. */
uint32_t port_overruns(void);

port_counter_t port_counter(void);
uint32_t port_count(void); /* wraps */
uint32_t port_core_clock_Hz(void);

void port_watchdog_feed(void);
port_history_t port_history(void);
port_stack_t port_stack(void);

#endif
