/* The ART accelerator of the STM32F4: 64 lines of 128 bits for instructions, 8 for data (RM0390 3.4.2). */
#ifndef EISHIL_FLASH_LINES_H
#define EISHIL_FLASH_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CODE_LINES  64U
#define DATA_LINES  8U
#define WAIT_STATES 5U
#define FLASH_START 0x08000000UL
#define FLASH_END   0x08200000UL

/* Least recently used lines of the flash, youngest first. */
typedef struct {
    uint32_t line[CODE_LINES];
    unsigned size;
} lines_t;

/* Of instructions: the line that is being executed, and since which instruction. */
typedef struct {
    lines_t lines;
    uint32_t current;
    uint64_t current_since;
} code_flash_t;

/* Whether the line is there; afterwards it is, as the youngest. */
static inline bool lines_touch(lines_t *lines, uint32_t line)
{
    unsigned found = 0;
    while (found < lines->size - 1U && lines->line[found] != line) {
        found++;
    }
    const bool hit = lines->line[found] == line;
    memmove(lines->line + 1, lines->line, found * sizeof lines->line[0]);
    lines->line[0] = line;
    return hit;
}

/* Cycles that a fetch waits. A jump to a line that is not there waits for it; the next line in a row was asked for when
 * this one was begun, and has had at least a cycle per instruction since (RM0390 3.4.2, instruction prefetch). */
static inline unsigned flash_fetch_waits(code_flash_t *code, uint32_t address, bool sequential, uint64_t executed)
{
    const uint32_t line = address >> 4;
    if (line == code->current) {
        return 0U;
    }
    const uint64_t hidden = sequential ? executed - code->current_since : 0U;
    const bool hit = lines_touch(&code->lines, line);
    code->current = line;
    code->current_since = executed;
    return hit || hidden >= WAIT_STATES ? 0U : WAIT_STATES - (unsigned)hidden;
}

/* Cycles that a load waits; nothing is stored to the flash. */
static inline unsigned flash_load_waits(lines_t *data, uint64_t address)
{
    const bool is_flash = address >= FLASH_START && address < FLASH_END;
    return !is_flash || lines_touch(data, (uint32_t)address >> 4) ? 0U : WAIT_STATES;
}

#endif
