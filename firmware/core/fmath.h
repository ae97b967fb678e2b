/* The few functions of libm that the estimator needs, written once: C libraries differ in their last bits, and the
 * float32 core has to be bit-equal on every target. Only + - * / and integer operations on the bits; round to nearest.
 * Errors are in units in the last place against the correctly rounded value, found by test over the whole range. */
#ifndef EISHIL_CORE_FMATH_H
#define EISHIL_CORE_FMATH_H

#include "precision.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FMATH_SMALLEST_NORMAL REAL(0x1p-126f)
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

inline real_t fmath_sqrt(real_t x)
{
    return sqrtf(x);
}

#endif

/* To the nearest integer, ties to even; |x| <= 2^22. */
inline float fmath_round(float x)
{
    /* At 1.5 * 2^23 the spacing of floats is 1: the addition rounds, and the subtraction is exact. */
    const float shift = 0x1.8p+23f;
    return (x + shift) - shift;
}

/* x with fmath_has_logarithm; NaN for anything else. Error below 1 ulp. */
real_t fmath_log(real_t x);

/* The argument is clamped to -87..88, NaN to -87, so that the result is normal and finite. Error below 1 ulp. */
real_t fmath_exp(real_t x);

/* Odd, within -1..1. Error below 2 ulp. */
real_t fmath_tanh(real_t x);

#endif
