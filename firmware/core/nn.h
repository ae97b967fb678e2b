/* The integer observation network and its Jacobian. The arithmetic is specified, bit by bit, in docs/network.md. */
#ifndef EISHIL_CORE_NN_H
#define EISHIL_CORE_NN_H

#include "model.h"

/* Q11 input of one network input; ties to even, saturated to 12 bits. */
int16_t nn_quantise_input(const nn_t *nn, unsigned index, float value);

/* tanh of a Q11 argument, Q11, odd; the argument is clamped to -16383..16383. */
int32_t nn_tanh_q11(int32_t argument);

/* The last hidden layer: column 0 holds its activations, column 1 + c its tangents by input c. One pass over a weight
 * row serves all columns; a column is contiguous, as the dot product reads it. */
typedef struct {
    int16_t column[1 + MODEL_N_INPUTS][MODEL_MAX_WIDTH];
} nn_hidden_t;

/* All layers but the last, with their forward-mode Jacobian; input [n_inputs]. */
void nn_evaluate_hidden(const nn_t *nn, const int16_t *input, nn_hidden_t *hidden);

/* Row i of the last layer: its accumulator, and into jacobian_accumulator [n_inputs] that of its derivatives. */
int32_t nn_evaluate_row(const nn_t *nn, const nn_hidden_t *hidden, unsigned i, int32_t *jacobian_accumulator);

/* The whole network: accumulator [n_outputs], jacobian_accumulator [n_outputs][n_inputs] by rows. */
void nn_evaluate(const nn_t *nn, const int16_t *input, int32_t *accumulator, int32_t *jacobian_accumulator);

/* Output i in ln ohm, and its derivative by input c in ln ohm per unit of that input. */
float nn_output(const nn_t *nn, unsigned i, int32_t accumulator);
float nn_jacobian(const nn_t *nn, unsigned i, unsigned c, int32_t jacobian_accumulator);

#endif
