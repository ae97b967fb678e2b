#include "observation.h"

#include "block_moves.h"
#include "fmath.h"

#define N_MODE_INPUTS (MODEL_N_INPUTS - 2U)
#define SQRT_HALF     REAL(0x1.6a09e6p-1f)

#if MODEL_NOISE_FOLLOWS_SPECTRUM
/* Both inverse variances of frequency k, 1 / (v + s^2 |Z|^2 / part^2), with one division. */
static inline bool weigh_frequency(const model_t *model, unsigned k, real_t real_ohm, real_t imag_ohm, measured_t *out)
{
    const observable_t *observable = &model->observable[k];
    const real_t real_square = real_ohm * real_ohm;
    const real_t imag_square = imag_ohm * imag_ohm;
    const real_t instrument = model->instrument_variance * (real_square + imag_square);
    const real_t by_real = real_add_product(instrument, observable[0].variance, real_square);
    const real_t by_imag = real_add_product(instrument, observable[MODEL_N_FREQUENCIES].variance, imag_square);
    const real_t product = by_real * by_imag;
    if (!fmath_has_logarithm(product)) {
        return false;
    }
    const real_t inverse = REAL(1) / product;
    out->inverse_variance[k] = real_square * (by_imag * inverse);
    out->inverse_variance[MODEL_N_FREQUENCIES + k] = imag_square * (by_real * inverse);
    return true;
}
#else
#define weigh_frequency(model, k, real_ohm, imag_ohm, out) ((void)(model), true)
#endif

void observation_take_usable(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                             uint32_t valid_mask, measured_t *out)
{
    const unsigned n_frequencies = MODEL_N_FREQUENCIES;
    real_t *part_ohm = out->part_ohm;
    for (unsigned k = 0; k < n_frequencies; k++, valid_mask >>= 1) {
        const float real_ohm = z_real_ohm[k];
        const float imag_ohm = z_imag_ohm[k];
        const bool is_there = (valid_mask & 1U) != 0U && fmath_has_logarithm(real_ohm) && fmath_is_finite(imag_ohm) &&
                              weigh_frequency(model, k, real_ohm, imag_ohm, out);
        part_ohm[k] = is_there ? real_ohm : REAL(0);
        part_ohm[n_frequencies + k] = is_there && fmath_has_logarithm(-imag_ohm) ? -imag_ohm : REAL(0);
    }
}

void observation_read_inputs(const model_t *model, const real_t *modes, const conditions_t *conditions,
                             network_input_t *input)
{
    const unsigned n_mode_inputs = N_MODE_INPUTS;
    real_t value[MODEL_N_INPUTS];
#pragma GCC unroll 8
    for (unsigned c = 0; c < n_mode_inputs; c++) {
        value[c] = modes[model_channel_mode[c]];
    }
    value[N_MODE_INPUTS] = conditions->voltage_V;
    value[N_MODE_INPUTS + 1U] = conditions->inverse_temperature;
#pragma GCC unroll 8
    for (unsigned c = 0; c < MODEL_N_INPUTS; c++) {
        input[c] = network_read_input(&model->network, c, value[c]);
    }
}

void observation_predict(const model_t *model, const real_t *modes, const conditions_t *conditions,
                         network_work_t *work)
{
    network_input_t input[MODEL_N_INPUTS];
    observation_read_inputs(model, modes, conditions, input);
    network_evaluate(&model->network, input, work);
}

void observation_context_std(const model_t *model, const conditions_t *conditions, real_t *std)
{
    const nn_t *nn = &model->network;
    const real_t inverse = conditions->inverse_temperature;
    const real_t of_inverse_temperature = model->temperature_std_K * (inverse * inverse * REAL(1e-3f));
    if (MODEL_N_TANGENTS < MODEL_N_INPUTS) {
        std[0] = of_inverse_temperature;
    } else {
        std[0] = network_column_scale(nn, N_MODE_INPUTS) * model->voltage_std_V;
        std[MODEL_N_CONTEXTS - 1U] = network_column_scale(nn, N_MODE_INPUTS + 1U) * of_inverse_temperature;
    }
}

/* The series terms' coefficients and modes. */
typedef struct {
    const float *coefficient[MODEL_N_SERIES_TERMS + 1U]; /* one more, for there to be one */
    real_t mode[MODEL_N_SERIES_TERMS + 1U];
} series_t;

static inline series_t read_series_terms(const model_t *model, const real_t *modes)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    series_t series;
#pragma GCC unroll 4
    for (unsigned t = 0; t < n_terms; t++) {
        series.coefficient[t] = model->series_term[t].coefficient;
        series.mode[t] = modes[model_channel_mode[N_MODE_INPUTS + t]];
    }
    return series;
}

/* Their sum in observation i, in ohm. */
static inline real_t sum_series_terms(const series_t *series, unsigned i)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    real_t series_ohm = REAL(0);
#pragma GCC unroll 4
    for (unsigned t = 0; t < n_terms; t++) {
        const real_t coefficient = series->coefficient[t][i];
        const real_t mode = series->mode[t];
        /* cppcheck-suppress knownConditionTrueFalse ; other models have more terms than one */
        series_ohm = t == 0U ? coefficient * mode : real_add_product(series_ohm, coefficient, mode);
    }
    return series_ohm;
}

void observation_expect(const model_t *model, const network_work_t *work, const real_t *modes, unsigned column,
                        bool *used, real_t *h, unsigned stride)
{
    const observable_t *observable = model->observable;
    const series_t series = read_series_terms(model, modes);
    const fmath_exp_factors_t factors = fmath_exp_load_factors();
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, h += stride) {
        if (!used[i]) {
            continue;
        }
        *h = network_output(&model->network, work, i, column);
        if (fmath_is_positive(observable[i].series_scale)) {
            const real_t expected_ohm = fmath_exp_with(&factors, *h) + sum_series_terms(&series, i);
            used[i] = fmath_has_logarithm(expected_ohm);
            *h = used[i] ? fmath_log_less(expected_ohm, REAL(0)) : FMATH_NAN;
        }
    }
}

/* What an observation_t needs besides the network's gradient: with l = exp(y) + series and e = exp(-y), h = y +
 * ln(1 + series e), dh/dy = 1 / (1 + series e) and dh/d(mode) = coefficient e dh/dy; without series terms h = y. */
typedef struct {
    real_t by_term[MODEL_N_SERIES_TERMS + 1U]; /* over dh/dy and the row's scale; one more, for there to be one */
    real_t share;                              /* dh/dy */
    real_t argument;                           /* of the innovation's logarithm, */
    bool has_innovation;                       /* unless this tells that it is known */
    real_t innovation;
} link_t;

/* From z in the place of the argument. False where l is not positive. The innovation is ln(1 + d), d = (z - l) / l, which
 * most often is small; a quotient that a float cannot hold counts as the last one that it can. */
static inline bool link_in_series(const observable_t *observable, const series_t *series,
                                  const fmath_exp_factors_t *factors, unsigned i, real_t y, link_t *link)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    const real_t series_ohm = sum_series_terms(series, i);
    const real_t inverse = fmath_exp_with(factors, -y);
    const real_t expected = REAL(1) + series_ohm * inverse;
    const real_t z = link->argument;
    link->share = REAL(1) / expected;
    const real_t d = ((z - series_ohm) * inverse - REAL(1)) * link->share;
    link->has_innovation = fmath_is_within(d, FMATH_NEAR);
    if (__builtin_expect(link->has_innovation, 1)) {
        link->innovation = fmath_log_near_one(d);
    } else {
        if (!fmath_has_logarithm(expected)) {
            return false;
        }
        link->argument = z * link->share;
        if (!fmath_has_logarithm(link->argument)) {
            link->argument = z < expected ? FMATH_SMALLEST_NORMAL : FMATH_LARGEST;
        }
    }
    const real_t factor = inverse * network_row_inverse_scale(observable);
#pragma GCC unroll 4
    for (unsigned t = 0; t < n_terms; t++) {
        link->by_term[t] = series->coefficient[t][i] * factor;
    }
    return true;
}

/* The second-order term c of an observation over sqrt(1/2) and `scale`, and the innovation less it. */
static inline real_t take_bend(const network_row_t *row, network_sum_t aside, real_t scale, real_t *innovation)
{
#if MODEL_HAS_CURVATURE
    const real_t bend = network_row_bend(row, aside);
    *innovation = real_subtract_product(*innovation, bend * scale, SQRT_HALF);
    return bend;
#else
    (void)row, (void)aside, (void)scale, (void)innovation;
    return REAL(0);
#endif
}

/* Returns nu^2 / v. */
static inline real_t write_observation(const network_row_t *row, const network_numbers_t *network, const link_t *link,
                                       network_sum_t aside, real_t inverse_variance, observation_t *out)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    real_t number[INFORMATION_N_NUMBERS];
    real_t innovation = link->innovation;
    const real_t scale = link->share * network->scale;
    number[0] = take_bend(row, aside, scale, &innovation);
#pragma GCC unroll 16
    for (unsigned k = 0; k < NETWORK_N_DERIVATIVES; k++) {
        number[MODEL_HAS_CURVATURE + k] = network->gradient[k];
    }
    const real_t weight = scale * inverse_variance;
    number[INFORMATION_N_SHARED] = weight * scale;
    number[INFORMATION_N_SHARED + 1U] = weight * innovation;
#pragma GCC unroll 4
    for (unsigned t = 0; t < n_terms; t++) {
        number[INFORMATION_N_SHARED + 2U + t] = link->by_term[t];
    }
    block_store(out->gradient, INFORMATION_N_NUMBERS, number);
    return innovation * innovation * inverse_variance;
}

observations_t observation_linearise(const model_t *model, const network_work_t *work, const conditions_t *conditions,
                                     const real_t *modes, const network_sum_t *aside, const measured_t *measured,
                                     observation_t *out)
{
    const observation_t *const first = out;
    real_t length = REAL(0);
    real_t log_det = REAL(0);
    const observable_t *observable = model->observable;
    network_row_t row = network_first_row(model, work);
    const real_t inverse_temperature = conditions->inverse_temperature;
    const series_t series = read_series_terms(model, modes);
    const fmath_exp_factors_t factors = fmath_exp_load_factors();
    const unsigned n_in_series = MODEL_N_IN_SERIES;
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, observable++, network_next_row(&row)) {
        if (!fmath_is_positive(measured->part_ohm[i])) {
            continue;
        }
        const network_numbers_t network = network_row_numbers(&row, inverse_temperature);
        link_t link = {.share = REAL(1), .argument = measured->part_ohm[i]};
        if (i < n_in_series && !link_in_series(observable, &series, &factors, i, network.output, &link)) {
            continue;
        }
        if (!link.has_innovation) {
            link.innovation = fmath_log_less(link.argument, network.output);
        }
        length += write_observation(&row, &network, &link, MODEL_HAS_CURVATURE ? aside[i] : 0,
                                    observation_inverse_variance(observable, measured, i), out++);
        log_det += observation_log_variance(observable, measured, i);
    }
    return (observations_t){first, (unsigned)(out - first), length, log_det};
}
