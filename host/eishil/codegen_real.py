"""The network before its quantisation as C: `network_real.c`, for builds that compute it in floating point."""

from __future__ import annotations

import numpy as np

from eishil.c_literals import model_notice, wrapped
from eishil.model import Model
from eishil.network.mlp import FloatNetwork


def network_source(model: Model, network: FloatNetwork) -> str:
    """`const network_real_t eishil_network_real`: float64 literals, which the build rounds to its real_t."""
    parts = [
        _reals("input_mean", network.input_mean),
        _reals("input_scale", network.input_scale),
    ]
    rows = []
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        parts += [_reals(f"layer{index}_weight", weight), _reals(f"layer{index}_bias", bias)]
        n_out, n_in = weight.shape
        rows.append(f"    {{{n_in}, {n_out}, layer{index}_weight, layer{index}_bias}},\n")
    return (
        f"{model_notice(model)}#if defined(NETWORK_IS_REAL)\n\n"
        f'#include "network.h"\n{"".join(parts)}\nstatic const network_layer_t layer[] = {{\n{"".join(rows)}}};\n\n'
        f"const network_real_t eishil_network_real = {{{len(rows)}, input_mean, input_scale, layer}};\n\n"
        "#else\n\n/* ISO C wants something in every translation unit. */\n"
        "typedef int network_real_unused_t;\n\n#endif\n"
    )


def _reals(name: str, values: object) -> str:
    words = [f"REAL({float(value).hex()})" for value in np.ravel(np.asarray(values, np.float64))]
    return f"\nstatic const real_t {name}[] = {{\n{wrapped(words)}}};\n"
