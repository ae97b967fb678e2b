/* Our own network without its Jacobian: one sample, inputs in the middle of their range. */
#include "nn.h"

static nn_work_t work;
static int32_t input[1][MODEL_N_INPUTS];

void call_peer(unsigned repetition);

void call_peer(unsigned repetition)
{
    input[0][0] = (int32_t)(100U * repetition);
    nn_evaluate_batch(&eishil_model.network, input, 1, &work);
}
