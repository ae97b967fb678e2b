/* The integer observation network and its Jacobian. The arithmetic is specified, bit by bit, in docs/network.md. */
#ifndef EISHIL_CORE_NN_H
#define EISHIL_CORE_NN_H

#include "model.h"

/* Q11 input of one network input; ties to even, saturated to 12 bits. */
int16_t nn_quantise_input(const nn_t *nn, unsigned index, float value);

/* tanh of a Q11 argument, Q11, odd; the argument is clamped to -16383..16383. */
int32_t nn_tanh_q11(int32_t argument);

/* Forward pass and forward-mode Jacobian.
 * input [n_inputs], accumulator [n_outputs], jacobian_accumulator [n_outputs][n_inputs] by rows. */
void nn_evaluate(const nn_t *nn, const int16_t *input, int32_t *accumulator, int32_t *jacobian_accumulator);

/* Output i in ln ohm, and its derivative by input c in ln ohm per unit of that input. */
float nn_output(const nn_t *nn, unsigned i, int32_t accumulator);
float nn_jacobian(const nn_t *nn, unsigned i, unsigned c, int32_t jacobian_accumulator);

#endif
