/* In what the estimator computes: a choice of the build. What goes in and out, and the model's constants, are float32
 * in every build; the network is int8 unless it is built in real_t (NETWORK_IS_REAL). */
#ifndef EISHIL_CORE_PRECISION_H
#define EISHIL_CORE_PRECISION_H

#if defined(REAL_IS_DOUBLE) && !defined(NETWORK_IS_REAL)
#error "REAL_IS_DOUBLE needs NETWORK_IS_REAL: the integer network's constants are loaded as float32"
#endif

#if defined(REAL_IS_DOUBLE)
typedef double real_t;
#else
typedef float real_t;
#endif

/* A constant of real_t: no float64 creeps into the float32 build. */
#define REAL(x) ((real_t)(x))

/* sum + a b and sum - a b, both operations rounded, as everywhere: VMLA is no fused instruction. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FP) && !defined(REAL_IS_DOUBLE)

static inline real_t real_add_product(real_t sum, real_t a, real_t b)
{
    __asm__("vmla.f32 %0, %1, %2" : "+t"(sum) : "t"(a), "t"(b));
    return sum;
}

static inline real_t real_subtract_product(real_t sum, real_t a, real_t b)
{
    __asm__("vmls.f32 %0, %1, %2" : "+t"(sum) : "t"(a), "t"(b));
    return sum;
}

/* The same as two instructions, which GCC would join: VMUL and VADD take a cycle each where neither waits for the one
 * before, VMLA takes three. */
static inline real_t real_add_apart(real_t sum, real_t a, real_t b)
{
    real_t product = a * b;
    __asm__("" : "+t"(product));
    return sum + product;
}

static inline real_t real_subtract_apart(real_t sum, real_t a, real_t b)
{
    real_t product = a * b;
    __asm__("" : "+t"(product));
    return sum - product;
}

/* Hides where an integer comes from: GCC would rather compute it in more instructions than keep it. */
#define REAL_KEEP(integer) __asm__("" : "+r"(integer))

#else

#define REAL_KEEP(integer) ((void)0)

static inline real_t real_add_product(real_t sum, real_t a, real_t b)
{
    return sum + a * b;
}

static inline real_t real_subtract_product(real_t sum, real_t a, real_t b)
{
    return sum - a * b;
}

#define real_add_apart      real_add_product
#define real_subtract_apart real_subtract_product

#endif

#endif
