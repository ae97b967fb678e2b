/* Inner loops of the integer network: bit-equal to docs/network.md in portable C and in the DSP extension's instructions.
 *
 * One data layout serves both. Two consecutive units share a word, the even one in its low half: what SMLAD multiplies.
 * Four columns share a block, interleaved in the order in which one pair of rows meets them. A column is a sample's
 * activations or the tangents by one input. */
#ifndef EISHIL_CORE_NN_KERNEL_H
#define EISHIL_CORE_NN_KERNEL_H

#include "model.h"
#include "nn_tanh_table.h"

#if defined(__ARM_FEATURE_DSP) && !defined(NN_KERNEL_PORTABLE)
#define NN_KERNEL_DSP 1
#else
#define NN_KERNEL_DSP 0
#endif

#define NN_BLOCK       4U
#define NN_BLOCKS(n)   (((n) + NN_BLOCK - 1U) / NN_BLOCK)
#define NN_PAIRS(n)    (((n) + 1U) / 2U)
#define NN_TANH_MAX    16383
#define NN_TANGENT_MAX 2047

/* Inputs of a layer: [pair of units][column], two signed half-words each. */
typedef struct {
    uint32_t pair[NN_PAIRS(MODEL_MAX_WIDTH)][NN_BLOCK];
} nn_block_t;

/* Sums of a layer: [pair of rows][column][row]. */
typedef struct {
    int32_t pair[NN_PAIRS(MODEL_MAX_ROWS)][NN_BLOCK][2];
} nn_sums_t;

/* Every row of a layer times 1 to 4 columns of a block; what stands in further columns of *out means nothing. */
void nn_kernel_multiply(const nn_layer_t *layer, const nn_block_t *in, unsigned n_columns, nn_sums_t *out);

static inline int32_t nn_low(uint32_t pair)
{
    return (int16_t)(uint16_t)pair;
}

static inline int32_t nn_high(uint32_t pair)
{
    return (int16_t)(uint16_t)(pair >> 16);
}

#if NN_KERNEL_DSP

static inline uint32_t nn_pack(int32_t low, int32_t high)
{
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(low), "r"(high));
    return pair;
}

/* floor((A M + 2^31) / 2^32). */
static inline int32_t nn_requantise(int32_t accumulator, int32_t multiplier)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(accumulator), "r"(multiplier));
    return result;
}

/* Two tangents within -2047..2047: SSAT lets -2048 through, the comparison by half-words catches it. */
static inline uint32_t nn_saturate_tangents(int32_t low, int32_t high)
{
    const uint32_t lowest = 0xF801F801U;
    uint32_t pair;
    uint32_t scratch;
    __asm__("ssat %1, #12, %3\n\t"
            "ssat %0, #12, %2\n\t"
            "pkhbt %0, %0, %1, lsl #16\n\t"
            "ssub16 %1, %0, %4\n\t"
            "sel %0, %0, %4"
            : "=&r"(pair), "=&r"(scratch)
            : "r"(low), "r"(high), "r"(lowest));
    return pair;
}

/* Two tangents times their units' slopes: (t g + 2^14) >> 15 each. With slopes of 2^15 g, SMLAW gives t g / 2, and the
 * bit that it drops is below the rounding. */
static inline uint32_t nn_damp_tangents(uint32_t tangents, int32_t slope_low, int32_t slope_high)
{
    const int32_t half = 1 << 13;
    uint32_t pair;
    int32_t high;
    __asm__("smlawb %0, %2, %4, %5\n\t"
            "smlawt %1, %3, %4, %5\n\t"
            "asr %0, %0, #14\n\t"
            "pkhbt %0, %0, %1, lsl #2"
            : "=&r"(pair), "=&r"(high)
            : "r"(slope_low), "r"(slope_high), "r"(tangents), "r"(half));
    return pair;
}

/* 2^22 - a^2 */
static inline int32_t nn_one_minus_square(int32_t activation)
{
    int32_t result;
    __asm__("mls %0, %1, %1, %2" : "=r"(result) : "r"(activation), "r"(1 << 22));
    return result;
}

/* low half of the entry times f, plus c */
static inline int32_t nn_multiply_low(uint32_t entry, uint32_t f, int32_t c)
{
    int32_t result;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(entry), "r"(f), "r"(c));
    return result;
}

static inline int32_t nn_clamp_argument(int32_t argument)
{
    /* -16384 takes the table's last node, as -16383 does. */
    __asm__("ssat %0, #15, %1" : "=r"(argument) : "r"(argument));
    return argument;
}

#else

static inline int32_t nn_clamp(int32_t value, int32_t limit)
{
    return value > limit ? limit : (value < -limit ? -limit : value);
}

static inline uint32_t nn_pack(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

/* floor((A M + 2^31) / 2^32). */
static inline int32_t nn_requantise(int32_t accumulator, int32_t multiplier)
{
    return (int32_t)(((int64_t)accumulator * multiplier + 0x80000000LL) >> 32);
}

static inline uint32_t nn_saturate_tangents(int32_t low, int32_t high)
{
    return nn_pack(nn_clamp(low, NN_TANGENT_MAX), nn_clamp(high, NN_TANGENT_MAX));
}

/* Two tangents times their units' slopes: (t g + 2^14) >> 15 each. */
static inline uint32_t nn_damp_tangents(uint32_t tangents, int32_t slope_low, int32_t slope_high)
{
    return nn_pack((nn_low(tangents) * (slope_low >> 15) + 16384) >> 15,
                   (nn_high(tangents) * (slope_high >> 15) + 16384) >> 15);
}

static inline int32_t nn_one_minus_square(int32_t activation)
{
    return (1 << 22) - activation * activation;
}

static inline int32_t nn_multiply_low(uint32_t entry, uint32_t f, int32_t c)
{
    return nn_low(entry) * (int32_t)f + c;
}

static inline int32_t nn_clamp_argument(int32_t argument)
{
    return nn_clamp(argument, NN_TANH_MAX);
}

#endif

/* tanh of a Q11 argument, Q11, odd; the argument is clamped to -16383..16383. */
static inline int32_t nn_tanh(int32_t argument)
{
    const int32_t clamped = nn_clamp_argument(argument);
    const int32_t sign = clamped < 0 ? -1 : 0;
    const uint32_t magnitude = (uint32_t)((clamped ^ sign) - sign);
    const uint32_t entry = nn_tanh_table[magnitude >> 6];
    /* ((T << 6) + D f + 32 >> 6) + 8 >> 4 in one shift. Only the first slope, 2^10, reaches into the node's bits; its
     * node is 0, and one more than the 544 changes no result there. */
    const int32_t scaled = nn_multiply_low(entry, magnitude & 63U, 544);
    const int32_t value = (int32_t)((uint32_t)scaled + (entry >> 10)) >> 10;
    return (value ^ sign) - sign;
}

/* Derivative of tanh from its value: g = (2^22 - a^2) >> 7 in Q15, times 2^15. */
static inline int32_t nn_slope(int32_t activation)
{
    return (int32_t)((uint32_t)(nn_one_minus_square(activation) << 8) & 0xFFFF8000U);
}

#endif
