#include "commissioning.h"

#include "fmath.h"
#include "observation.h"

#include <string.h>

#define M                    MODEL_N_OBSERVATIONS
#define COMMISSIONING_CHANGE REAL(0.25) /* of an offset over a life; docs/estimator.md has how it was chosen */

void commissioning_init(commissioning_t *c)
{
    memset(c, 0, sizeof *c);
}

/* Running mean and sum of squares: Welford, Note on a method for calculating corrected sums of squares, 1962. */
static void add_difference(commissioning_observation_t *sum, real_t difference, real_t expected_variance)
{
    const real_t before = difference - sum->offset;
    sum->count++;
    sum->offset += before / (real_t)sum->count;
    sum->variance += before * (difference - sum->offset);
    sum->expected += expected_variance;
}

/* A call: what it needs is no part of the stack while the network is evaluated. */
static __attribute__((noinline)) void add_observations(commissioning_t *c, const model_t *model,
                                                       const conditions_t *conditions, const network_work_t *network,
                                                       const real_t *modes, const measured_t *measured)
{
    bool used[M];
    real_t h[M];
    real_t std[MODEL_N_CONTEXTS];
    real_t context[MODEL_N_CONTEXTS];
    for (unsigned i = 0; i < M; i++) {
        used[i] = fmath_is_positive(measured->part_ohm[i]);
    }
    observation_expect(model, network, modes, 0, used, h, 1);
    observation_context_std(model, conditions, std);
    network_row_t row = network_first_row(model, network);
    for (unsigned i = 0; i < M; i++, network_next_row(&row)) {
        if (used[i]) {
            observation_weigh_context(&row, conditions, h[i], std, context);
            real_t variance = REAL(1) / observation_inverse_variance(&model->observable[i], measured, i);
            for (unsigned k = 0; k < MODEL_N_CONTEXTS; k++) {
                variance += context[k] * context[k];
            }
            add_difference(&c->observation[i], fmath_log(measured->part_ohm[i]) - h[i], variance);
        }
    }
}

bool commissioning_add(commissioning_t *c, const model_t *model, estimator_work_t *work, const estimator_input_t *in)
{
    real_t modes[MODEL_N_MODES];
    if (!estimator_accepts(in)) {
        return false;
    }
    const conditions_t conditions = observation_conditions(in->voltage_V, in->temperature_degC);
    estimator_init(&work->before, model);
    trajectory_interpolate(&work->trajectory, model, REAL(0));
    observation_take_usable(model, in->z_real_ohm, in->z_imag_ohm, in->valid_mask, &work->measured);
    trajectory_map_state(&work->trajectory, work->before.filter[0].x, modes);
    observation_predict(model, modes, &conditions, &work->update.network);
    add_observations(c, model, &conditions, &work->update.network, modes, &work->measured);
    c->n_spectra++;
    return true;
}

/* What the observations that were seen often enough say together. */
typedef struct {
    unsigned count;
    real_t beyond; /* mean scatter beyond what the model expects, 0 at least */
    real_t square; /* mean square of the offsets */
} summary_t;

static bool is_known(const commissioning_observation_t *one)
{
    return one->count >= COMMISSIONING_LEAST_SPECTRA;
}

static real_t scatter(const commissioning_observation_t *one)
{
    return one->variance / (real_t)(one->count - 1U);
}

static summary_t summarise(const commissioning_t *c)
{
    summary_t sum = {.count = 0};
    for (unsigned i = 0; i < M; i++) {
        const commissioning_observation_t *one = &c->observation[i];
        if (is_known(one)) {
            sum.count++;
            sum.square += one->offset * one->offset;
            sum.beyond += scatter(one) - one->expected / (real_t)one->count;
        }
    }
    const real_t share = sum.count > 0U ? REAL(1) / (real_t)sum.count : REAL(0);
    sum.square *= share;
    sum.beyond = sum.beyond > REAL(0) ? sum.beyond * share : REAL(0);
    return sum;
}

bool commissioning_finish(commissioning_t *c)
{
    if (c->n_spectra < COMMISSIONING_LEAST_SPECTRA) {
        return false;
    }
    const summary_t sum = summarise(c);
    const real_t changes = COMMISSIONING_CHANGE * COMMISSIONING_CHANGE * sum.square;
    for (unsigned i = 0; i < M; i++) {
        commissioning_observation_t *one = &c->observation[i];
        const bool known = is_known(one);
        one->variance = known ? sum.beyond + changes + scatter(one) / (real_t)one->count : sum.square;
        one->offset = known ? one->offset : REAL(0);
    }
    return true;
}

/* What is left of a cell's own constants, on top of the model's variance. */
static void add_variance(observable_t *observable, real_t left)
{
#if MODEL_NOISE_FOLLOWS_SPECTRUM
    observable->variance = (float)(observable->variance + left);
#else
    const real_t variance = REAL(1) / observable->inverse_variance + left;
    observable->inverse_variance = (float)(REAL(1) / variance);
    observable->log_variance = (float)fmath_log(variance);
#endif
}

void commissioning_adapt(const commissioning_t *c, const model_t *model, commissioned_cell_t *cell)
{
    cell->model = *model;
    cell->model.observable = cell->observable;
    for (unsigned i = 0; i < M; i++) {
        cell->observable[i] = model->observable[i];
        add_variance(&cell->observable[i], c->observation[i].variance);
        cell->factor[i] = (float)fmath_exp(-c->observation[i].offset);
    }
}

void commissioning_correct(const commissioned_cell_t *cell, const estimator_input_t *in, float *z_real_ohm,
                           float *z_imag_ohm, estimator_input_t *out)
{
    for (unsigned k = 0; k < MODEL_N_FREQUENCIES; k++) {
        z_real_ohm[k] = in->z_real_ohm[k] * cell->factor[k];
        z_imag_ohm[k] = in->z_imag_ohm[k] * cell->factor[MODEL_N_FREQUENCIES + k];
    }
    *out = *in;
    out->z_real_ohm = z_real_ohm;
    out->z_imag_ohm = z_imag_ohm;
}
