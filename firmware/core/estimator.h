/* The estimator: one spectrum in, state, covariance and readouts out. Reentrant: all state is in estimator_t, and what a
 * step needs meanwhile in the caller's estimator_work_t, which several estimators may take turns with. */
#ifndef EISHIL_CORE_ESTIMATOR_H
#define EISHIL_CORE_ESTIMATOR_H

#include "gate.h"
#include "model.h"
#include "trajectory.h"
#include "update.h"

/* Values are those of the wire's enum status. */
typedef enum {
    ESTIMATOR_OK = 0,
    ESTIMATOR_POINTS_SKIPPED = 1,      /* observations were left out: masked or unusable */
    ESTIMATOR_REJECTED_INPUT = 2,      /* not finite, or voltage, temperature or elapsed cycles out of range */
    ESTIMATOR_REJECTED_COVARIANCE = 3, /* S or P would not be positive and finite */
    ESTIMATOR_OUTLIER = 10 /* the spectrum was not believed: the estimate is the prediction, nis and n_used tell why */
} estimator_status_t;

typedef struct {
    float elapsed_cycles;
    float voltage_V;
    float temperature_degC;
    uint32_t valid_mask;     /* bit k: frequency k was measured */
    const float *z_real_ohm; /* [n_frequencies] */
    const float *z_imag_ohm; /* [n_frequencies], capacitive is negative */
} estimator_input_t;

typedef struct {
    uint32_t n_used;
    float nis;
    float x[MODEL_N_STATES];
    float P[MODEL_N_COVARIANCE];
    float readout[MODEL_N_READOUTS];
    float readout_sigma[MODEL_N_READOUTS];
} estimator_output_t;

typedef struct {
    gaussian_t filter[MODEL_N_PRIORS];
    real_t log_weight[MODEL_N_PRIORS];
    real_t cycles;
    uint32_t steps;
    gate_t gate;
} estimator_t;

/* Nothing in it outlives a call. */
typedef struct {
    estimator_t before; /* the cell as it was */
    trajectory_t trajectory;
    measured_t measured;
    update_work_t update;
} estimator_work_t;

void estimator_init(estimator_t *e, const model_t *model);

/* Whether all but the impedance is finite and in range. */
bool estimator_accepts(const estimator_input_t *in);

/* A rejected spectrum leaves *e as it was, and *out is no estimate. */
estimator_status_t estimator_step(estimator_t *e, const model_t *model, estimator_work_t *work,
                                  const estimator_input_t *in, estimator_output_t *out);

/* The estimate as it stands; n_used and nis are 0. What to answer before the first spectrum and after a rejected one. */
void estimator_report(const estimator_t *e, const model_t *model, estimator_work_t *work, estimator_output_t *out);

#endif
