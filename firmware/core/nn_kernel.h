/* Inner loops of the integer network: bit-equal to docs/network.md in portable C and in the DSP extension's instructions.
 *
 * One data layout serves both. Two consecutive units share a word, the even one in its low half: what SMLAD multiplies.
 * A column is a sample's activations or the tangents by one input; two columns share a block. */
#ifndef EISHIL_CORE_NN_KERNEL_H
#define EISHIL_CORE_NN_KERNEL_H

#include "model.h"

#include <string.h>

#if defined(__ARM_FEATURE_DSP) && !defined(NN_KERNEL_PORTABLE)
#define NN_KERNEL_DSP 1
#else
#define NN_KERNEL_DSP 0
#endif

/* tanh at k / 32, k = -256..256, and where k is 0. */
#define NN_TANH_NODES 513U
extern const int16_t nn_tanh_table[NN_TANH_NODES];
#define nn_tanh_middle (nn_tanh_table + NN_TANH_NODES / 2U)

#define NN_PAIRS(n) (((n) + 1U) / 2U)

/* Rows of weights come in fours, each as long as the widest layer: zeros fill up what is missing. */
#define NN_QUADS(n) (((n) + 3U) / 4U)
#define NN_STEPS    (2U * NN_QUADS(MODEL_MAX_WIDTH)) /* pairs of inputs of a row */
#define NN_ROWS     (4U * NN_QUADS(MODEL_MAX_ROWS))

/* A layer's sums have a column for the sample in nn_column_t, and two for each block. */
#define NN_BATCH_BLOCKS   2U
#define NN_TANGENT_BLOCKS NN_PAIRS(MODEL_N_TANGENTS)
#if NN_TANGENT_BLOCKS > NN_BATCH_BLOCKS
#define NN_BLOCKS NN_TANGENT_BLOCKS
#else
#define NN_BLOCKS NN_BATCH_BLOCKS
#endif
#define NN_STRIDE (1U + 2U * NN_BLOCKS)

typedef struct {
    uint32_t pair[NN_STEPS];
} nn_column_t;

typedef struct {
    uint32_t pair[NN_STEPS][2];
} nn_block_t;

typedef struct {
    int32_t row[NN_ROWS][NN_STRIDE];
} nn_sums_t;

/* The kernels in assembly hold a block in the registers of the FPU. */
#if NN_KERNEL_DSP && defined(__ARM_FP) && MODEL_MAX_WIDTH <= 32U
#define NN_KERNEL_ASSEMBLY 1
#else
#define NN_KERNEL_ASSEMBLY 0
#endif

/* The first layer: activations of one sample, [pair of inputs], and with blocks its tangents; block may be NULL. */
void nn_kernel_evaluate_first(const nn_t *nn, const uint32_t *sample, nn_column_t *column, nn_block_t *block);

#define NN_HIDDEN_ROWS 12U /* numbers of nn_layer_t's rows that belong to four of them */

/* A hidden layer in place: from a column to its activations, and to what a tangent's sum has to be multiplied with. */
void nn_kernel_activate_column(const nn_layer_t *layer, nn_column_t *column, int32_t *multiplier);

/* Every row of the last layer times a column, and its bias, to column 0 of the sums. */
void nn_kernel_multiply_column(const nn_layer_t *layer, const nn_column_t *in, nn_sums_t *out);

/* Every row of a layer times the columns of n_blocks blocks, to columns 1, 2 and so on of the sums. */
void nn_kernel_multiply_blocks(const nn_layer_t *layer, const nn_block_t *in, unsigned n_blocks, nn_sums_t *out);

/* The same of a hidden layer, every row then times its multiplier [n_out], requantised: in place. */
void nn_kernel_propagate_blocks(const nn_layer_t *layer, nn_block_t *block, unsigned n_blocks,
                                const int32_t *multiplier);

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
