#include "observation.h"

#include "fmath.h"

#define N_MODE_INPUTS (MODEL_N_INPUTS - 2U)

void observation_take_usable(const model_t *model, const float *z_real_ohm, const float *z_imag_ohm,
                             uint32_t valid_mask, real_t *z)
{
    const unsigned n_frequencies = model->n_frequencies;
    for (unsigned k = 0; k < n_frequencies; k++) {
        const bool measured =
            (valid_mask >> k & 1U) != 0U && fmath_has_logarithm(z_real_ohm[k]) && fmath_is_finite(z_imag_ohm[k]);
        z[k] = measured ? z_real_ohm[k] : FMATH_NAN;
        z[n_frequencies + k] = measured && fmath_has_logarithm(-z_imag_ohm[k]) ? -z_imag_ohm[k] : FMATH_NAN;
    }
}

void observation_read_inputs(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                             const conditions_t *conditions, real_t *modes, network_input_t *input)
{
    const nn_t *nn = &model->network;
    const unsigned n_mode_inputs = N_MODE_INPUTS;
    trajectory_map_state(trajectory, state, modes);
    for (unsigned c = 0; c < n_mode_inputs; c++) {
        input[c] = network_read_input(nn, c, modes[model->input_mode[c]]);
    }
    input[N_MODE_INPUTS] = network_read_input(nn, N_MODE_INPUTS, conditions->voltage_V);
    input[N_MODE_INPUTS + 1U] = network_read_input(nn, N_MODE_INPUTS + 1U, REAL(1000) / conditions->temperature_K);
}

void observation_predict(const model_t *model, const trajectory_t *trajectory, const real_t *state,
                         const conditions_t *conditions, real_t *modes, network_work_t *work)
{
    network_input_t input[MODEL_N_INPUTS];
    observation_read_inputs(model, trajectory, state, conditions, modes, input);
    network_evaluate(&model->network, input, work);
}

static inline real_t square(real_t x)
{
    return x * x;
}

void observation_context_std(const model_t *model, const conditions_t *conditions, real_t *std)
{
    const nn_t *nn = &model->network;
    std[0] = network_column_scale(nn, N_MODE_INPUTS) * model->voltage_std_V;
    std[1] = network_column_scale(nn, N_MODE_INPUTS + 1U) * model->temperature_std_K *
             (REAL(1000) / square(conditions->temperature_K));
}

/* ln(measured / expected) without leaving the range on the way. */
static real_t log_ratio(real_t measured, real_t expected)
{
    const real_t ratio = fmath_log(measured / expected);
    return fmath_is_finite(ratio) ? ratio : fmath_log(measured) - fmath_log(expected);
}

/* How one observation hangs together with the network's output y: dh/dy, and the innovation. */
typedef struct {
    real_t by_output;
    real_t innovation;
} link_t;

/* Expected impedance l = exp(y) + terms: dh/dy = exp(y) / l, dh/d(mode) = coefficient / l, and the latter in units of
 * dh/dy times the network's row scale. False where l is not positive. */
static inline bool add_series_terms(const model_t *model, const real_t *modes, unsigned i, real_t y, real_t z,
                                    link_t *link, real_t *gradient)
{
    const unsigned n_terms = MODEL_N_SERIES_TERMS;
    real_t series_ohm = REAL(0);
    bool any = false;
    for (unsigned t = 0; t < n_terms; t++) {
        const series_term_t *term = &model->series_term[t];
        const real_t coefficient = term->coefficient[i];
        gradient[t] = coefficient;
        if (coefficient != REAL(0)) {
            series_ohm += coefficient * modes[term->mode];
            any = true;
        }
    }
    if (!any) {
        *link = (link_t){REAL(1), fmath_log(z) - y};
        return true;
    }
    const real_t network_ohm = fmath_exp(y);
    const real_t total_ohm = network_ohm + series_ohm;
    if (!fmath_has_logarithm(total_ohm)) {
        return false;
    }
    *link = (link_t){network_ohm / total_ohm, log_ratio(z, total_ohm)};
    const real_t factor = REAL(1) / (network_ohm * network_row_scale(&model->network, i));
    for (unsigned t = 0; t < n_terms; t++) {
        gradient[t] *= factor;
    }
    return true;
}

bool observation_expect(const model_t *model, const real_t *modes, unsigned i, real_t y, expectation_t *out)
{
    link_t link;
    real_t unused[MODEL_N_CHANNELS];
    if (!add_series_terms(model, modes, i, y, REAL(1), &link, unused)) {
        return false;
    }
    *out = (expectation_t){.h = -link.innovation, .by_output = link.by_output};
    return true;
}

/* False where there is no expectation. */
static inline bool linearise(const model_t *model, const network_work_t *work, const real_t *modes, unsigned i,
                             real_t z, observation_t *row)
{
    const nn_t *nn = &model->network;
    const unsigned n_mode_inputs = N_MODE_INPUTS;
    const real_t inverse_variance = model->noise[i].inverse_variance;
    real_t *by_mode = row->gradient + INFORMATION_N_CONTEXTS;
    link_t link;
    if (!add_series_terms(model, modes, i, network_output(nn, work, i, 0), z, &link, by_mode + N_MODE_INPUTS)) {
        return false;
    }
    row->gradient[0] = network_gradient(work, i, N_MODE_INPUTS);
    row->gradient[1] = network_gradient(work, i, N_MODE_INPUTS + 1U);
#pragma GCC unroll 8
    for (unsigned c = 0; c < n_mode_inputs; c++) {
        by_mode[c] = network_gradient(work, i, c);
    }
    const real_t scale = network_row_scale(nn, i) * link.by_output;
    const real_t weight = scale * inverse_variance;
    row->weight = weight * scale;
    row->weighted_innovation = weight * link.innovation;
    row->length = square(link.innovation) * inverse_variance;
    return true;
}

unsigned observation_linearise(const model_t *model, const network_work_t *work, const real_t *modes, const real_t *z,
                               observation_t *out, real_t *log_det)
{
    unsigned n_used = 0;
    *log_det = REAL(0);
    for (unsigned i = 0; i < MODEL_N_OBSERVATIONS; i++) {
        if (!fmath_is_finite(z[i]) || !linearise(model, work, modes, i, z[i], &out[n_used])) {
            continue;
        }
        n_used++;
        if (MODEL_N_PRIORS > 1U) {
            *log_det += model->noise[i].log_variance;
        }
    }
    return n_used;
}
