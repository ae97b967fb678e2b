/* The few functions of libm that the estimator needs, written once: C libraries differ in their last bits, and the
 * float32 core has to be bit-equal on every target. Only + - * / and integer operations on the bits; round to nearest.
 * Errors are in units in the last place against the correctly rounded value, found by test over the whole range. */
#ifndef EISHIL_CORE_FMATH_H
#define EISHIL_CORE_FMATH_H

#include "block_moves.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FMATH_SMALLEST_NORMAL REAL(0x1p-126f)
#define FMATH_LARGEST         REAL(0x1.fffffep+127f)
#define FMATH_NAN             REAL(NAN)

inline uint32_t fmath_to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float fmath_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#if defined(REAL_IS_DOUBLE)

/* A build to compare with: the C library's functions, which are not bit-equal everywhere. */
inline bool fmath_is_finite(real_t x)
{
    return isfinite(x);
}

inline bool fmath_has_logarithm(real_t x)
{
    return x >= FMATH_SMALLEST_NORMAL && isfinite(x);
}

/* Of a number, not of NaN. */
inline bool fmath_is_positive(real_t x)
{
    return x > REAL(0);
}

inline real_t fmath_sqrt(real_t x)
{
    return sqrt(x);
}

#else

inline bool fmath_is_finite(real_t x)
{
    return (fmath_to_bits(x) & 0x7F800000U) != 0x7F800000U;
}

/* Positive, normal and finite. */
inline bool fmath_has_logarithm(real_t x)
{
    const uint32_t smallest = 0x00800000U;
    return fmath_to_bits(x) - smallest < 0x7F800000U - smallest;
}

/* Of a number, not of NaN. */
inline bool fmath_is_positive(real_t x)
{
    return (int32_t)fmath_to_bits(x) > 0;
}

inline real_t fmath_sqrt(real_t x)
{
    return sqrtf(x);
}

#endif

#define FMATH_SIGN_BIT    0x80000000U
#define FMATH_EXP_LOWEST  REAL(-87)
#define FMATH_EXP_HIGHEST REAL(88)
#define FMATH_NEAR        REAL(0x1p-3f) /* of fmath_log_near_one */

#if defined(REAL_IS_DOUBLE)

real_t fmath_log_less(real_t x, real_t y);
real_t fmath_log_near_one(real_t d);

static inline bool fmath_is_within(real_t x, real_t limit)
{
    return x > -limit && x < limit;
}

/* There are none. */
typedef struct {
    char none;
} fmath_exp_factors_t;

static inline fmath_exp_factors_t fmath_exp_load_factors(void)
{
    return (fmath_exp_factors_t){0};
}

real_t fmath_exp_within(const fmath_exp_factors_t *factors, real_t x);

#else

#define FMATH_LN2      0x1.62e430p-1f
/* In two parts: the high one has 12 trailing zero bits, so that its product with an exponent is exact. */
#define FMATH_LN2_HIGH 0x1.62e000p-1f
#define FMATH_LN2_LOW  0x1.0bfbe8p-15f

/* -limit < x < limit, in one comparison of the bits without the sign; not of NaN. */
static inline bool fmath_is_within(float x, float limit)
{
    return fmath_to_bits(x) << 1 < fmath_to_bits(limit) << 1;
}

/* A bin of mantissas: its centre c, 1 / c and ln c. */
typedef struct {
    float centre;
    float inverse;
    float log;
} fmath_log_bin_t;

extern const fmath_log_bin_t fmath_log_bins[32];

/* What the exponential needs, beside each other. */
typedef struct {
    float factor[5];  /* 16 / ln 2, 1.5 * 2^23 where floats are 1 apart, ln 2 / 16 in two parts, 1 / 6 */
    float powers[16]; /* 2^(j/16) */
} fmath_exp_table_t;

extern const fmath_exp_table_t fmath_exp_table;

/* ln x - y for x with fmath_has_logarithm: x = 2^k m with m in 0.695..1.39, and ln m = ln c + ln(1 + r), r = (m - c) / c,
 * where m - c is exact and |r| < 2^-6: the first term left out is below 2e-10 and less than 6e-8 of the sum. */
static inline float fmath_log_less(float x, float y)
{
    const uint32_t bits = fmath_to_bits(x);
    uint32_t start = 0x3F320000U;
    REAL_KEEP(start);
    const uint32_t offset = bits - start;
    float bin[3]; /* centre, inverse, log */
    block_load_middle(&fmath_log_bins[offset >> 18 & 31U].centre, 3, bin);
    int32_t exponent = (int32_t)offset >> 23;
    REAL_KEEP(exponent);
    const float k = (float)exponent;
    const float m = fmath_from_bits(bits - ((uint32_t)exponent << 23));
    const float r = (m - bin[0]) * bin[1];
    const float bend = -0.5f + r * (1.0f / 3.0f - 0.25f * r);
    return bin[2] + (k * FMATH_LN2 - y) + (r + r * r * bend);
}

/* ln(1 + d) for d within FMATH_NEAR, within 1e-7. The last two factors stand for all further terms, and are numbers
 * that an instruction can hold. */
inline float fmath_log_near_one(float d)
{
    const float square = d * d;
    const float low = d * (1.0f / 3.0f) - 0.5f;
    const float high = d * 0.203125f - 0.25f - square * 0.171875f;
    return d + square * (low + square * high);
}

/* Its factors in registers, for a loop to load once. */
typedef struct {
    float factor[5];
} fmath_exp_factors_t;

static inline fmath_exp_factors_t fmath_exp_load_factors(void)
{
    fmath_exp_factors_t loaded;
    block_load_middle(fmath_exp_table.factor, 5, loaded.factor);
    /* cppcheck-suppress uninitvar ; the line above fills it */
    return loaded;
}

/* For FMATH_EXP_LOWEST <= x <= FMATH_EXP_HIGHEST: x = n ln 2 / 16 + r, exp x = 2^(n/16) (1 + r + ...), |r| < 0.022, and
 * the first term left out is below 1e-8. */
static inline float fmath_exp_within(const fmath_exp_factors_t *factors, float x)
{
    const float *factor = factors->factor;
    const float shifted = x * factor[0] + factor[1];
    const float n = shifted - factor[1];
    const uint32_t index = fmath_to_bits(shifted);
    const float r = real_subtract_apart(real_subtract_apart(x, n, factor[2]), n, factor[3]);
    const float tail = r * r * (0.5f + r * factor[4]);
    const float power = fmath_from_bits(fmath_to_bits(fmath_exp_table.powers[index & 15U]) + (index >> 4 << 23));
    return power + power * (r + tail);
}

#endif

/* To the nearest integer, ties to even; beyond 2^22 on either side 2^22 or more of that sign, of NaN 0. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FP)
inline int32_t fmath_round(float x)
{
    int32_t rounded;
    __asm__("vcvtr.s32.f32 %0, %1" : "=t"(rounded) : "t"(x));
    return rounded;
}
#else
inline int32_t fmath_round(float x)
{
    /* At 1.5 * 2^23 the spacing of floats is 1: the addition rounds, and the subtraction is exact. */
    const float shift = 0x1.8p+23f;
    const float limit = 0x1p+22f;
    const float bounded = x < -limit ? -limit : x < limit ? x : limit;
    return x != x ? 0 : (int32_t)((bounded + shift) - shift);
}
#endif

/* x with fmath_has_logarithm; NaN for anything else. Error below 2 ulp. */
real_t fmath_log(real_t x);

/* Clamped to -87..88, NaN to -87. */
inline real_t fmath_exp_bound(real_t x)
{
    const real_t bounded = x > FMATH_EXP_LOWEST ? x : FMATH_EXP_LOWEST;
    return bounded < FMATH_EXP_HIGHEST ? bounded : FMATH_EXP_HIGHEST;
}

/* The argument is clamped, so that the result is normal and finite. Error below 1.5 ulp. */
real_t fmath_exp(real_t x);

/* Odd, within -1..1. Error below 2 ulp. */
real_t fmath_tanh(real_t x);

/* The same where calls cost too much. */
static inline real_t fmath_exp_with(const fmath_exp_factors_t *factors, real_t x)
{
#if defined(REAL_IS_DOUBLE)
    return fmath_exp_within(factors, fmath_exp_bound(x));
#else
    const bool is_most = fmath_is_within(x, 64.0f);
    return fmath_exp_within(factors, __builtin_expect(is_most, 1) ? x : fmath_exp_bound(x));
#endif
}

static inline real_t fmath_exp_inline(real_t x)
{
    const fmath_exp_factors_t factors = fmath_exp_load_factors();
    return fmath_exp_with(&factors, x);
}

#endif
