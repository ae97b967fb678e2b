/* emlearn's code for the same network in float32; `network.h` is what its converter writes. */
#include "network.h"

#define N_FEATURES (sizeof features / sizeof features[0])

static const float features[] = FEATURES; /* standardised, as the network wants them */
static float outputs[N_OUTPUTS];

void call_peer(unsigned repetition);

void call_peer(unsigned repetition)
{
    (void)repetition;
    (void)network_regress(features, N_FEATURES, outputs, N_OUTPUTS);
}
