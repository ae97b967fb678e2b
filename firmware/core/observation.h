/* Observations: a measured spectrum against what the model expects in its place, linearised.
 * docs/estimator.md, equations 3 to 5. */
#ifndef EISHIL_CORE_OBSERVATION_H
#define EISHIL_CORE_OBSERVATION_H

#include "fmath.h"
#include "information.h"
#include "model.h"
#include "network.h"

/* What was measured besides the impedance. */
typedef struct {
    real_t voltage_V;
    real_t inverse_temperature; /* 1000/T in 1/K */
} conditions_t;

static inline conditions_t observation_conditions(float voltage_V, float temperature_degC)
{
    return (conditions_t){voltage_V, REAL(1000) / (temperature_degC + REAL(273.15f))};
}

/* A spectrum as the filters read it: Re Z and then -Im Z in ohm, 0 where the observation is left out; and the inverse of
 * the variances of its own errors, where they are not the same for all spectra. */
typedef struct {
    real_t part_ohm[MODEL_N_OBSERVATIONS];
#if MODEL_NOISE_FOLLOWS_SPECTRUM
    real_t inverse_variance[MODEL_N_OBSERVATIONS];
#endif
} measured_t;

/* A frequency is left out when it is masked, its Re Z has no logarithm, or its variances are beyond float32. */
void observation_take_usable(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                             uint32_t valid_mask, measured_t *out);

/* Of observation i, the model's `observable`. */
static inline real_t observation_inverse_variance(const observable_t *observable, const measured_t *measured,
                                                  unsigned i)
{
#if MODEL_NOISE_FOLLOWS_SPECTRUM
    (void)observable;
    return measured->inverse_variance[i];
#else
    (void)measured, (void)i;
    return observable->inverse_variance;
#endif
}

/* For several filters; 0 with one, which does not ask. */
static inline real_t observation_log_variance(const observable_t *observable, const measured_t *measured, unsigned i)
{
    if (MODEL_N_PRIORS == 1U) {
        return REAL(0);
    }
#if MODEL_NOISE_FOLLOWS_SPECTRUM
    const real_t inverse = observation_inverse_variance(observable, measured, i);
    return -fmath_log(inverse > FMATH_SMALLEST_NORMAL ? inverse : FMATH_SMALLEST_NORMAL);
#else
    (void)measured, (void)i;
    return observable->log_variance;
#endif
}

/* Inputs of the network [n_inputs] at some modes. */
void observation_read_inputs(const model_t *model, const real_t *modes, const conditions_t *conditions,
                             network_input_t *input);

/* The network at some modes, with its Jacobian. */
void observation_predict(const model_t *model, const real_t *modes, const conditions_t *conditions,
                         network_work_t *work);

/* Logarithms of what is expected at sample `column` of the network, to h[0], h[stride] and so on; takes out of used
 * [n_observations] where that is not positive, and leaves out what was not in it. */
void observation_expect(const model_t *model, const network_work_t *work, const real_t *modes, unsigned column,
                        bool *used, real_t *h, unsigned stride);

/* Standard deviations [MODEL_N_CONTEXTS] of the context's errors, in units of network_row_numbers. */
void observation_context_std(const model_t *model, const conditions_t *conditions, real_t *std);

/* What the context's errors do to an observation, in units of std (observation_context_std), at the row of the network
 * whose expected logarithm is h: dh/dy = exp(y) / l = exp(y - h). */
static inline void observation_weigh_context(const network_row_t *row, const conditions_t *conditions, real_t h,
                                             const real_t *std, real_t *out)
{
    const network_numbers_t numbers = network_row_numbers(row, conditions->inverse_temperature);
    const real_t scale = numbers.scale * fmath_exp_inline(numbers.output - h);
    for (unsigned c = 0; c < MODEL_N_CONTEXTS; c++) {
        out[c] = numbers.gradient[c] * scale * std[c];
    }
}

/* The usable observations against the prediction, in out [n_observations]. An observation whose expected impedance is
 * not positive is left out. aside [n_observations] (curvature.h) with MODEL_HAS_CURVATURE. */
observations_t observation_linearise(const model_t *model, const network_work_t *work, const conditions_t *conditions,
                                     const real_t *modes, const network_sum_t *aside, const measured_t *measured,
                                     observation_t *out);

#endif
