/* Whether the model in memory is still the one that was generated. */
#ifndef EISHIL_CORE_INTEGRITY_H
#define EISHIL_CORE_INTEGRITY_H

#include "model.h"

/* False when a bit of any array has changed; sizes and single numbers of the model_t are not covered. */
bool integrity_verify_model(const model_t *model);

#endif
