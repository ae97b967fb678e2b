/* What the core's manuals say of an instruction or an access. */
#ifndef EISHIL_ARMV7M_H
#define EISHIL_ARMV7M_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* BL (T1), BLX (T1): Armv7-M Architecture Reference Manual A7.7.18 and A7.7.19. */
static inline bool is_call(const uint16_t *code, size_t size)
{
    return size == 4U ? (code[0] & 0xF800U) == 0xF000U && (code[1] & 0xD000U) == 0xD000U
                      : (code[0] & 0xFF87U) == 0x4780U;
}

/* BX LR, POP {..., PC} and LDM SP!, {..., PC}: A7.7.20 and A7.7.99. */
static inline bool is_return(const uint16_t *code)
{
    return code[0] == 0x4770U || (code[0] & 0xFF00U) == 0xBD00U || (code[0] == 0xE8BDU && (code[1] & 0x8000U) != 0U);
}

/* One cycle more for each further piece that the bus takes an access in: halves of a word or of a half-word, a byte, a
 * half-word and a byte of a word (DDI 0439, 3.3.2, unaligned accesses). Two words at once have to be aligned to one. */
static inline unsigned further_pieces(uint64_t address, unsigned size)
{
    const bool is_split = size == 2U ? address % 2U != 0U : size == 4U && address % 4U != 0U;
    return !is_split ? 0U : address % 2U != 0U && size == 4U ? 2U : 1U;
}

#endif
