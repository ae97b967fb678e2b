/* Inner loops of the integer network: bit-equal to docs/network.md in portable C and in the DSP extension's instructions.
 *
 * One data layout serves both. Two consecutive units share a word, the even one in its low half: what SMLAD multiplies.
 * Columns are a sample's activations or the tangents by one input; up to four share a block, interleaved in the order in
 * which one pair of rows meets them. */
#ifndef EISHIL_CORE_NN_KERNEL_H
#define EISHIL_CORE_NN_KERNEL_H

#include "model.h"
#include "nn_tanh_table.h"

#include <string.h>

#if defined(__ARM_FEATURE_DSP) && !defined(NN_KERNEL_PORTABLE)
#define NN_KERNEL_DSP 1
#else
#define NN_KERNEL_DSP 0
#endif

#define NN_BLOCK    4U
#define NN_PAIRS(n) (((n) + 1U) / 2U)

/* The kernels take two pairs of inputs at a time: weights of zero fill up a row, whatever they meet. */
#define NN_WEIGHT_PAIRS(n) (((n) + 3U) / 4U * 2U)

/* Inputs of a layer: [pair of units][width] words of two signed half-words. */
typedef struct {
    uint32_t pair[NN_WEIGHT_PAIRS(MODEL_MAX_WIDTH) * NN_BLOCK];
} nn_block_t;

/* Sums of a layer: [row][width]. */
typedef struct {
    int32_t sum[NN_PAIRS(MODEL_MAX_ROWS) * NN_BLOCK * 2U];
} nn_sums_t;

/* Every row of a layer times the columns of a block; width 1, 3 or 4. */
void nn_kernel_multiply(const nn_layer_t *layer, const nn_block_t *in, unsigned width, nn_sums_t *out);

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

/* sum + the products of both halves */
static inline int32_t nn_multiply_pair(uint32_t weights, uint32_t values, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(weights), "r"(values), "r"(sum));
    return result;
}

/* Both halves requantised: SMLAW gives t g / 2^16, and the bits that it drops are below the rounding. */
static inline uint32_t nn_requantise_pair(uint32_t tangents, int32_t low_slope, int32_t high_slope)
{
    const int32_t half = 1 << 15;
    uint32_t pair;
    int32_t high;
    __asm__("smlawb %0, %2, %4, %5\n\t"
            "smlawt %1, %3, %4, %5\n\t"
            "pkhtb %0, %1, %0, asr #16"
            : "=&r"(pair), "=&r"(high)
            : "r"(low_slope), "r"(high_slope), "r"(tangents), "r"(half));
    return pair;
}

/* 2^22 - a^2 */
static inline int32_t nn_one_minus_square(int32_t activation)
{
    int32_t result;
    __asm__("mls %0, %1, %1, %2" : "=r"(result) : "r"(activation), "r"(1 << 22));
    return result;
}

static inline int32_t nn_clamp_argument(int32_t argument)
{
    __asm__("ssat %0, #15, %1" : "=r"(argument) : "r"(argument));
    return argument;
}

/* T[k] (64 - f) + T[k + 1] f + 512: both nodes in one word, which may lie across two, times both weights in another. */
static inline int32_t nn_interpolate(int32_t k, int32_t f)
{
    const int16_t *middle = nn_tanh_middle;
    uint32_t nodes;
    __asm__("" : "+r"(middle)); /* or GCC adds to every index what the middle lies from the table's beginning */
    memcpy(&nodes, middle + k, sizeof nodes);
    return nn_multiply_pair(nodes, nn_pack(64 - f, f), 512);
}

#else

static inline uint32_t nn_pack(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

/* floor((A M + 2^31) / 2^32). */
static inline int32_t nn_requantise(int32_t accumulator, int32_t multiplier)
{
    return (int32_t)(((int64_t)accumulator * multiplier + 0x80000000LL) >> 32);
}

/* sum + the products of both halves */
static inline int32_t nn_multiply_pair(uint32_t weights, uint32_t values, int32_t sum)
{
    return sum + nn_low(weights) * nn_low(values) + nn_high(weights) * nn_high(values);
}

/* Both halves requantised. */
static inline uint32_t nn_requantise_pair(uint32_t tangents, int32_t low_slope, int32_t high_slope)
{
    return nn_pack(nn_requantise(nn_low(tangents), low_slope), nn_requantise(nn_high(tangents), high_slope));
}

static inline int32_t nn_one_minus_square(int32_t activation)
{
    return (1 << 22) - activation * activation;
}

/* T[k] (64 - f) + T[k + 1] f + 512. */
static inline int32_t nn_interpolate(int32_t k, int32_t f)
{
    const int16_t *node = nn_tanh_middle + k;
    return node[0] * (64 - f) + node[1] * f + 512;
}

static inline int32_t nn_clamp_argument(int32_t argument)
{
    const int32_t limit = 1 << 14;
    return argument < -limit ? -limit : (argument < limit ? argument : limit - 1);
}

#endif

/* tanh of a Q11 argument, Q11; the argument is clamped to -16384..16383. */
static inline int32_t nn_tanh(int32_t argument)
{
    const int32_t clamped = nn_clamp_argument(argument);
    return nn_interpolate(clamped >> 6, clamped & 63) >> 10;
}

/* Derivative of tanh from its value, in Q30. */
static inline int32_t nn_slope(int32_t activation)
{
    return nn_one_minus_square(activation) << 8;
}

#endif
