/* An RTOS of three functions: spectra from standard input, estimates to standard output, floats as hexadecimals. */
#include "cell_task.h"

#include <stddef.h>
#include <stdio.h>

static bool read_floats(float *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (scanf("%f", &values[i]) != 1) {
            return false;
        }
    }
    return true;
}

bool spectrum_receive(spectrum_t *s)
{
    return scanf("%u", &s->cell) == 1 && read_floats(&s->elapsed_cycles, 1) && read_floats(&s->voltage_V, 1) &&
           read_floats(&s->temperature_degC, 1) && read_floats(s->z_real_ohm, MODEL_N_FREQUENCIES) &&
           read_floats(s->z_imag_ohm, MODEL_N_FREQUENCIES);
}

void estimate_send(unsigned cell, estimator_status_t status, const estimator_output_t *estimate)
{
    printf("%u %d %a %a\n", cell, (int)status, (double)estimate->readout[0], (double)estimate->readout_sigma[0]);
}

int main(void)
{
    cell_task(NULL);
    return 0;
}
