/* The estimator in a task of an RTOS, without the bench: one task, several cells. */
#ifndef EISHIL_EXAMPLE_CELL_TASK_H
#define EISHIL_EXAMPLE_CELL_TASK_H

#include "estimator.h"

/* What an impedance front end measured on one cell. */
typedef struct {
    unsigned cell;
    float elapsed_cycles; /* since this cell's last spectrum */
    float voltage_V;
    float temperature_degC;
    float z_real_ohm[MODEL_N_FREQUENCIES];
    float z_imag_ohm[MODEL_N_FREQUENCIES];
} spectrum_t;

/* Two functions of the RTOS: with FreeRTOS, xQueueReceive(spectra, spectrum, portMAX_DELAY) == pdPASS and xQueueSend. */
bool spectrum_receive(spectrum_t *spectrum);
void estimate_send(unsigned cell, estimator_status_t status, const estimator_output_t *estimate);

/* Ends when no more spectra will come; a task of an RTOS never sees that. */
void cell_task(void *unused);

#endif
