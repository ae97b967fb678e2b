#include "gate.h"

#include "fmath.h"

void gate_init(gate_t *gate)
{
    *gate = (gate_t){.outliers = 0, .probation = 1U};
}

/* n + 2 sqrt(n t) + 2 t, which chi-square of n degrees of freedom exceeds with a probability of exp(-t) at most. */
static bool is_plausible(const model_t *model, const evidence_t *evidence)
{
    const real_t n = (real_t)evidence->n_used;
    const real_t t = model->gate.exponent;
    return evidence->nis <= n + REAL(2) * (fmath_sqrt(n * t) + t);
}

bool gate_refuses(gate_t *gate, const model_t *model, const evidence_t *evidence)
{
    const bool is_armed = gate->probation == 0U;
    if (is_plausible(model, evidence)) {
        gate->outliers = 0;
        gate->probation -= is_armed ? 0U : 1U;
        return false;
    }
    gate->outliers += is_armed ? 1U : 0U;
    if (!is_armed || gate->outliers >= model->gate.patience) {
        gate->probation = model->gate.probation;
    }
    return is_armed;
}
