#include "observation.h"

#include "block_moves.h"
#include "fmath.h"

#define N_MODE_INPUTS (MODEL_N_INPUTS - 2U)
#define N_DERIVATIVES (MODEL_N_CONTEXTS + N_MODE_INPUTS) /* of network_row_gradient */
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
#pragma GCC unroll 1
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

/* Sum of the series terms of observation i, in ohm. */
static inline real_t sum_series_terms(const model_t *model, const real_t *modes, unsigned i)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    real_t series_ohm = REAL(0);
#pragma GCC unroll 4
    for (unsigned t = 0; t < n_terms; t++) {
        series_ohm = real_add_product(series_ohm, model->series_term[t].coefficient[i],
                                      modes[model_channel_mode[N_MODE_INPUTS + t]]);
    }
    return series_ohm;
}

void observation_expect(const model_t *model, const network_work_t *work, const real_t *modes, unsigned column,
                        bool *used, real_t *h, unsigned stride)
{
    const observable_t *observable = model->observable;
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, h += stride) {
        if (!used[i]) {
            continue;
        }
        *h = network_output(&model->network, work, i, column);
        if (fmath_is_positive(observable[i].series_scale)) {
            *h = fmath_log(fmath_exp_inline(*h) + sum_series_terms(model, modes, i));
            used[i] = fmath_is_finite(*h);
        }
    }
}

/* What an observation_t needs besides the network's gradient: with l = exp(y) + series and e = exp(-y), h = y +
 * ln(1 + series e), dh/dy = 1 / (1 + series e) and dh/d(mode) = coefficient e dh/dy; without series terms h = y. The
 * innovation is ln(argument) - shift. */
typedef struct {
    real_t by_term[MODEL_N_SERIES_TERMS + 1U]; /* over dh/dy and the row's scale; one more, for there to be one */
    real_t share;                              /* dh/dy */
    real_t argument;
    real_t shift;
} link_t;

/* z and `expected` in the place of their quotient, which is too large or too small for a float. */
static void divide_far_apart(real_t z, real_t expected, link_t *link)
{
    const bool is_small = z < expected;
    const real_t up = REAL(0x1p+64f);
    const real_t down = REAL(0x1p-64f);
    const real_t ln_2 = REAL(0x1.62e43p-1f);
    link->argument = z * (is_small ? up : down) / (expected * (is_small ? down : up));
    link->shift += is_small ? REAL(128) * ln_2 : REAL(-128) * ln_2;
}

/* From z and y in the place of argument and shift. False where l is not positive. */
static inline bool link_in_series(const model_t *model, const observable_t *observable, const real_t *modes, unsigned i,
                                  link_t *link)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    const real_t inverse = fmath_exp_inline(-link->shift);
    const real_t expected = REAL(1) + sum_series_terms(model, modes, i) * inverse;
    if (!fmath_has_logarithm(expected)) {
        return false;
    }
    const real_t z = link->argument;
    link->share = REAL(1) / expected;
    link->argument = z * link->share;
    if (!fmath_has_logarithm(link->argument)) {
        divide_far_apart(z, expected, link);
    }
    const real_t factor = inverse * network_row_inverse_scale(observable);
#pragma GCC unroll 4
    for (unsigned t = 0; t < n_terms; t++) {
        link->by_term[t] = model->series_term[t].coefficient[i] * factor;
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

static inline void write_observation(const network_row_t *row, const conditions_t *conditions, const link_t *link,
                                     network_sum_t aside, real_t inverse_variance, observation_t *out)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    const unsigned first_term = MODEL_HAS_CURVATURE + N_DERIVATIVES;
    real_t number[INFORMATION_N_NUMBERS];
    real_t innovation = fmath_log_of_normal(link->argument) - link->shift;
    const real_t scale = link->share * network_row_scale(row);
    number[0] = take_bend(row, aside, scale, &innovation);
    network_row_gradient(row, conditions->inverse_temperature, number + MODEL_HAS_CURVATURE);
#pragma GCC unroll 4
    for (unsigned k = first_term; k < INFORMATION_N; k++) {
        number[k] = k - first_term < n_terms ? link->by_term[k - first_term] : REAL(0);
    }
    const real_t weight = scale * inverse_variance;
    number[INFORMATION_N] = weight * scale;
    number[INFORMATION_N + 1U] = weight * innovation;
    number[INFORMATION_N + 2U] = innovation * innovation * inverse_variance;
    block_store(out->gradient, INFORMATION_N_NUMBERS, number);
}

unsigned observation_linearise(const model_t *model, const network_work_t *work, const conditions_t *conditions,
                               const real_t *modes, const network_sum_t *aside, const measured_t *measured,
                               observation_t *out, real_t *log_det)
{
    const observation_t *const first = out;
    const observable_t *observable = model->observable;
    network_row_t row = network_first_row(model, work);
    real_t sum = REAL(0);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, observable++, network_next_row(&row)) {
        if (!fmath_is_positive(measured->part_ohm[i])) {
            continue;
        }
        link_t link = {.share = REAL(1), .argument = measured->part_ohm[i], .shift = network_row_output(&row)};
        if (fmath_is_positive(observable->series_scale) && !link_in_series(model, observable, modes, i, &link)) {
            continue;
        }
        write_observation(&row, conditions, &link, MODEL_HAS_CURVATURE ? aside[i] : 0,
                          observation_inverse_variance(observable, measured, i), out++);
        sum += observation_log_variance(observable, measured, i);
    }
    *log_det = sum;
    return (unsigned)(out - first);
}
