#include "fmath.h"

/* ISO C wants something in every translation unit. */
typedef int fmath_double_t;

#if defined(REAL_IS_DOUBLE)

/* A build to compare with, not bit-equal everywhere: the C library's functions, within the float32 build's range. */

real_t fmath_log_less(real_t x, real_t y)
{
    return log(x) - y;
}

real_t fmath_log_near_one(real_t d)
{
    return log1p(d);
}

real_t fmath_exp_within(const fmath_exp_factors_t *factors, real_t x)
{
    (void)factors;
    return exp(x);
}

real_t fmath_log(real_t x)
{
    return fmath_has_logarithm(x) ? log(x) : FMATH_NAN;
}

real_t fmath_exp(real_t x)
{
    return fmath_exp_inline(x);
}

real_t fmath_tanh(real_t x)
{
    return tanh(x);
}

#endif
