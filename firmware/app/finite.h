/* Numbers from the line are looked at before they are used. */
#ifndef EISHIL_APP_FINITE_H
#define EISHIL_APP_FINITE_H

#include "fmath.h"

static inline bool finite_all(const float *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!fmath_is_finite(values[i])) {
            return false;
        }
    }
    return true;
}

#endif
