/* Scalars that users want, as functions of the modes: SOH first. */
#ifndef EISHIL_CORE_READOUT_H
#define EISHIL_CORE_READOUT_H

#include "model.h"

/* Value of a readout at modes [n_modes]; gradient [n_modes] is written whole. */
real_t readout_evaluate(const readout_t *readout, const real_t *modes, real_t *gradient);

#endif
