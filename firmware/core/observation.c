#include "observation.h"

#include "fmath.h"

#define ZERO_CELSIUS_K 273.15f

void observation_take_logarithms(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                                 uint32_t valid_mask, float *z)
{
    const unsigned n_frequencies = model->n_frequencies;
    for (unsigned k = 0; k < n_frequencies; k++) {
        /* fmath_log gives NaN for all that has no logarithm: zero, negative, not finite. */
        bool measured = (valid_mask >> k & 1U) != 0U && fmath_is_finite(z_imag_ohm[k]);
        float log_real = fmath_log(measured ? z_real_ohm[k] : 0.0f);
        z[k] = log_real;
        z[n_frequencies + k] = fmath_log(fmath_is_finite(log_real) ? -z_imag_ohm[k] : 0.0f);
    }
}

void observation_predict(prediction_t *p, const model_t *model, const trajectory_t *trajectory, const float *state,
                         float voltage_V, float temperature_degC)
{
    const nn_t *nn = &model->network;
    const unsigned n_modes = nn->n_inputs - 2U;
    const float temperature_K = temperature_degC + ZERO_CELSIUS_K;
    const float inverse_temperature = 1000.0f / temperature_K;
    int16_t input[MODEL_N_INPUTS];

    trajectory_map_state(trajectory, model, state, p->modes);
    for (unsigned c = 0; c < n_modes; c++) {
        input[c] = nn_quantise_input(nn, c, p->modes[model->input_mode[c]]);
    }
    input[n_modes] = nn_quantise_input(nn, n_modes, voltage_V);
    input[n_modes + 1U] = nn_quantise_input(nn, n_modes + 1U, inverse_temperature);
    p->per_temperature_K = -inverse_temperature / temperature_K;
    nn_evaluate_hidden(nn, input, &p->hidden);
}

/* What the series terms make of a network output y: l = exp(y) + sum of terms, h = ln l. */
typedef struct {
    float h;
    float by_output; /* dh/dy = exp(y) / l */
    float by_series; /* dh/d(term) = 1 / l */
} series_t;

static bool add_series_terms(const prediction_t *p, const model_t *model, unsigned i, float y, series_t *out)
{
    float series_ohm = 0.0f;
    bool any = false;
    for (unsigned t = 0; t < model->n_series_terms; t++) {
        const series_term_t *term = &model->series_term[t];
        series_ohm += term->coefficient[i] * p->modes[term->mode];
        any = any || term->coefficient[i] != 0.0f;
    }
    if (!any) {
        *out = (series_t){.h = y, .by_output = 1.0f, .by_series = 0.0f};
        return true;
    }
    float network_ohm = fmath_exp(y);
    float total_ohm = network_ohm + series_ohm;
    out->h = fmath_log(total_ohm); /* not finite where the total is not positive */
    out->by_series = 1.0f / total_ohm;
    out->by_output = network_ohm * out->by_series;
    return fmath_is_finite(out->h);
}

static float square(float x)
{
    return x * x;
}

bool observation_linearise(const prediction_t *p, const model_t *model, const trajectory_t *trajectory, unsigned i,
                           observation_t *out)
{
    const nn_t *nn = &model->network;
    const unsigned n_modes = nn->n_inputs - 2U;
    int32_t jacobian[MODEL_N_INPUTS];
    series_t series;
    float y = nn_output(nn, i, nn_evaluate_row(nn, &p->hidden, i, jacobian));
    if (!add_series_terms(p, model, i, y, &series)) {
        return false;
    }
    float by_modes[MODEL_N_MODES] = {0.0f};
    for (unsigned c = 0; c < n_modes; c++) {
        by_modes[model->input_mode[c]] += series.by_output * nn_jacobian(nn, i, c, jacobian[c]);
    }
    for (unsigned t = 0; t < model->n_series_terms; t++) {
        by_modes[model->series_term[t].mode] += series.by_series * model->series_term[t].coefficient[i];
    }
    float by_voltage = series.by_output * nn_jacobian(nn, i, n_modes, jacobian[n_modes]);
    float by_inverse = series.by_output * nn_jacobian(nn, i, n_modes + 1U, jacobian[n_modes + 1U]);
    float by_temperature = by_inverse * p->per_temperature_K;
    out->h = series.h;
    out->R = model->noise_variance[i] + square(by_voltage) * model->voltage_variance +
             square(by_temperature) * model->temperature_variance;
    trajectory_map_gradient(trajectory, model, by_modes, out->H);
    return true;
}
