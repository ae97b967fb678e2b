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
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eishil import wire
from eishil.errors import RecipeError
from eishil.model_checks import check_network, check_readout, require, require_shape
from eishil.validation import first_mistake

MAX_STATES = 16
MAX_OBSERVATIONS = 64
MAX_FILTERS = 8
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
    """R = diag(variance + own) + j_V sigma_V^2 j_V^T + j_T sigma_T^2 j_T^T, in (ln ohm)^2, with j = dh/dV and dh/dT.

    own = instrument_std^2 (Re Z^2 + Im Z^2) / part^2 is the instrument's noise of `instrument_std` |Z| in the logarithm
    of a part of that Z, real or imaginary.

    With `temperature_effect` the network is not asked for j: dy_i/d(1000/T) = a_i + b_i 1000/T of output i, and what
    an error of the voltage does is in `variance`.
    """

    variance: list[Positive]  # [n_observations]
    instrument_std: float = Field(default=0.0, ge=0, exclude_if=lambda std: std == 0)
    voltage_std_V: float = Field(ge=0)
    temperature_std_K: float = Field(ge=0)
    # [n_observations][a, b]
    temperature_effect: list[tuple[float, float]] | None = Field(default=None, exclude_if=lambda effect: effect is None)


class Curvature(_Part):
    """Second-order terms of the observations along one direction of the state, P Phi^T gradient.

    That is where the modes' combination `gradient` [n_modes], SOH as a rule, is uncertain (docs/estimator.md).
    """

    gradient: list[float]


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
    curvature: Curvature | None = Field(default=None, exclude_if=lambda curvature: curvature is None)
    gate: Gate | None = Field(default=None, exclude_if=lambda gate: gate is None)
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

    @property
    def n_tangents(self) -> int:
        """Network inputs, from the first one on, whose derivatives the estimator needs: the modes, and the context."""
        return self.network.n_inputs - (2 if self.noise.temperature_effect else 0)

    def mode_index(self, name: str) -> int:
        """Position of a mode by name; ValueError where there is none."""
        names = [mode.name for mode in self.modes]
        require(name in names, f"{name!r} is no mode; there are {', '.join(names)}")
        return names.index(name)

    def dimensions(self) -> dict[str, int]:
        """Values of `wire.SYMBOLS` for this model."""
        return wire.dimensions(self.n_states, self.n_frequencies, self.network.n_inputs, len(self.readouts))

    def to_json(self) -> str:
        """Canonical text: what is written, hashed and compared."""
        return self.model_dump_json(indent=1, exclude={"filter"} if self.filter == "ekf" else None) + "\n"

    @property
    def model_id(self) -> bytes:
        """SHA-256 of what the estimator computes; the wire carries its first 8 bytes.

        Description and provenance are left out: the same numbers made with another Python are the same model.
        """
        computed = self.model_dump_json(exclude={"description", "provenance"})
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
            raise RecipeError(f"{path}: {first_mistake(error)}") from None

    @model_validator(mode="after")
    def _check(self) -> Model:
        n, p, m = self.n_states, self.n_modes, self.n_observations
        require(1 <= n <= MAX_STATES, f"1 to {MAX_STATES} states, not {n}")
        require(2 <= m <= MAX_OBSERVATIONS, f"at most {MAX_OBSERVATIONS} observations, not {m}")
        require(1 <= len(self.priors) <= MAX_FILTERS, f"1 to {MAX_FILTERS} priors, not {len(self.priors)}")
        require(len({mode.name for mode in self.modes}) == p, "mode names must differ")
        if self.trajectory is None:
            require(
                [s.name for s in self.states] == [mode.name for mode in self.modes],
                "without a trajectory the states are the modes, by name and order",
            )
        else:
            require_shape("trajectory.mean", self.trajectory.mean, (len(self.trajectory.mean), p))
            require_shape("trajectory.phi", self.trajectory.phi, (len(self.trajectory.mean), p, n))
        for prior in self.priors:
            require_shape("prior.mean", prior.mean, (n,))
            require_shape("prior.covariance", prior.covariance, (n, n))
            P = np.array(prior.covariance)
            require(
                bool(np.allclose(P, P.T) and np.linalg.eigvalsh(P).min() > 0),
                "a prior covariance must be symmetric and positive definite",
            )
        require_shape("noise.variance", self.noise.variance, (m,))
        if self.noise.temperature_effect is not None:
            require_shape("noise.temperature_effect", self.noise.temperature_effect, (m, 2))
            require(self.noise.voltage_std_V == 0, "noise.voltage_std_V is 0 beside noise.temperature_effect")
            require(self.n_tangents > 0, "noise.temperature_effect needs a network that reads modes")
        if self.curvature is not None:
            require_shape("curvature.gradient", self.curvature.gradient, (p,))
            require(self.filter == "ekf", "the unscented filter has no curvature")
        for term in self.series_terms:
            self.mode_index(term.mode)
            require_shape("series_terms.coefficient", term.coefficient, (m,))
        require(
            self.network.inputs[-2:] == [VOLTAGE_INPUT, INVERSE_TEMPERATURE_INPUT],
            f"the last network inputs are {VOLTAGE_INPUT} and {INVERSE_TEMPERATURE_INPUT}",
        )
        check_network(self.network, m)
        require(len(self.readouts) >= 1, "at least one readout")
        for readout in self.readouts:
            check_readout(readout)
        for name in (*self.network.inputs[:-2], *(name for readout in self.readouts for name in readout.inputs)):
            self.mode_index(name)
        return self
