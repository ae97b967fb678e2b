#include "fmath.h"

/* ISO C wants something in every translation unit. */
typedef int fmath_double_t;

#if defined(REAL_IS_DOUBLE)

/* A build to compare with, not bit-equal everywhere: the C library's functions, within the float32 build's range. */

real_t fmath_log(real_t x)
{
    return fmath_has_logarithm(x) ? log(x) : FMATH_NAN;
}

real_t fmath_exp(real_t x)
{
    const real_t bounded = x > REAL(-87) ? x : REAL(-87);
    return exp(bounded < REAL(88) ? bounded : REAL(88));
}

real_t fmath_tanh(real_t x)
{
    return tanh(x);
}

#endif
