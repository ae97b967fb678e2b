#include "observation.h"

#include "block_moves.h"
#include "fmath.h"

#define N_MODE_INPUTS (MODEL_N_INPUTS - 2U)
#define N_DERIVATIVES (MODEL_N_CONTEXTS + N_MODE_INPUTS) /* of network_row_gradient */

void observation_take_usable(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                             uint32_t valid_mask, real_t *z)
{
    const unsigned n_frequencies = MODEL_N_FREQUENCIES;
    (void)model;
    for (unsigned k = 0; k < n_frequencies; k++, valid_mask >>= 1) {
        const float real_ohm = z_real_ohm[k];
        const float imag_ohm = z_imag_ohm[k];
        const bool is_there = (valid_mask & 1U) != 0U && fmath_has_logarithm(real_ohm) && fmath_is_finite(imag_ohm);
        z[k] = is_there ? real_ohm : REAL(0);
        z[n_frequencies + k] = is_there && fmath_has_logarithm(-imag_ohm) ? -imag_ohm : REAL(0);
    }
}

void observation_read_inputs(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                             const conditions_t *conditions, real_t *modes, network_input_t *input)
{
    const unsigned n_mode_inputs = N_MODE_INPUTS;
    real_t value[MODEL_N_INPUTS];
    trajectory_map_state(trajectory, state, modes);
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

void observation_predict(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                         const conditions_t *conditions, real_t *modes, network_work_t *work)
{
    network_input_t input[MODEL_N_INPUTS];
    observation_read_inputs(model, trajectory, state, conditions, modes, input);
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

static inline void write_observation(const network_row_t *row, const conditions_t *conditions, const link_t *link,
                                     real_t inverse_variance, observation_t *out)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    real_t number[INFORMATION_N_NUMBERS];
    const real_t innovation = fmath_log_of_normal(link->argument) - link->shift;
    network_row_gradient(row, conditions->inverse_temperature, number);
#pragma GCC unroll 4
    for (unsigned k = N_DERIVATIVES; k < INFORMATION_N; k++) {
        number[k] = k - N_DERIVATIVES < n_terms ? link->by_term[k - N_DERIVATIVES] : REAL(0);
    }
    const real_t scale = link->share * network_row_scale(row);
    const real_t weight = scale * inverse_variance;
    number[INFORMATION_N] = weight * scale;
    number[INFORMATION_N + 1U] = weight * innovation;
    number[INFORMATION_N + 2U] = innovation * innovation * inverse_variance;
    block_store(out->gradient, INFORMATION_N_NUMBERS, number);
}

unsigned observation_linearise(const model_t *model, const network_work_t *work, const conditions_t *conditions,
                               const real_t *modes, const real_t *z, observation_t *out, real_t *log_det)
{
    const observation_t *const first = out;
    const observable_t *observable = model->observable;
    network_row_t row = network_first_row(model, work);
    real_t sum = REAL(0);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++, observable++, network_next_row(&row)) {
        if (!fmath_is_positive(z[i])) {
            continue;
        }
        link_t link = {.share = REAL(1), .argument = z[i], .shift = network_row_output(&row)};
        if (fmath_is_positive(observable->series_scale) && !link_in_series(model, observable, modes, i, &link)) {
            continue;
        }
        write_observation(&row, conditions, &link, observable->inverse_variance, out++);
        sum += MODEL_N_PRIORS > 1U ? observable->log_variance : REAL(0);
    }
    *log_det = sum;
    return (unsigned)(out - first);
}
