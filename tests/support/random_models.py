"""Random valid estimators: for every path of the model schema that a trained model does not take.

`random_estimator(rng, ...)` gives a `Model` and the float network it was quantised from; `random_steps` gives spectra
that the model finds plausible, some of their points masked or unusable.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eishil import model as m
from eishil.filters.step import StepInput
from eishil.network.conversion import convert
from eishil.network.mlp import FloatNetwork

READOUT_HIDDEN = 5


def random_network(
    rng: np.random.Generator, inputs: list[str], frequency_Hz: np.ndarray, hidden: tuple[int, ...]
) -> FloatNetwork:
    """Smooth random MLP with outputs near ln(0.02 ohm)."""
    sizes = (len(inputs), *hidden, 2 * len(frequency_Hz))
    gains = (*(1.2 for _ in hidden), 0.3)
    weights = tuple(
        gain * rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
        for gain, n_in, n_out in zip(gains, sizes[:-1], sizes[1:], strict=True)
    )
    biases = [0.3 * rng.standard_normal(size) for size in sizes[1:]]
    biases[-1] = biases[-1] + np.log(0.02)
    mean = np.array([*np.full(len(inputs) - 2, 0.1), 3.7, 3.35])
    std = np.array([*np.full(len(inputs) - 2, 0.2), 0.2, 0.15])
    return FloatNetwork(tuple(inputs), frequency_Hz, mean, 1 / std, weights, tuple(biases))


def random_covariance(rng: np.random.Generator, n: int, std: float) -> list[list[float]]:
    root = rng.standard_normal((n, n)) * 0.3 + np.eye(n)
    return (std**2 * (root @ root.T + 0.1 * np.eye(n))).tolist()


def random_prior(rng: np.random.Generator, n: int) -> m.Prior:
    weight, mean = float(rng.uniform(0.2, 1.0)), rng.normal(0.1, 0.1, n).tolist()
    return m.Prior(weight=weight, mean=mean, covariance=random_covariance(rng, n, 0.1))


def random_state(rng: np.random.Generator, name: str) -> m.State:
    drift, variance = float(rng.normal(1e-4, 5e-5)), float(rng.uniform(0.0, 4e-6))
    return m.State(name=name, unit="1", drift_per_cycle=drift, process_variance_per_cycle=variance)


def random_noise(rng: np.random.Generator, n: int) -> m.Noise:
    variance = rng.uniform(0.01**2, 0.05**2, n).tolist()
    return m.Noise(variance=variance, voltage_std_V=0.002, temperature_std_K=0.5)


def random_readout(rng: np.random.Generator, name: str, inputs: list[str]) -> m.Readout:
    n = len(inputs)
    return m.Readout(
        name=name,
        unit="1",
        inputs=inputs,
        input_mean=rng.normal(0.1, 0.05, n).tolist(),
        input_scale=rng.uniform(2.0, 6.0, n).tolist(),
        w1=rng.normal(0.0, 0.6, (READOUT_HIDDEN, n)).tolist(),
        b1=rng.normal(0.0, 0.3, READOUT_HIDDEN).tolist(),
        w2=rng.normal(0.0, 0.2, READOUT_HIDDEN).tolist(),
        b2=0.9,
        residual_std=0.003,
    )


def random_trajectory(rng: np.random.Generator, n_modes: int, n_states: int, n_nodes: int) -> m.Trajectory:
    return m.Trajectory(
        cycle_spacing=75.0,
        mean=rng.normal(0.1, 0.05, (n_nodes, n_modes)).tolist(),
        phi=rng.normal(0.0, 0.5, (n_nodes, n_modes, n_states)).tolist(),
    )


def random_estimator(
    rng: np.random.Generator,
    *,
    n_modes: int = 5,
    n_latents: int = 0,
    n_nodes: int = 5,
    n_priors: int = 1,
    n_series_terms: int = 1,
    n_readouts: int = 1,
    n_frequencies: int = 11,
    hidden: tuple[int, ...] = (32, 32),
) -> tuple[m.Model, FloatNetwork]:
    """A valid model; `n_latents` = 0 makes the states the modes. The first series term's mode is no network input."""
    modes = [f"mode_{i}" for i in range(n_modes)]
    network_modes = modes[:-1] if n_series_terms and n_modes > 1 else modes
    frequency_Hz = np.geomspace(1000.0, 0.01, n_frequencies)
    inputs = [*network_modes, m.VOLTAGE_INPUT, m.INVERSE_TEMPERATURE_INPUT]
    network = random_network(rng, inputs, frequency_Hz, hidden)
    calibration = network.input_mean + rng.standard_normal((600, len(inputs))) / network.input_scale
    states = [f"latent_{i}" for i in range(n_latents)] if n_latents else modes
    n = len(states)
    priors = [random_prior(rng, n) for _ in range(n_priors)]
    model = m.Model(
        name="random",
        description="random but valid",
        modes=[m.Mode(name=name, unit="1", minimum=-1.0, maximum=1.0) for name in modes],
        states=[random_state(rng, name) for name in states],
        trajectory=random_trajectory(rng, n_modes, n, n_nodes) if n_latents else None,
        priors=priors,
        frequency_Hz=frequency_Hz.tolist(),
        series_terms=[
            m.SeriesTerm(mode=modes[-1 - i], coefficient=[1e-3] * n_frequencies + [2e-4 * i] * n_frequencies)
            for i in range(n_series_terms)
        ],
        noise=random_noise(rng, 2 * n_frequencies),
        network=convert(network, calibration),
        readouts=[random_readout(rng, f"readout_{i}", modes[: max(1, n_modes - 2)]) for i in range(n_readouts)],
        provenance={"source": "random"},
    )
    return model, network


def with_refinements(
    rng: np.random.Generator,
    model: m.Model,
    *,
    instrument: bool = True,
    curvature: bool = True,
    temperature_effect: bool = False,
) -> m.Model:
    """The model with noise that follows |Z|, with curvature where its filter has any, and with an own slope by T."""
    model = with_linear_context(rng, model) if temperature_effect else model
    content = model.model_dump()
    if instrument:
        content["noise"] |= {"instrument_std": 0.01}
    if curvature and model.filter == "ekf":
        content["curvature"] = {"gradient": rng.normal(0.0, 1.0, model.n_modes).tolist()}
    return m.Model.model_validate(content)


def with_linear_context(rng: np.random.Generator, model: m.Model) -> m.Model:
    """The model with an own effect of the temperature on every output, and none of the voltage."""
    effect = rng.normal(0.0, 0.5, (model.n_observations, 2)).tolist()
    content = model.model_dump()
    noise = content["noise"] | {"temperature_effect": effect, "voltage_std_V": 0.0}
    return m.Model.model_validate(content | {"noise": noise})


def random_steps(
    rng: np.random.Generator, model: m.Model, network: FloatNetwork, n_steps: int, *, spoiled: float = 0.05
) -> Iterator[StepInput]:
    """Spectra near the network's output; of the points, `spoiled` are masked, not finite, or have a wrong sign."""
    n_modes_in = network.n_inputs - 2
    for index in range(n_steps):
        voltage_V = float(rng.uniform(3.5, 3.9))
        temperature_degC = float(rng.uniform(10.0, 40.0))
        v = np.array([*rng.normal(0.1, 0.1, n_modes_in), voltage_V, 1000.0 / (temperature_degC + 273.15)])
        ln_z = network.evaluate(v)[0] + rng.normal(0.0, 0.02, model.n_observations)
        z = np.exp(ln_z[: model.n_frequencies]) - 1j * np.exp(ln_z[model.n_frequencies :])
        fate = np.where(rng.random(model.n_frequencies) < spoiled, rng.integers(1, 5, model.n_frequencies), 0)
        z = np.where(fate == 2, np.nan, np.where(fate == 3, -z.real + 1j * z.imag, np.where(fate == 4, z.conj(), z)))
        yield StepInput(
            elapsed_cycles=0.0 if index == 0 else float(rng.uniform(10.0, 60.0)),
            voltage_V=voltage_V,
            temperature_degC=temperature_degC,
            z_ohm=z,
            valid=fate != 1,
        )
