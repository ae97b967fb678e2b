"""The model file: an estimator as data.

`model.json` names the states, the process model, the observation points, the noise, the analytic series terms, the
integer network and the readouts. Whoever reads it (the float64 reference, the code generator, the bench) reads it
through `Model.load`. Beside it lie `network_float.onnx` and `network_int8.onnx`.

Notation (docs/estimator.md has the equations):

- a *mode* is a physical quantity of ageing (LLI, LAM_ne, ...); there are n_modes of them;
- a *state* is what the filter estimates; there are n_states. Either the states are the modes, or `trajectory` maps
  them: modes = mean(c) + phi(c) @ state, with c the equivalent full cycles since the start, linear between nodes;
- an *observation* is ln(Re Z) at every frequency, then ln(-Im Z) at every frequency: n_observations = 2 n_frequencies;
- a *network input* is one of the modes, the rest voltage or the inverse temperature.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eishil import wire
from eishil.errors import RecipeError

MAX_STATES = 16
MAX_OBSERVATIONS = 64
MAX_FILTERS = 8
MAX_WIDTH = 64
VOLTAGE_INPUT = "voltage_V"
INVERSE_TEMPERATURE_INPUT = "inverse_temperature_1000_per_K"  # 1000 / (temperature_degC + 273.15)


Positive = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Mode(_Part):
    """A physical quantity; `minimum` and `maximum` bound the training population; the filter does not enforce them."""

    name: str
    unit: str
    minimum: float
    maximum: float


class State(_Part):
    """One filter state: x <- x + drift_per_cycle c, P_ii <- P_ii + process_variance_per_cycle c, c elapsed cycles."""

    name: str
    unit: str
    drift_per_cycle: float
    process_variance_per_cycle: float = Field(ge=0)


class Trajectory(_Part):
    """Latent trajectories: modes = mean(c) + phi(c) @ state; c clamped to the nodes' range, linear between them."""

    cycle_spacing: float = Field(gt=0)
    mean: list[list[float]]  # [nodes][n_modes]
    phi: list[list[list[float]]]  # [nodes][n_modes][n_states]


class Prior(_Part):
    """One filter of the bank: its weight, its mean [n_states] and its covariance [n_states][n_states]."""

    weight: float = Field(gt=0)
    mean: list[float]
    covariance: list[list[float]]


class SeriesTerm(_Part):
    """An impedance in series with the cell, linear in one mode.

    Adds coefficient[i] * mode to exp(network output i), i.e. to Re Z or to -Im Z in ohm: a resistance in mOhm has
    coefficient 1e-3 at the real parts and 0 at the imaginary ones.
    """

    mode: str
    coefficient: list[float]  # [n_observations]


class Noise(_Part):
    """R = diag(variance) + j_V sigma_V^2 j_V^T + j_T sigma_T^2 j_T^T, in (ln ohm)^2, with j = dh/dV and dh/dT."""

    variance: list[Positive]  # [n_observations]
    voltage_std_V: float = Field(ge=0)
    temperature_std_K: float = Field(ge=0)


class Gate(_Part):
    """A spectrum is left out when its NIS exceeds what a true one's does with `probability` at most.

    After `patience` of them in a row all are believed until `probation` in a row were plausible (docs/estimator.md).
    """

    probability: float = Field(gt=0, lt=1)
    patience: int = Field(ge=1, le=255)
    probation: int = Field(ge=1, le=255)


class Layer(_Part):
    """One dense layer of the integer network (docs/network.md): int8 weight by rows, int32 bias, int32 multiplier.

    `multiplier` and `tangent_multiplier` are empty on the last layer, `tangent_multiplier` on the first as well.
    """

    weight: list[list[int]]  # [n_out][n_in]
    bias: list[int]  # [n_out]
    multiplier: list[int]  # [n_out], accumulator -> Q11 pre-activation
    tangent_multiplier: list[int]  # [n_out], tangent accumulator -> this layer's tangent, times 2^34


class IntegerNetwork(_Part):
    """The quantised observation network; the arithmetic is specified in docs/network.md."""

    inputs: list[str]  # modes by name, then VOLTAGE_INPUT and INVERSE_TEMPERATURE_INPUT
    input_mean: list[float]
    input_scale: list[Positive]  # q = saturate(rint((v - mean) * scale))
    layers: list[Layer]
    tangent: list[list[int]]  # [width of the first layer][n_inputs], constant first-layer tangents
    output_scale: list[float]  # [n_observations], y = accumulator * scale + offset, ln ohm
    output_offset: list[float]
    jacobian_row_scale: list[float]  # [n_observations]
    jacobian_column_scale: list[float]  # [n_inputs]; dy_i/dv_j = accumulator_ij * row_i * column_j

    @property
    def n_inputs(self) -> int:
        return len(self.inputs)


class Readout(_Part):
    """A scalar of the modes with one tanh layer: y = b2 + w2 . tanh(w1 @ ((modes[inputs] - mean) * scale) + b1)."""

    name: str
    unit: str
    inputs: list[str]  # modes by name
    input_mean: list[float]
    input_scale: list[float]
    w1: list[list[float]]  # [hidden][n_in]
    b1: list[float]
    w2: list[float]
    b2: float
    residual_std: float = Field(ge=0)


class Model(_Part):
    """A whole estimator. `Model.load` and `save` are the only ways in and out of `model.json`."""

    schema_version: Literal[2] = 2
    name: str
    description: str
    filter: Literal["ekf", "ukf"] = "ekf"
    modes: list[Mode]
    states: list[State]
    trajectory: Trajectory | None = None
    priors: list[Prior]
    frequency_Hz: list[Positive]
    series_terms: list[SeriesTerm]
    noise: Noise
    gate: Gate | None = None
    network: IntegerNetwork
    readouts: list[Readout]
    provenance: dict[str, str]  # sha256 of data set and recipe, versions, what was chosen on which split

    @property
    def n_modes(self) -> int:
        return len(self.modes)

    @property
    def n_states(self) -> int:
        return len(self.states)

    @property
    def n_frequencies(self) -> int:
        return len(self.frequency_Hz)

    @property
    def n_observations(self) -> int:
        return 2 * len(self.frequency_Hz)

    def mode_index(self, name: str) -> int:
        """Position of a mode by name; ValueError where there is none."""
        names = [mode.name for mode in self.modes]
        _require(name in names, f"{name!r} is no mode; there are {', '.join(names)}")
        return names.index(name)

    def dimensions(self) -> dict[str, int]:
        """Values of `wire.SYMBOLS` for this model."""
        return wire.dimensions(self.n_states, self.n_frequencies, self.network.n_inputs, len(self.readouts))

    def to_json(self) -> str:
        """Canonical text: what is written, hashed and compared."""
        unsaid = self._no_gate() | ({"filter"} if self.filter == "ekf" else set())
        return self.model_dump_json(indent=1, exclude=unsaid) + "\n"

    def _no_gate(self) -> set[str]:
        return {"gate"} if self.gate is None else set()

    @property
    def model_id(self) -> bytes:
        """SHA-256 of what the estimator computes; the wire carries its first 8 bytes.

        Description and provenance are left out: the same numbers made with another Python are the same model.
        """
        computed = self.model_dump_json(exclude={"description", "provenance"} | self._no_gate())
        return hashlib.sha256(computed.encode("utf-8")).digest()

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read and check `model.json`.

        Raises
        ------
        RecipeError
            The file is missing or malformed; the sentence names the key.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise RecipeError(f"{path}: there is no model file; `eishil quantize RECIPE` makes one") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "file"
            raise RecipeError(f"{path}: {place}: {first['msg']}") from None

    @model_validator(mode="after")
    def _check(self) -> Model:
        n, p, m = self.n_states, self.n_modes, self.n_observations
        _require(1 <= n <= MAX_STATES, f"1 to {MAX_STATES} states, not {n}")
        _require(2 <= m <= MAX_OBSERVATIONS, f"at most {MAX_OBSERVATIONS} observations, not {m}")
        _require(1 <= len(self.priors) <= MAX_FILTERS, f"1 to {MAX_FILTERS} priors, not {len(self.priors)}")
        _require(len({mode.name for mode in self.modes}) == p, "mode names must differ")
        if self.trajectory is None:
            _require(
                [s.name for s in self.states] == [mode.name for mode in self.modes],
                "without a trajectory the states are the modes, by name and order",
            )
        else:
            _shape("trajectory.mean", self.trajectory.mean, (len(self.trajectory.mean), p))
            _shape("trajectory.phi", self.trajectory.phi, (len(self.trajectory.mean), p, n))
        for prior in self.priors:
            _shape("prior.mean", prior.mean, (n,))
            _shape("prior.covariance", prior.covariance, (n, n))
            P = np.array(prior.covariance)
            _require(
                bool(np.allclose(P, P.T) and np.linalg.eigvalsh(P).min() > 0),
                "a prior covariance must be symmetric and positive definite",
            )
        _shape("noise.variance", self.noise.variance, (m,))
        for term in self.series_terms:
            self.mode_index(term.mode)
            _shape("series_terms.coefficient", term.coefficient, (m,))
        self._check_network()
        _require(len(self.readouts) >= 1, "at least one readout")
        for readout in self.readouts:
            hidden, n_in = len(readout.b1), len(readout.inputs)
            _shape(f"readout {readout.name}.w1", readout.w1, (hidden, n_in))
            _shape(f"readout {readout.name}.w2", readout.w2, (hidden,))
            _shape(f"readout {readout.name}.input_mean", readout.input_mean, (n_in,))
            _shape(f"readout {readout.name}.input_scale", readout.input_scale, (n_in,))
            for name in readout.inputs:
                self.mode_index(name)
        return self

    def _check_network(self) -> None:
        network, u, m = self.network, self.network.n_inputs, self.n_observations
        _require(
            network.inputs[-2:] == [VOLTAGE_INPUT, INVERSE_TEMPERATURE_INPUT],
            f"the last network inputs are {VOLTAGE_INPUT} and {INVERSE_TEMPERATURE_INPUT}",
        )
        for name in network.inputs[:-2]:
            self.mode_index(name)
        width = u
        for index, layer in enumerate(network.layers):
            n_out = len(layer.bias)
            last = index == len(network.layers) - 1
            _require(n_out <= MAX_WIDTH, f"layers of at most {MAX_WIDTH} units, not {n_out}")
            _shape(f"layer {index}.weight", layer.weight, (n_out, width))
            _require(int(np.abs(layer.weight).max()) <= 127, f"layer {index}: int8 weights between -127 and 127")
            _check_accumulators(index, layer)
            _require(
                len(layer.multiplier) == (0 if last else n_out),
                f"layer {index}.multiplier has {len(layer.multiplier)} values",
            )
            _require(
                len(layer.tangent_multiplier) == (0 if last or index == 0 else n_out),
                f"layer {index}.tangent_multiplier has {len(layer.tangent_multiplier)} values",
            )
            width = n_out
        _require(len(network.layers) >= 2 and width == m, f"two layers or more, the last with {m} outputs")
        _shape("network.tangent", network.tangent, (len(network.layers[0].bias), u))
        _require(int(np.abs(network.tangent).max()) <= 32767, "network.tangent: 16-bit values between -32767 and 32767")
        _check_tangents(network)
        for name, values, size in (
            ("input_mean", network.input_mean, u),
            ("input_scale", network.input_scale, u),
            ("output_scale", network.output_scale, m),
            ("output_offset", network.output_offset, m),
            ("jacobian_row_scale", network.jacobian_row_scale, m),
            ("jacobian_column_scale", network.jacobian_column_scale, u),
        ):
            _shape(f"network.{name}", values, (size,))


def _check_accumulators(index: int, layer: Layer) -> None:
    """Inputs and activations are at most 2048 in size: no sum of products and bias may leave int32."""
    largest = np.abs(np.array(layer.bias, np.int64)) + 2048 * np.abs(np.array(layer.weight, np.int64)).sum(axis=1)
    row = int(largest.argmax())
    _require(int(largest[row]) < 2**31, f"layer {index}: the accumulator of row {row} could leave int32")


def _check_tangents(network: IntegerNetwork) -> None:
    """With all signs alike and every slope 1 (2^30 in the arithmetic of docs/network.md) no tangent may leave int16."""
    bound = _requantise(np.abs(np.array(network.tangent, np.int64)), np.int64(1 << 30))
    for index, layer in enumerate(network.layers[1:-1], start=1):
        multiplier = _requantise(np.abs(np.array(layer.tangent_multiplier, np.int64)), np.int64(1 << 30))
        bound = _requantise(np.abs(np.array(layer.weight, np.int64)) @ bound, multiplier[:, None])
        row = int(bound.max(axis=1).argmax())
        _require(int(bound.max()) <= 32767, f"layer {index}: the tangents of row {row} could leave int16")


def _requantise(accumulator: NDArray[np.int64], multiplier: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    return np.asarray((accumulator * multiplier + (1 << 31)) >> 32)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _shape(name: str, values: object, shape: tuple[int, ...]) -> None:
    try:
        actual = np.asarray(values).shape
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths, not shape {shape}") from None
    _require(actual == shape, f"{name} has shape {actual}, not {shape}")
