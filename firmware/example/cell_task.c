#include "cell_task.h"

#include "integrity.h"

#define N_CELLS    2U
#define ALL_POINTS ((uint32_t)((1ULL << MODEL_N_FREQUENCIES) - 1U))

/* The core has no variables of its own: an estimator for each cell, and one place to work in that they take turns with.
 * They are static here so as not to need a deep stack; any memory will do. */
static estimator_t estimator[N_CELLS];
static estimator_work_t work;

static void estimate_cell(const spectrum_t *spectrum)
{
    const estimator_input_t input = {
        .elapsed_cycles = spectrum->elapsed_cycles,
        .voltage_V = spectrum->voltage_V,
        .temperature_degC = spectrum->temperature_degC,
        .valid_mask = ALL_POINTS,
        .z_real_ohm = spectrum->z_real_ohm,
        .z_imag_ohm = spectrum->z_imag_ohm,
    };
    estimator_output_t estimate;
    estimator_t *const e = &estimator[spectrum->cell];
    const estimator_status_t status = estimator_step(e, &eishil_model, &work, &input, &estimate);
    if (status == ESTIMATOR_REJECTED_INPUT || status == ESTIMATOR_REJECTED_COVARIANCE) {
        estimator_report(e, &eishil_model, &work, &estimate); /* nothing has changed: what was true before */
    }
    estimate_send(spectrum->cell, status, &estimate);
}

void cell_task(void *unused)
{
    spectrum_t spectrum;
    (void)unused;
    if (!integrity_verify_model(&eishil_model)) {
        return; /* the flash has lost a bit: no estimate is better than a wrong one */
    }
    for (unsigned cell = 0; cell < N_CELLS; cell++) {
        estimator_init(&estimator[cell], &eishil_model);
    }
    while (spectrum_receive(&spectrum)) {
        if (spectrum.cell < N_CELLS) {
            estimate_cell(&spectrum);
        }
    }
}
