/* Any bytes, laid over plausible step requests: a spectrum is applied or left out and leaves finite numbers, or it
 * is refused and changes nothing. */
#include "estimator.h"
#include "fmath.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_BYTES sizeof(wire_step_request_t)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check(fmath_is_finite(values[i]));
    }
}

static void step(estimator_t *estimator, estimator_work_t *work, const wire_step_request_t *request)
{
    const estimator_t before = *estimator;
    const estimator_input_t input = {
        .elapsed_cycles = request->elapsed_cycles,
        .voltage_V = request->voltage_V,
        .temperature_degC = request->temperature_degC,
        .valid_mask = request->valid_mask,
        .z_real_ohm = request->z_real_ohm,
        .z_imag_ohm = request->z_imag_ohm,
    };
    estimator_output_t out;
    const estimator_status_t status = estimator_step(estimator, &eishil_model, work, &input, &out);
    if (status == ESTIMATOR_REJECTED_INPUT || status == ESTIMATOR_REJECTED_COVARIANCE) {
        check(memcmp(&before, estimator, sizeof before) == 0);
        return;
    }
    check(gaussian_is_sound(&estimator->filter[0]) && fmath_is_finite(out.nis));
    check_finite(out.x, MODEL_N_STATES);
    check_finite(out.P, MODEL_N_COVARIANCE);
    check_finite(out.readout, MODEL_N_READOUTS);
    check_finite(out.readout_sigma, MODEL_N_READOUTS);
}

/* Bits of a plausible request that the data turn over: what begins with zeros gets past the first checks. */
static wire_step_request_t disturb(const uint8_t *data)
{
    wire_step_request_t request = {
        .elapsed_cycles = 10.0f, .voltage_V = 3.7f, .temperature_degC = 25.0f, .valid_mask = UINT32_MAX};
    uint8_t *bytes = (uint8_t *)&request;
    for (unsigned k = 0; k < MODEL_N_FREQUENCIES; k++) {
        request.z_real_ohm[k] = 0.02f;
        request.z_imag_ohm[k] = -0.005f;
    }
    for (size_t i = 0; i < sizeof request; i++) {
        bytes[i] ^= data[i];
    }
    return request;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static estimator_t estimator;
    static estimator_work_t work;
    estimator_init(&estimator, &eishil_model);
    estimator.gate.probation = 0; /* armed: what the data make of a spectrum is hardly ever plausible */
    for (; size >= REQUEST_BYTES; data += REQUEST_BYTES, size -= REQUEST_BYTES) {
        const wire_step_request_t request = disturb(data);
        step(&estimator, &work, &request);
    }
    return 0;
}
