"""Cells that obey a model exactly: states drawn from its prior, spectra and labels from its own equations at the truth.

Nothing physical, but the filter's assumptions hold, so that its figures have known values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eishil.filters import readout
from eishil.filters.ekf import Ekf
from eishil.filters.observation import Network
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.mlp import FloatNetwork
from eishil_bench.runs.stimulus import HeldOutSpectrum, Trajectory, as_sent
from support.fresh_spectra import fresh_spectra


def simulated_trajectory(
    rng: np.random.Generator, model: Model, network: Network, cell_id: str, steps: int
) -> Trajectory:
    truth = Ekf(model, network)
    prior = model.priors[0]
    x = rng.multivariate_normal(prior.mean, prior.covariance)
    drift = np.array([state.drift_per_cycle for state in model.states])
    q = np.array([state.process_variance_per_cycle for state in model.states])
    names = [mode.name for mode in model.modes]
    spectra, cycles = [], 0.0
    for step in range(steps):
        elapsed = 0.0 if step == 0 else 40.0
        cycles += elapsed
        x = x + drift * elapsed + rng.normal(0.0, np.sqrt(q * elapsed))
        voltage_V, temperature_degC = rng.uniform(3.5, 3.9), rng.uniform(15.0, 35.0)
        line = truth.linearise(x, cycles, voltage_V, temperature_degC)
        ln_z = line.h + rng.normal(0.0, np.sqrt(model.noise.variance))
        real, imag = np.split(np.exp(ln_z), 2)
        noisy_V = voltage_V + rng.normal(0.0, model.noise.voltage_std_V)
        noisy_degC = temperature_degC + rng.normal(0.0, model.noise.temperature_std_K)
        soh = float(readout.evaluate(model.readouts[0], names, x)[0]) + rng.normal(0.0, model.readouts[0].residual_std)
        measured = as_sent(elapsed, noisy_V, noisy_degC, real - 1j * imag)
        spectra.append(HeldOutSpectrum(step, cycles, soh, 0.5, x, measured))
    return Trajectory(cell_id, tuple(spectra), 0)


def expected_life(rng: np.random.Generator, model: Model, network: Network, steps: int) -> list[StepInput]:
    """Spectra of a cell that starts where the heaviest filter of the bank expects it: none of them is implausible."""
    prior = max(model.priors, key=lambda one: one.weight)
    known = prior.model_copy(update={"covariance": np.diag(np.full(model.n_states, 1e-12)).tolist()})
    life = simulated_trajectory(rng, model.model_copy(update={"priors": [known]}), network, "cell", steps)
    return [spectrum.measured for spectrum in life.spectra]


def simulated_cells(model: Model, network: FloatNetwork, *, cells: int, steps: int, seed: int) -> list[Trajectory]:
    rng = np.random.default_rng(seed)
    return [simulated_trajectory(rng, model, network, f"cell_{i:02d}", steps) for i in range(cells)]


def commissioned_cells(
    model: Model, network: Network, cells: Sequence[Trajectory], count: int, *, std: float
) -> list[Trajectory]:
    """The cells with offsets of ln Z of their own, drawn with `std`, and `count` spectra from before they aged."""
    changed, rng = [], np.random.default_rng(len(cells))
    for number, cell in enumerate(cells):
        offset = rng.normal(0.0, std, model.n_observations)
        real, imaginary = np.split(np.exp(offset), 2)
        spectra = tuple(
            replace(
                one,
                measured=_resent(
                    one.measured, one.measured.z_ohm.real * real + 1j * one.measured.z_ohm.imag * imaginary
                ),
            )
            for one in cell.spectra
        )
        fresh = fresh_spectra(model, network, offset, count, seed=number)
        changed.append(replace(cell, spectra=spectra, fresh=tuple(_resent(one, one.z_ohm) for one in fresh)))
    return changed


def before_ageing(cell: Trajectory) -> list[HeldOutSpectrum]:
    """The cell's fresh spectra with their labels."""
    return [HeldOutSpectrum(step, 0.0, 1.0, 0.5, np.empty(0), one) for step, one in enumerate(cell.fresh)]


def _resent(step: StepInput, z_ohm: np.ndarray) -> StepInput:
    return as_sent(step.elapsed_cycles, step.voltage_V, step.temperature_degC, z_ohm)
