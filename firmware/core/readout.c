#include "readout.h"

#include "block_moves.h"
#include "fmath.h"

#define N_INPUTS       MODEL_MAX_READOUT_INPUTS
#define N_UNIT_NUMBERS (N_INPUTS + 2U) /* of a readout_unit_t */
#define FARTHEST       REAL(40)        /* beyond, a logistic is 0 or 1; the product of two exponentials is finite */

/* weight . input + bias. */
static inline real_t excite_unit(const real_t *number, const real_t *input)
{
    /* cppcheck-suppress ctuArrayIndex ; it takes float for the array and double for the index */
    real_t sum = number[N_INPUTS];
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        sum = real_add_apart(sum, number[j], input[j]);
    }
    return sum;
}

/* x within FARTHEST; NaN to its lower end. */
static inline real_t bound(real_t x)
{
    if (__builtin_expect(!fmath_is_within(x, FARTHEST), 0)) {
        x = x > REAL(0) ? FARTHEST : -FARTHEST;
    }
    return x;
}

/* Adds a unit's output, and its derivatives by the inputs. */
static inline void add_unit(const real_t *number, real_t logistic, real_t *value, real_t *by_input)
{
    /* cppcheck-suppress ctuArrayIndex ; the same */
    const real_t share = number[N_INPUTS + 1U] * logistic;
    const real_t slope = share * (logistic - REAL(1));
    *value += share;
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        by_input[j] = real_add_apart(by_input[j], slope, number[j]);
    }
}

real_t readout_evaluate(const readout_t *readout, const real_t *modes, real_t *gradient)
{
    real_t input[N_INPUTS];
    real_t by_input[N_INPUTS];
    const readout_unit_t *end = readout->unit + readout->n_hidden;
    const fmath_exp_factors_t factors = fmath_exp_load_factors();
    real_t value = readout->offset;
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        input[j] = modes[readout->input[j]];
        by_input[j] = REAL(0);
    }
    for (const readout_unit_t *unit = readout->unit; unit != end; unit += 2) {
        real_t first[N_UNIT_NUMBERS];
        real_t second[N_UNIT_NUMBERS];
        block_load_floats(unit->weight, N_UNIT_NUMBERS, first);
        block_load_floats_high(unit[1].weight, N_UNIT_NUMBERS, second);
        const real_t of_first = excite_unit(first, input);
        const real_t of_second = excite_unit(second, input);
        const real_t x = bound(of_first);
        const real_t y = bound(of_second);
        const real_t a = REAL(1) + fmath_exp_within(&factors, x);
        const real_t b = REAL(1) + fmath_exp_within(&factors, y);
        const real_t inverse = REAL(1) / (a * b);
        add_unit(first, b * inverse, &value, by_input);
        add_unit(second, a * inverse, &value, by_input);
    }
    for (unsigned k = 0; k < MODEL_N_MODES; k++) {
        gradient[k] = REAL(0);
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < N_INPUTS; j++) {
        gradient[readout->input[j]] += by_input[j];
    }
    return value;
}
