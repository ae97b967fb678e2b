#include "stack.h"

#define PAINT           0xA5A5A5A5UL
#define UNPAINTED_WORDS 64 /* below the caller: frames that are alive while painting */

extern uint32_t stack_limit[], stack_top[];

void stack_paint(void)
{
    const uint32_t *const end = (const uint32_t *)__builtin_frame_address(0) - UNPAINTED_WORDS;
    for (uint32_t *word = stack_limit; word < end; word++) {
        *word = PAINT;
    }
}

port_stack_t port_stack(void)
{
    const uint32_t size_bytes = (uint32_t)stack_top - (uint32_t)stack_limit;
    uint32_t free_words = 0;
    while (free_words < size_bytes / sizeof(uint32_t) && stack_limit[free_words] == PAINT) {
        free_words++;
    }
    return (port_stack_t){
        .used_bytes = size_bytes - free_words * (uint32_t)sizeof(uint32_t),
        .size_bytes = size_bytes,
    };
}
