/* sum[k] += factor x[k] and sum[k] -= factor x[k] on numbers in registers: BLAS's AXPY. n is a constant.
 *
 * On a Cortex-M4 VMLA takes three cycles, and VMUL and VADD take one each where neither waits for the instruction before:
 * so two or three products are computed before their sums. Both round alike: VMLA is no fused instruction. */
#ifndef EISHIL_CORE_AXPY_H
#define EISHIL_CORE_AXPY_H

#include "precision.h"

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FP) && !defined(REAL_IS_DOUBLE)

#define AXPY_TWO(add)                                                                                                  \
    __asm__("vmul.f32 %2, %4, %5\n\tvmul.f32 %3, %6, %7\n\t" add " %0, %0, %2\n\t" add " %1, %1, %3"                   \
            : "+t"(*sum0), "+t"(*sum1), "=&t"(product0), "=&t"(product1)                                               \
            : "t"(a0), "t"(x0), "t"(a1), "t"(x1))

static inline void axpy_add_two(real_t *sum0, real_t a0, real_t x0, real_t *sum1, real_t a1, real_t x1)
{
    real_t product0;
    real_t product1;
    AXPY_TWO("vadd.f32");
}

static inline void axpy_subtract_two(real_t *sum0, real_t a0, real_t x0, real_t *sum1, real_t a1, real_t x1)
{
    real_t product0;
    real_t product1;
    AXPY_TWO("vsub.f32");
}

#else

static inline void axpy_add_two(real_t *sum0, real_t a0, real_t x0, real_t *sum1, real_t a1, real_t x1)
{
    *sum0 += a0 * x0;
    *sum1 += a1 * x1;
}

static inline void axpy_subtract_two(real_t *sum0, real_t a0, real_t x0, real_t *sum1, real_t a1, real_t x1)
{
    *sum0 -= a0 * x0;
    *sum1 -= a1 * x1;
}

#endif

static inline void axpy_add(real_t *sum, real_t factor, const real_t *x, unsigned n)
{
#pragma GCC unroll 8
    for (unsigned k = 0; k + 1U < n; k += 2U) {
        axpy_add_two(&sum[k], factor, x[k], &sum[k + 1U], factor, x[k + 1U]);
    }
    if (n % 2U != 0U) {
        sum[n - 1U] = real_add_product(sum[n - 1U], factor, x[n - 1U]);
    }
}

static inline void axpy_subtract(real_t *sum, real_t factor, const real_t *x, unsigned n)
{
#pragma GCC unroll 8
    for (unsigned k = 0; k + 1U < n; k += 2U) {
        axpy_subtract_two(&sum[k], factor, x[k], &sum[k + 1U], factor, x[k + 1U]);
    }
    if (n % 2U != 0U) {
        sum[n - 1U] = real_subtract_product(sum[n - 1U], factor, x[n - 1U]);
    }
}

#endif
