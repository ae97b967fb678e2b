/* The innovation gate: whether a spectrum is believed. docs/estimator.md */
#ifndef EISHIL_CORE_GATE_H
#define EISHIL_CORE_GATE_H

#include "gaussian.h"

typedef struct {
    uint32_t outliers;  /* left out in a row */
    uint32_t probation; /* plausible spectra in a row that it takes to arm the gate: until then all are believed */
} gate_t;

/* The first plausible spectrum arms it. */
void gate_init(gate_t *gate);

/* Whether the spectrum behind the evidence is to be left out. */
bool gate_refuses(gate_t *gate, const model_t *model, const evidence_t *evidence);

#endif
