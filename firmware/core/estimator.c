#include "estimator.h"

#include "block_moves.h"
#include "fmath.h"
#include "readout.h"
#include "update.h"

#include <float.h>
#include <string.h>

#define ELAPSED_MAX          FLT_MAX
#define VOLTAGE_MAX_V        10.0f
#define TEMPERATURE_MIN_DEGC (-60.0f)
#define TEMPERATURE_MAX_DEGC 100.0f

void estimator_init(estimator_t *e, const model_t *model)
{
    memset(e, 0, sizeof *e);
    gate_init(&e->gate);
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        const prior_t *prior = &model->prior[b];
        e->log_weight[b] = prior->log_weight;
        for (unsigned i = 0; i < MODEL_N_STATES; i++) {
            e->filter[b].x[i] = prior->mean[i];
        }
        for (unsigned i = 0; i < MODEL_N_COVARIANCE; i++) {
            e->filter[b].P[i] = prior->covariance[i];
        }
    }
}

/* Written so that NaN fails every comparison. */
static inline bool input_is_sound(const estimator_input_t *in)
{
    return in->elapsed_cycles >= 0.0f && in->elapsed_cycles <= ELAPSED_MAX && in->voltage_V >= 0.0f &&
           in->voltage_V <= VOLTAGE_MAX_V && in->temperature_degC >= TEMPERATURE_MIN_DEGC &&
           in->temperature_degC <= TEMPERATURE_MAX_DEGC;
}

bool estimator_accepts(const estimator_input_t *in)
{
    return input_is_sound(in);
}

static unsigned heaviest_filter(const estimator_t *e)
{
    unsigned heaviest = 0;
    for (unsigned b = 1; b < MODEL_N_PRIORS; b++) {
        heaviest = e->log_weight[b] > e->log_weight[heaviest] ? b : heaviest;
    }
    return heaviest;
}

/* ln w_b <- ln w_b - (NIS_b + sum ln S)/2, then normalised. Returns the heaviest filter. */
static unsigned weigh_filters(estimator_t *e, const evidence_t *evidence)
{
    if (MODEL_N_PRIORS == 1U) {
        return 0;
    }
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        e->log_weight[b] -= REAL(0.5f) * (evidence[b].nis + evidence[b].log_det);
    }
    const unsigned heaviest = heaviest_filter(e);
    const real_t largest = e->log_weight[heaviest];
    real_t sum = REAL(0);
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        sum += fmath_exp(e->log_weight[b] - largest);
    }
    const real_t shift = largest + fmath_log(sum);
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        e->log_weight[b] -= shift;
    }
    return heaviest;
}

/* Equations 1 to 7 on *e. False when a filter cannot be updated; *e is then of no use. */
static bool apply_spectrum(estimator_t *e, const model_t *model, estimator_work_t *work, const estimator_input_t *in,
                           evidence_t *heaviest)
{
    const conditions_t conditions = observation_conditions(in->voltage_V, in->temperature_degC);
    evidence_t evidence[MODEL_N_PRIORS];
    e->cycles += in->elapsed_cycles;
    e->steps++;
    trajectory_interpolate(&work->trajectory, model, e->cycles);
    observation_take_usable(model, in->z_real_ohm, in->z_imag_ohm, in->valid_mask, &work->measured);
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        gaussian_predict(&e->filter[b], model, in->elapsed_cycles);
        if (!update_filter(&e->filter[b], model, &work->trajectory, &conditions, &work->measured, &work->update,
                           &evidence[b])) {
            return false;
        }
    }
    *heaviest = evidence[weigh_filters(e, evidence)];
    return true;
}

/* The filters become those that they were `before`, after the same time without the spectrum. */
static void take_back_spectrum(estimator_t *e, const estimator_t *before, const model_t *model, real_t elapsed_cycles)
{
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        e->filter[b] = before->filter[b];
        e->log_weight[b] = before->log_weight[b];
        gaussian_predict(&e->filter[b], model, elapsed_cycles);
    }
}

/* x = sum w_b x_b, P = sum w_b (P_b + (x_b - x)(x_b - x)^T). False where filters are so far apart that P is not finite. */
static bool mix_states(const estimator_t *e, const real_t *weight, estimator_output_t *out)
{
    bool sound = true;
    real_t x[MODEL_N_STATES] = {REAL(0)};
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        for (unsigned i = 0; i < MODEL_N_STATES; i++) {
            x[i] += weight[b] * e->filter[b].x[i];
        }
    }
    unsigned packed = 0;
    for (unsigned i = 0; i < MODEL_N_STATES; i++) {
        out->x[i] = (float)x[i];
        for (unsigned j = i; j < MODEL_N_STATES; j++, packed++) {
            real_t P = REAL(0);
            for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
                const gaussian_t *f = &e->filter[b];
                P += weight[b] * (f->P[packed] + (f->x[i] - x[i]) * (f->x[j] - x[j]));
            }
            out->P[packed] = (float)P;
            sound = sound && fmath_is_finite(P);
        }
    }
    return sound;
}

static void copy_state(const gaussian_t *f, estimator_output_t *out)
{
#if defined(REAL_IS_DOUBLE)
    for (unsigned i = 0; i < MODEL_N_STATES; i++) {
        out->x[i] = (float)f->x[i];
    }
    for (unsigned i = 0; i < MODEL_N_COVARIANCE; i++) {
        out->P[i] = (float)f->P[i];
    }
#else
    block_copy(out->x, f->x, MODEL_N_STATES);
    block_copy(out->P, f->P, MODEL_N_COVARIANCE);
#endif
}

/* Value and variance of a readout by one filter. */
static real_t evaluate_readout(const readout_t *readout, const trajectory_t *trajectory, const gaussian_t *f,
                               real_t *variance)
{
    real_t modes[MODEL_N_MODES];
    real_t by_mode[MODEL_N_MODES];
    real_t by_state[MODEL_N_STATES];
    trajectory_map_state(trajectory, f->x, modes);
    const real_t value = readout_evaluate(readout, modes, by_mode);
    trajectory_map_gradient(trajectory, by_mode, by_state);
    *variance = gaussian_variance(f, by_state);
    return value;
}

/* r = sum w_b r_b, sigma^2 = residual^2 + sum w_b (g_b^T P_b g_b + (r_b - r)^2). */
static real_t mix_readout(const readout_t *readout, const estimator_t *e, const trajectory_t *trajectory,
                          const real_t *weight, real_t *sigma)
{
    real_t value[MODEL_N_PRIORS];
    real_t variance[MODEL_N_PRIORS];
    real_t mean = REAL(0);
    real_t total = readout->residual_variance;
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        value[b] = evaluate_readout(readout, trajectory, &e->filter[b], &variance[b]);
        mean += weight[b] * value[b];
    }
    for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
        total += weight[b] * (variance[b] + (value[b] - mean) * (value[b] - mean));
    }
    *sigma = fmath_sqrt(total);
    return mean;
}

/* The trajectory is the one at e->cycles. False when the variance of the state or of a readout is not one: rounding at
 * extreme covariances. */
static bool report(const estimator_t *e, const model_t *model, const trajectory_t *trajectory, estimator_output_t *out)
{
    bool sound = true;
    real_t weight[MODEL_N_PRIORS] = {REAL(1)};
    if (MODEL_N_PRIORS == 1U) {
        copy_state(&e->filter[0], out);
    } else {
        for (unsigned b = 0; b < MODEL_N_PRIORS; b++) {
            weight[b] = fmath_exp(e->log_weight[b]);
        }
        sound = mix_states(e, weight, out);
    }
    for (unsigned r = 0; r < MODEL_N_READOUTS; r++) {
        real_t sigma;
        out->readout[r] = (float)mix_readout(&model->readout[r], e, trajectory, weight, &sigma);
        out->readout_sigma[r] = (float)sigma;
        sound = sound && fmath_is_finite(sigma);
    }
    return sound;
}

void estimator_report(const estimator_t *e, const model_t *model, estimator_work_t *work, estimator_output_t *out)
{
    trajectory_interpolate(&work->trajectory, model, e->cycles);
    (void)report(e, model, &work->trajectory, out);
    out->n_used = 0;
    out->nis = 0.0f;
}

static estimator_status_t refuse(estimator_t *e, const estimator_work_t *work)
{
    *e = work->before;
    return ESTIMATOR_REJECTED_COVARIANCE;
}

estimator_status_t estimator_step(estimator_t *e, const model_t *model, estimator_work_t *work,
                                  const estimator_input_t *in, estimator_output_t *out)
{
    evidence_t evidence;
    if (!input_is_sound(in)) {
        return ESTIMATOR_REJECTED_INPUT;
    }
    block_copy(&work->before, e, sizeof *e / sizeof(uint32_t));
    if (!apply_spectrum(e, model, work, in, &evidence)) {
        return refuse(e, work);
    }
    const bool is_outlier = MODEL_HAS_GATE && gate_refuses(&e->gate, model, &evidence);
    if (is_outlier) {
        take_back_spectrum(e, &work->before, model, in->elapsed_cycles);
    }
    if (!report(e, model, &work->trajectory, out)) {
        return refuse(e, work);
    }
    out->n_used = evidence.n_used;
    out->nis = (float)evidence.nis;
    if (is_outlier) {
        return ESTIMATOR_OUTLIER;
    }
    return evidence.n_used < MODEL_N_OBSERVATIONS ? ESTIMATOR_POINTS_SKIPPED : ESTIMATOR_OK;
}
