/* The few functions of libm that the estimator needs, written once: C libraries differ in their last bits, and the
 * float32 core has to be bit-equal on every target. Argument ranges and error bounds stand at each function. */
#ifndef EISHIL_CORE_FMATH_H
#define EISHIL_CORE_FMATH_H

#include <stdbool.h>

bool fmath_is_finite(float x);
float fmath_log(float x); /* x > 0 and normal; others give NaN */
float fmath_exp(float x); /* clamped to -87..88 */
float fmath_tanh(float x);

#endif
