#include "estimator.h"

#include "fmath.h"
#include "observation.h"
#include "readout.h"
#include "trajectory.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define VOLTAGE_MAX_V        10.0f
#define TEMPERATURE_MIN_DEGC (-60.0f)
#define TEMPERATURE_MAX_DEGC 100.0f

/* What a spectrum says about one filter. */
typedef struct {
    float nis;
    float log_det;
    uint32_t n_used;
} evidence_t;

void estimator_init(estimator_t *e, const model_t *model)
{
    const unsigned n = model->n_states;
    memset(e, 0, sizeof *e);
    for (unsigned b = 0; b < model->n_priors; b++) {
        const prior_t *prior = &model->prior[b];
        e->log_weight[b] = prior->log_weight;
        memcpy(e->filter[b].x, prior->mean, n * sizeof(float));
        memcpy(e->filter[b].P, prior->covariance, n * (n + 1U) / 2U * sizeof(float));
    }
}

/* Written so that NaN fails every comparison. */
static bool input_is_sound(const estimator_input_t *in)
{
    return fmath_is_finite(in->elapsed_cycles) && in->elapsed_cycles >= 0.0f && in->voltage_V >= 0.0f &&
           in->voltage_V <= VOLTAGE_MAX_V && in->temperature_degC >= TEMPERATURE_MIN_DEGC &&
           in->temperature_degC <= TEMPERATURE_MAX_DEGC;
}

static bool update_filter(ekf_t *f, const model_t *model, const trajectory_t *trajectory,
                          const prediction_t *prediction, const float *z, evidence_t *evidence)
{
    const unsigned n = model->n_states;
    const unsigned n_observations = 2U * model->n_frequencies;
    const ekf_t predicted = *f;
    /* The determinant weighs filters against each other; a lone filter saves its logarithms. */
    float *log_det = model->n_priors > 1U ? &evidence->log_det : NULL;
    *evidence = (evidence_t){0};
    for (unsigned i = 0; i < n_observations; i++) {
        observation_t row;
        if (!fmath_is_finite(z[i]) || !observation_linearise(prediction, model, trajectory, i, &row)) {
            continue;
        }
        float nu = z[i] - row.h;
        for (unsigned j = 0; j < n; j++) {
            nu -= row.H[j] * (f->x[j] - predicted.x[j]);
        }
        if (!ekf_update_scalar(f, n, row.H, nu, row.R, &evidence->nis, log_det)) {
            return false;
        }
        evidence->n_used++;
    }
    return ekf_is_sound(f, n) && fmath_is_finite(evidence->nis);
}

static unsigned heaviest_filter(const estimator_t *e, unsigned n_priors)
{
    unsigned heaviest = 0;
    for (unsigned b = 1; b < n_priors; b++) {
        heaviest = e->log_weight[b] > e->log_weight[heaviest] ? b : heaviest;
    }
    return heaviest;
}

/* ln w_b <- ln w_b - (NIS_b + sum ln S)/2, then normalised. Returns the heaviest filter. */
static unsigned weigh_filters(estimator_t *e, unsigned n_priors, const evidence_t *evidence)
{
    if (n_priors == 1U) {
        return 0;
    }
    for (unsigned b = 0; b < n_priors; b++) {
        e->log_weight[b] -= 0.5f * (evidence[b].nis + evidence[b].log_det);
    }
    unsigned heaviest = heaviest_filter(e, n_priors);
    float largest = e->log_weight[heaviest];
    float sum = 0.0f;
    for (unsigned b = 0; b < n_priors; b++) {
        sum += fmath_exp(e->log_weight[b] - largest);
    }
    float shift = largest + fmath_log(sum);
    for (unsigned b = 0; b < n_priors; b++) {
        e->log_weight[b] -= shift;
    }
    return heaviest;
}

/* Equations 1 to 7 on *e. False when a filter cannot be updated; *e is then of no use. */
static bool apply_spectrum(estimator_t *e, const model_t *model, const estimator_input_t *in, evidence_t *heaviest)
{
    trajectory_t trajectory;
    float z[MODEL_N_OBSERVATIONS];
    evidence_t evidence[MODEL_N_PRIORS];
    e->cycles += in->elapsed_cycles;
    e->steps++;
    trajectory_interpolate(&trajectory, model, e->cycles);
    observation_take_logarithms(model, in->z_real_ohm, in->z_imag_ohm, in->valid_mask, z);
    for (unsigned b = 0; b < model->n_priors; b++) {
        ekf_t *f = &e->filter[b];
        prediction_t prediction;
        ekf_predict(f, model->n_states, model->drift_per_cycle, model->process_variance_per_cycle, in->elapsed_cycles);
        observation_predict(&prediction, model, &trajectory, f->x, in->voltage_V, in->temperature_degC);
        if (!update_filter(f, model, &trajectory, &prediction, z, &evidence[b])) {
            return false;
        }
    }
    *heaviest = evidence[weigh_filters(e, model->n_priors, evidence)];
    return true;
}

/* x = sum w_b x_b, P = sum w_b (P_b + (x_b - x)(x_b - x)^T). */
static void mix_states(const estimator_t *e, const model_t *model, const float *weight, estimator_output_t *out)
{
    const unsigned n = model->n_states;
    memset(out->x, 0, sizeof out->x);
    memset(out->P, 0, sizeof out->P);
    for (unsigned b = 0; b < model->n_priors; b++) {
        for (unsigned i = 0; i < n; i++) {
            out->x[i] += weight[b] * e->filter[b].x[i];
        }
    }
    for (unsigned b = 0; b < model->n_priors; b++) {
        const ekf_t *f = &e->filter[b];
        unsigned packed = 0;
        for (unsigned i = 0; i < n; i++) {
            for (unsigned j = i; j < n; j++, packed++) {
                out->P[packed] += weight[b] * (f->P[packed] + (f->x[i] - out->x[i]) * (f->x[j] - out->x[j]));
            }
        }
    }
}

/* Value and variance of a readout by one filter. */
static float evaluate_readout(const readout_t *readout, const model_t *model, const trajectory_t *trajectory,
                              const ekf_t *f, float *variance)
{
    float modes[MODEL_N_MODES];
    float by_modes[MODEL_N_MODES];
    float by_state[MODEL_N_STATES];
    trajectory_map_state(trajectory, model, f->x, modes);
    float value = readout_evaluate(readout, modes, model->n_modes, by_modes);
    trajectory_map_gradient(trajectory, model, by_modes, by_state);
    *variance = ekf_variance(f, model->n_states, by_state);
    return value;
}

/* r = sum w_b r_b, sigma^2 = residual^2 + sum w_b (g_b^T P_b g_b + (r_b - r)^2). */
static float mix_readout(const readout_t *readout, const estimator_t *e, const model_t *model,
                         const trajectory_t *trajectory, const float *weight, float *sigma)
{
    float value[MODEL_N_PRIORS] = {0.0f};
    float variance[MODEL_N_PRIORS] = {0.0f};
    float mean = 0.0f;
    float total = readout->residual_variance;
    for (unsigned b = 0; b < model->n_priors; b++) {
        value[b] = evaluate_readout(readout, model, trajectory, &e->filter[b], &variance[b]);
        mean += weight[b] * value[b];
    }
    for (unsigned b = 0; b < model->n_priors; b++) {
        total += weight[b] * (variance[b] + (value[b] - mean) * (value[b] - mean));
    }
    *sigma = sqrtf(total);
    return mean;
}

void estimator_report(const estimator_t *e, const model_t *model, estimator_output_t *out)
{
    trajectory_t trajectory;
    float weight[MODEL_N_PRIORS];
    for (unsigned b = 0; b < model->n_priors; b++) {
        weight[b] = fmath_exp(e->log_weight[b]);
    }
    trajectory_interpolate(&trajectory, model, e->cycles);
    mix_states(e, model, weight, out);
    for (unsigned r = 0; r < model->n_readouts; r++) {
        out->readout[r] = mix_readout(&model->readout[r], e, model, &trajectory, weight, &out->readout_sigma[r]);
    }
    out->n_used = 0;
    out->nis = 0.0f;
}

estimator_status_t estimator_step(estimator_t *e, const model_t *model, const estimator_input_t *in,
                                  estimator_output_t *out)
{
    if (!input_is_sound(in)) {
        return ESTIMATOR_REJECTED_INPUT;
    }
    estimator_t work = *e;
    evidence_t evidence;
    if (!apply_spectrum(&work, model, in, &evidence)) {
        return ESTIMATOR_REJECTED_COVARIANCE;
    }
    *e = work;
    estimator_report(e, model, out);
    out->n_used = evidence.n_used;
    out->nis = evidence.nis;
    return evidence.n_used < 2U * model->n_frequencies ? ESTIMATOR_POINTS_SKIPPED : ESTIMATOR_OK;
}
