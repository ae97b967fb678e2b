/* In what the estimator computes: a choice of the build. What goes in and out, and the model's constants, are float32
 * in every build; the network is int8 unless it is built in real_t (NETWORK_IS_REAL). */
#ifndef EISHIL_CORE_PRECISION_H
#define EISHIL_CORE_PRECISION_H

#if defined(REAL_IS_DOUBLE)
typedef double real_t;
#else
typedef float real_t;
#endif

/* A constant of real_t: no float64 creeps into the float32 build. */
#define REAL(x) ((real_t)(x))

#endif
