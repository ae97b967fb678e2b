"""From the wire table and a model file to C: `wire.h`, `model_size.h` and `model.c`.

The output depends on nothing but the two inputs, so that the committed files can be compared byte by byte. Floats are
rounded once, from float64 to float32, and written as exact hexadecimal literals. The committed files are remade by

    python -m eishil.codegen datasets/models/first_light/model.json firmware/generated
"""

from __future__ import annotations

import math
import sys
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eishil.c_literals import Numbers, Source, float_literal, initialiser, integer_literal, model_notice, wrapped
from eishil.codegen_real import network_source
from eishil.codegen_wire import wire_header
from eishil.files import write_atomic
from eishil.model import Gate, Layer, Model, Readout
from eishil.network.mlp import FloatNetwork

Integers = NDArray[np.int64]
Words = NDArray[np.uint32]  # of two half-words each

# What the network reads most: a build with MODEL_WEIGHTS_IN_RAM has it copied from the flash at startup.
WEIGHT_STORAGE = "MODEL_WEIGHT"
STORAGE_CHOICE = """
#if defined(MODEL_WEIGHTS_IN_RAM)
#define MODEL_WEIGHT
#else
#define MODEL_WEIGHT const
#endif
"""
TANH_NODES = 256  # on either side of zero
ROWS_TOGETHER, ROWS_REST = 4, 2  # of weights: nn_kernel.h


def generate(model: Model, out_dir: Path, network: FloatNetwork | None = None) -> list[Path]:
    """Write the generated files of a model.

    Parameters
    ----------
    model
        The estimator.
    out_dir
        Made when it does not exist.
    network
        The network before its quantisation: gives `network_real.c` for builds that compute it in floating point.

    Returns
    -------
    list of Path
        `wire.h`, `model_size.h`, `model.c`, and `network_real.c` where there is a network.

    Raises
    ------
    RecipeError
        A number of the model does not fit the C type that carries it.
    """
    files = {
        "wire.h": wire_header(model.dimensions()),
        "model_size.h": model_size_header(model),
        "model.c": model_source(model),
    }
    if network is None:
        (out_dir / "network_real.c").unlink(missing_ok=True)  # it would be another model's
    else:
        files["network_real.c"] = network_source(model, network)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomic(out_dir / name, text)
    return [out_dir / name for name in files]


# --- model_size.h -----------------------------------------------------------------------------------------------------


def model_size_header(model: Model) -> str:
    """The sizes that the core's types are made of."""
    widths = [len(layer.bias) for layer in model.network.layers[:-1]]
    sizes = {
        "N_STATES": (model.n_states, ""),
        "N_MODES": (model.n_modes, ""),
        "N_FREQUENCIES": (model.n_frequencies, ""),
        "N_INPUTS": (model.network.n_inputs, "of the network"),
        "N_TANGENTS": (model.n_tangents, "of the network: its derivatives that a step needs"),
        "N_PRIORS": (len(model.priors), "filters of the bank"),
        "N_READOUTS": (len(model.readouts), ""),
        "HAS_GATE": (int(model.gate is not None), "otherwise every spectrum is believed"),
        "FILTER_IS_UKF": (int(model.filter == "ukf"), ""),
        "NOISE_FOLLOWS_SPECTRUM": (int(model.noise.instrument_std > 0), "of the instrument"),
        "HAS_CURVATURE": (int(model.curvature is not None), "second-order terms along one direction"),
        "N_SERIES_TERMS": (len(model.series_terms), ""),
        "N_IN_SERIES": (_n_in_series(model), "observations that may have a series term: the first ones"),
        "IS_LATENT": (int(model.trajectory is not None), "otherwise the states are the modes"),
        "N_CHANNELS": (max(1, model.network.n_inputs - 2 + len(model.series_terms)), "that observations depend on"),
        "MAX_READOUT_INPUTS": (max(len(readout.inputs) for readout in model.readouts), ""),
        "MAX_WIDTH": (max(widths), "of the network's hidden layers"),
        "MAX_ROWS": (max(model.n_observations, *widths), "of the network's hidden and last layers"),
    }
    lines = [
        f"#define MODEL_{key} {value}U{f' /* {note} */' if note else ''}\n" for key, (value, note) in sizes.items()
    ]
    modes = ", ".join(f"{index}U" for index in _channel_modes(model))
    lines.append(f"#define MODEL_CHANNEL_MODES {{{modes}}}\n")
    guard = "EISHIL_MODEL_SIZE_H"
    return f"{model_notice(model)}#ifndef {guard}\n#define {guard}\n\n{''.join(lines)}\n#endif\n"


def _n_in_series(model: Model) -> int:
    rows = [np.flatnonzero(term.coefficient) for term in model.series_terms]
    return max((int(row.max()) + 1 for row in rows if len(row)), default=0)


def _channel_modes(model: Model) -> list[int]:
    """The mode behind each channel: the network's inputs, then the series terms."""
    names = [*model.network.inputs[:-2], *(term.mode for term in model.series_terms)]
    return [model.mode_index(name) for name in names] or [0]


# --- model.c ----------------------------------------------------------------------------------------------------------


def model_source(model: Model) -> str:
    """`const model_t eishil_model` with everything that it points to."""
    source = Source()
    body = _model_body(source, model) | _checksum(source)
    includes = f'#include "model.h"\n\n#include <stddef.h>\n{STORAGE_CHOICE}'
    fields = "".join(f"    .{name} = {value},\n" for name, value in body.items())
    return f"{model_notice(model)}{includes}{source.text()}\nconst model_t eishil_model = {{\n{fields}}};\n"


def _model_body(source: Source, model: Model) -> dict[str, str]:
    trajectory, noise, curvature = model.trajectory, model.noise, model.curvature
    return {
        "n_states": str(model.n_states),
        "n_modes": str(model.n_modes),
        "n_frequencies": str(model.n_frequencies),
        "n_priors": str(len(model.priors)),
        "n_series_terms": str(len(model.series_terms)),
        "n_readouts": str(len(model.readouts)),
        "n_nodes": integer_literal("trajectory nodes", "uint8_t", 0 if trajectory is None else len(trajectory.mean)),
        "drift_per_cycle": source.floats("drift_per_cycle", [s.drift_per_cycle for s in model.states]),
        "process_variance_per_cycle": source.floats(
            "process_variance_per_cycle", [s.process_variance_per_cycle for s in model.states]
        ),
        "cycle_spacing": float_literal("cycle_spacing", 1.0 if trajectory is None else trajectory.cycle_spacing),
        "trajectory_mean": source.floats("trajectory_mean", [] if trajectory is None else trajectory.mean),
        "trajectory_phi": source.floats("trajectory_phi", [] if trajectory is None else trajectory.phi),
        "prior": _priors(source, model),
        "observable": source.records("observable", "observable_t", _observables(model)),
        "instrument_variance": float_literal("instrument_std", noise.instrument_std**2),
        "voltage_std_V": float_literal("voltage_std_V", noise.voltage_std_V),
        "temperature_std_K": float_literal("temperature_std_K", noise.temperature_std_K),
        "curvature_gradient": source.floats("curvature_gradient", curvature.gradient if curvature else []),
        "gate": _gate(model.gate),
        "series_term": _series_terms(source, model),
        "network": _network(source, model),
        "readout": source.structs("readout", "readout_t", _readouts(source, model)),
        "model_id": "{" + ", ".join(f"0x{byte:02x}" for byte in model.model_id[:8]) + "}",
    }


def _gate(gate: Gate | None) -> str:
    if gate is None:
        return "{0}"
    fields = {
        "exponent": float_literal("gate exponent", -math.log(gate.probability)),
        "patience": integer_literal("gate patience", "uint8_t", gate.patience),
        "probation": integer_literal("gate probation", "uint8_t", gate.probation),
    }
    return initialiser(fields, indent=8)


def _observables(model: Model) -> list[Numbers]:
    variance = np.array(model.noise.variance)
    coefficients = np.array([np.zeros_like(variance), *(term.coefficient for term in model.series_terms)])
    in_series = np.any(coefficients != 0, axis=0)
    own = [variance] if model.noise.instrument_std > 0 else [1 / variance, np.log(variance)]
    return [*own, in_series / np.array(model.network.jacobian_row_scale)]


def _checksum(source: Source) -> dict[str, str]:
    """Every number and the CRC-32 of all their bytes in this order: what `integrity_verify_model` compares."""
    crc = 0
    for data in source.blocks().values():
        crc = zlib.crc32(data, crc)
    rows = [{"data": f"&{name}", "bytes": f"sizeof {name}"} for name in source.blocks()]
    return {
        "block": source.structs("block", "model_block_t", rows),
        "n_blocks": str(len(rows)),
        "crc32": f"0x{crc:08x}U",
    }


def _priors(source: Source, model: Model) -> str:
    total = math.fsum(prior.weight for prior in model.priors)
    upper = np.triu_indices(model.n_states)
    rows = []
    for index, prior in enumerate(model.priors):
        name = f"prior{index}"
        rows.append(
            {
                "log_weight": float_literal(f"{name}_weight", math.log(prior.weight / total)),
                "mean": source.floats(f"{name}_mean", prior.mean),
                "covariance": source.floats(f"{name}_covariance", np.array(prior.covariance)[upper]),
            }
        )
    return source.structs("prior", "prior_t", rows)


def _series_terms(source: Source, model: Model) -> str:
    rows = [
        {
            "coefficient": source.floats(f"series_term{index}_coefficient", term.coefficient),
        }
        for index, term in enumerate(model.series_terms)
    ]
    return source.structs("series_term", "series_term_t", rows)


def _network(source: Source, model: Model) -> str:
    network = model.network
    first, *others = network.layers
    tangent = [row[: model.n_tangents] for row in network.tangent]
    widest = max(len(layer.bias) for layer in network.layers[:-1])
    width = widest + -widest % ROWS_TOGETHER
    layers = [_layer(source, f"layer{index}", layer, width) for index, layer in enumerate(others, start=1)]
    fields = {
        "n_inputs": str(network.n_inputs),
        "n_outputs": str(len(network.output_scale)),
        "n_first": str(len(first.bias)),
        "n_layers": integer_literal("layers", "uint8_t", len(layers)),
        "input_mean": source.floats("input_mean", network.input_mean),
        "input_scale": source.floats("input_scale", network.input_scale),
        "first": source.records("first", "nn_first_t", _first_layer(first, tangent), WEIGHT_STORAGE),
        "layer": source.structs("layer", "nn_layer_t", layers),
        "output": source.records("output", "nn_output_t", _outputs(model)),
        "jacobian_column_scale": source.floats("jacobian_column_scale", network.jacobian_column_scale),
    }
    return initialiser(fields, indent=8)


def _outputs(model: Model) -> list[Numbers]:
    network, effect = model.network, model.noise.temperature_effect
    scale, row_scale = np.array(network.output_scale), np.array(network.jacobian_row_scale)
    by_temperature = [*(np.array(effect).T / row_scale)] if effect else []
    bend = [scale / (math.sqrt(2) * row_scale)] if model.curvature else []
    return [scale, np.array(network.output_offset), row_scale, *by_temperature, *bend]


def _layer(source: Source, name: str, layer: Layer, width: int) -> dict[str, str]:
    hidden = [layer.multiplier, layer.tangent_multiplier] if layer.multiplier else []
    rows = np.stack([_together(values, ROWS_TOGETHER) for values in (layer.bias, *hidden)], axis=1)
    n_out = len(layer.weight)
    rest = 0 if hidden or n_out < ROWS_TOGETHER else n_out % ROWS_TOGETHER % (ROWS_TOGETHER - 1)  # one or two
    fours = _packed_weights(layer.weight[: n_out - rest], ROWS_TOGETHER, width)
    twos = _packed_weights(layer.weight[n_out - rest :], ROWS_REST, width)
    weight = np.concatenate([fours.ravel(), twos.ravel()])
    return {
        "n_out": str(n_out),
        "n_quads": str(len(fours)),
        "weight": source.words(f"{name}_weight", weight, WEIGHT_STORAGE),
        "rows": source.integers(f"{name}_rows", "int32_t", rows, WEIGHT_STORAGE),
    }


def _first_layer(layer: Layer, tangent: list[list[int]]) -> list[Numbers]:
    """Fields of `nn_first_t` in `firmware/core/model.h`, each (fours of units, ...)."""
    n_inputs = np.shape(layer.weight)[1]
    n, n_tangents = np.shape(tangent)
    contexts_first = np.roll(np.array(tangent), n_tangents - (n_inputs - 2), axis=1)
    padded = np.pad(contexts_first, ((0, -n % ROWS_TOGETHER), (0, n_tangents % 2)))
    # [four][pair of units][unit][pair of tangents][tangent]
    units = padded.reshape(-1, 2, 2, (n_tangents + 1) // 2, 2)
    return [
        _together(layer.bias, ROWS_TOGETHER),
        _packed_weights(layer.weight, ROWS_TOGETHER, n_inputs),
        _together(layer.multiplier, ROWS_TOGETHER),
        _words(units[:, :, 0], units[:, :, 1]).transpose(0, 2, 1, 3),
    ]


def _packed_weights(weight: list[list[int]], rows_together: int, width: int) -> Words:
    """Words (rows / rows_together, pairs of inputs, rows_together) of weights (n_out, n_in), filled up with zeros.

    `firmware/core/model.h`. Rows are as long as `width` inputs and as many as the next multiple.
    """
    full = width + width % 2
    rows = [row + [0] * (full - len(row)) for row in weight]
    rows += [[0] * full] * (-len(rows) % rows_together)
    padded = np.array(rows, np.int64).reshape(-1, full)
    pairs = padded.reshape(len(padded) // rows_together, rows_together, full // 2, 2).transpose(0, 2, 1, 3)
    return _words(pairs[..., 0], pairs[..., 1])


def _words(low: Integers, high: Integers) -> Words:
    return ((high & 0xFFFF) << 16 | (low & 0xFFFF)).astype(np.uint32)


def _together(values: list[int], n: int) -> Integers:
    """(ceil(rows / n), n) of values (rows,), filled up with zeros."""
    return np.pad(np.array(values, np.int64), (0, -len(values) % n)).reshape(-1, n)


def _readouts(source: Source, model: Model) -> list[dict[str, str]]:
    return [_readout(source, model, f"readout{index}", readout) for index, readout in enumerate(model.readouts)]


def _readout(source: Source, model: Model, name: str, readout: Readout) -> dict[str, str]:
    n_hidden, n_in = np.shape(readout.w1)
    missing = max(len(other.inputs) for other in model.readouts) - n_in
    modes = [model.mode_index(mode) for mode in readout.inputs] + [0] * missing
    # By the modes as they are, and tanh(t) = 1 - 2 / (1 + exp(2 t)).
    weight = 2 * np.array(readout.w1) * readout.input_scale
    bias = 2 * np.array(readout.b1) - weight @ readout.input_mean
    out = np.array(readout.w2)
    silent = n_hidden % 2
    units: list[Numbers] = [
        np.pad(weight, ((0, silent), (0, missing))),
        np.pad(bias, (0, silent)),
        np.pad(-2 * out, (0, silent)),
    ]
    return {
        "n_hidden": integer_literal(f"{name} hidden units", "uint8_t", n_hidden + silent),
        "input": "{" + ", ".join(f"{mode}U" for mode in modes) + "}",
        "unit": source.records(f"{name}_unit", "readout_unit_t", units),
        "offset": float_literal(f"{name}_offset", readout.b2 + out.sum()),
        "residual_variance": float_literal(f"{name}_residual_variance", readout.residual_std**2),
    }


# --- nn_tanh_table.h --------------------------------------------------------------------------------------------------


def tanh_table_source() -> str:
    """`firmware/core/nn_tanh_table.c`: T[k] = min(32767, rint(32768 tanh(k / 32))), docs/network.md."""
    right = [min(32767, round(32768 * math.tanh(k / 32))) for k in range(1, TANH_NODES + 1)]
    nodes = [*(-node for node in reversed(right)), 0, *right]
    return (
        '#include "nn_kernel.h"\n\n'
        "/* tanh in Q15 at k / 32, k = -256..256: T[k] = rint(32768 tanh(k / 32)) within -32767..32767. A constant\n"
        " * of the arithmetic, made by `tanh_table_source` of host/eishil/codegen.py. docs/network.md */\n"
        "/* clang-format off */\n"
        f"const int16_t nn_tanh_table[NN_TANH_NODES] = {{\n{wrapped([str(node) for node in nodes])}}};\n"
        "/* clang-format on */\n"
    )


def _main(model_file: Path, out_dir: Path) -> None:
    from eishil.network.onnx_files import load_float_network  # onnx takes its time

    generate(Model.load(model_file), out_dir, load_float_network(model_file.parent / "network_float.onnx"))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
