#include "nn.h"

#include "fmath.h"
#include "nn_tanh_table.h"

#include <string.h>

#define INPUT_MIN   (-2048.0f)
#define INPUT_MAX   2047.0f
#define TANH_MAX    16383
#define TANGENT_MAX 2047
#define ONE_Q22     4194304
#define BLOCK       4U

static int32_t clamp(int32_t value, int32_t limit)
{
    return value > limit ? limit : (value < -limit ? -limit : value);
}

/* One SMMULR on a Cortex-M4. */
static int32_t requantise(int32_t accumulator, int32_t multiplier)
{
    return (int32_t)(((int64_t)accumulator * multiplier + 0x80000000LL) >> 32);
}

static int32_t dot(const int8_t *weight, const int16_t *column, unsigned length)
{
    int32_t sum = 0;
    for (unsigned j = 0; j < length; j++) {
        sum += weight[j] * column[j];
    }
    return sum;
}

/* Four dot products at once: each weight is loaded and widened once for all of them. */
static void dot_block(const int8_t *weight, const int16_t (*column)[MODEL_MAX_WIDTH], unsigned length, int32_t *sum)
{
    int32_t a = 0;
    int32_t b = 0;
    int32_t c = 0;
    int32_t d = 0;
    for (unsigned j = 0; j < length; j++) {
        const int32_t w = weight[j];
        a += w * column[0][j];
        b += w * column[1][j];
        c += w * column[2][j];
        d += w * column[3][j];
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

/* One weight row times every column: sum [1 + n_inputs]. */
static void dot_columns(const nn_t *nn, const int8_t *weight, const nn_hidden_t *in, unsigned length, int32_t *sum)
{
    const unsigned n_columns = 1U + nn->n_inputs;
    if (n_columns < BLOCK) {
        for (unsigned c = 0; c < n_columns; c++) {
            sum[c] = dot(weight, in->column[c], length);
        }
        return;
    }
    unsigned c = 0;
    for (; c + BLOCK < n_columns; c += BLOCK) {
        dot_block(weight, in->column + c, length, sum + c);
    }
    /* The last block may overlap the one before it: cheaper than columns one by one. */
    c = n_columns - BLOCK;
    dot_block(weight, in->column + c, length, sum + c);
}

int16_t nn_quantise_input(const nn_t *nn, unsigned index, float value)
{
    float scaled = (value - nn->input_mean[index]) * nn->input_scale[index];
    /* Between integers, clamping first gives what rounding first would; it also bounds the rounding's argument. */
    scaled = scaled > INPUT_MIN ? scaled : INPUT_MIN;
    scaled = scaled < INPUT_MAX ? scaled : INPUT_MAX;
    return (int16_t)fmath_round(scaled);
}

int32_t nn_tanh_q11(int32_t argument)
{
    int32_t magnitude = argument < 0 ? -argument : argument;
    magnitude = magnitude > TANH_MAX ? TANH_MAX : magnitude;
    const int16_t *node = nn_tanh_table + (magnitude >> 6);
    int32_t q15 = node[0] + (((node[1] - node[0]) * (magnitude & 63) + 32) >> 6);
    int32_t result = (q15 + 8) >> 4;
    return argument < 0 ? -result : result;
}

/* t <- t (1 - a^2) for every tangent of unit i. */
static void chain_tangents(nn_hidden_t *layer, unsigned n_inputs, unsigned i)
{
    int32_t activation = layer->column[0][i];
    int32_t slope_q15 = (ONE_Q22 - activation * activation) >> 7;
    for (unsigned c = 1; c <= n_inputs; c++) {
        layer->column[c][i] = (int16_t)((layer->column[c][i] * slope_q15 + 16384) >> 15);
    }
}

static void activate(nn_hidden_t *out, const nn_layer_t *layer, unsigned i, int32_t accumulator)
{
    out->column[0][i] = (int16_t)nn_tanh_q11(requantise(accumulator, layer->multiplier[i]));
}

static void evaluate_first(const nn_t *nn, const int16_t *input, nn_hidden_t *out)
{
    const nn_layer_t *layer = &nn->layer[0];
    const int16_t *tangent = nn->tangent;
    for (unsigned i = 0; i < layer->n_out; i++) {
        activate(out, layer, i, layer->bias[i] + dot(layer->weight + i * layer->n_in, input, layer->n_in));
        for (unsigned c = 1; c <= nn->n_inputs; c++) {
            out->column[c][i] = *tangent++;
        }
        chain_tangents(out, nn->n_inputs, i);
    }
}

static void evaluate_next(const nn_t *nn, const nn_layer_t *layer, const nn_hidden_t *in, nn_hidden_t *out)
{
    int32_t sum[1 + MODEL_N_INPUTS];
    for (unsigned i = 0; i < layer->n_out; i++) {
        dot_columns(nn, layer->weight + i * layer->n_in, in, layer->n_in, sum);
        activate(out, layer, i, layer->bias[i] + sum[0]);
        for (unsigned c = 1; c <= nn->n_inputs; c++) {
            out->column[c][i] = (int16_t)clamp(requantise(sum[c], layer->tangent_multiplier[i]), TANGENT_MAX);
        }
        chain_tangents(out, nn->n_inputs, i);
    }
}

void nn_evaluate_hidden(const nn_t *nn, const int16_t *input, nn_hidden_t *hidden)
{
    nn_hidden_t other;
    const unsigned n_hidden = nn->n_layers - 1U;
    /* The layers alternate between two places, so that the last one comes to stand in *hidden. */
    nn_hidden_t *out = n_hidden % 2U == 1U ? hidden : &other;
    evaluate_first(nn, input, out);
    for (unsigned i = 1; i < n_hidden; i++) {
        const nn_hidden_t *in = out;
        out = in == hidden ? &other : hidden;
        evaluate_next(nn, &nn->layer[i], in, out);
    }
}

int32_t nn_evaluate_row(const nn_t *nn, const nn_hidden_t *hidden, unsigned i, int32_t *jacobian_accumulator)
{
    const nn_layer_t *layer = &nn->layer[nn->n_layers - 1];
    int32_t sum[1 + MODEL_N_INPUTS];
    dot_columns(nn, layer->weight + i * layer->n_in, hidden, layer->n_in, sum);
    memcpy(jacobian_accumulator, sum + 1, nn->n_inputs * sizeof *sum);
    return layer->bias[i] + sum[0];
}

void nn_evaluate(const nn_t *nn, const int16_t *input, int32_t *accumulator, int32_t *jacobian_accumulator)
{
    nn_hidden_t hidden;
    nn_evaluate_hidden(nn, input, &hidden);
    for (unsigned i = 0; i < nn->n_outputs; i++) {
        accumulator[i] = nn_evaluate_row(nn, &hidden, i, jacobian_accumulator + i * nn->n_inputs);
    }
}

float nn_output(const nn_t *nn, unsigned i, int32_t accumulator)
{
    return (float)accumulator * nn->output_scale[i] + nn->output_offset[i];
}

float nn_jacobian(const nn_t *nn, unsigned i, unsigned c, int32_t jacobian_accumulator)
{
    return (float)jacobian_accumulator * nn->jacobian_row_scale[i] * nn->jacobian_column_scale[c];
}
