/* Our own network without its Jacobian: one sample, inputs in the middle of their range. */
#include "network.h"

static network_work_t work;
static network_input_t input[1][MODEL_N_INPUTS];

void call_peer(unsigned repetition);

void call_peer(unsigned repetition)
{
    input[0][0] = (network_input_t)(100U * repetition);
    network_evaluate_batch(&eishil_model.network, (const network_input_t(*)[MODEL_N_INPUTS])input, 1, &work);
}
