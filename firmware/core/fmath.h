/* The few functions of libm that the estimator needs, written once: C libraries differ in their last bits, and the
 * float32 core has to be bit-equal on every target. Only + - * / and integer operations on the bits; round to nearest.
 * Errors are in units in the last place against the correctly rounded value, found by test over the whole range. */
#ifndef EISHIL_CORE_FMATH_H
#define EISHIL_CORE_FMATH_H

#include <stdbool.h>
#include <stdint.h>

#define FMATH_SMALLEST_NORMAL 0x1p-126f

bool fmath_is_finite(float x);

/* To the nearest integer, ties to even; |x| <= 2^22. */
float fmath_round(float x);

/* x normal and positive; NaN for anything else. Error below 1 ulp. */
float fmath_log(float x);

/* The argument is clamped to -87..88, NaN to -87, so that the result is normal and finite. Error below 1 ulp. */
float fmath_exp(float x);

/* Odd, within -1..1. Error below 2 ulp. */
float fmath_tanh(float x);

#endif
