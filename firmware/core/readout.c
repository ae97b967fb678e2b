#include "readout.h"

#include "fmath.h"

#include <string.h>

static float scaled_input(const readout_t *readout, const float *modes, unsigned j)
{
    return (modes[readout->input[j]] - readout->input_mean[j]) * readout->input_scale[j];
}

float readout_evaluate(const readout_t *readout, const float *modes, unsigned n_modes, float *gradient)
{
    const float *w1 = readout->w1;
    float value = readout->b2;
    memset(gradient, 0, n_modes * sizeof *gradient);
    for (unsigned i = 0; i < readout->n_hidden; i++, w1 += readout->n_inputs) {
        float sum = readout->b1[i];
        for (unsigned j = 0; j < readout->n_inputs; j++) {
            sum += w1[j] * scaled_input(readout, modes, j);
        }
        float activation = fmath_tanh(sum);
        float slope = readout->w2[i] * (1.0f - activation * activation);
        value += readout->w2[i] * activation;
        for (unsigned j = 0; j < readout->n_inputs; j++) {
            gradient[readout->input[j]] += slope * w1[j] * readout->input_scale[j];
        }
    }
    return value;
}
