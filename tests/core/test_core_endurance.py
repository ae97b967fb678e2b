"""A covariance in float32 stays one over a hundred thousand spectra: the C core on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eishil import codegen, wire
from eishil.ccore import CEstimator, CoreLibrary
from eishil.filters import readout
from eishil.model import Curvature, Model
from eishil.network.integer import IntegerReference
from support.simulated_cells import simulated_trajectory

APPLIED = [wire.ENUMS["status"][name] for name in ("OK", "POINTS_SKIPPED")]
LOOK_EVERY = 1000
SPECTRA = 50
# The hardest is a state that is only ever told more; an unscented step costs thirty times as much. Noise that follows
# the spectrum and curvature, where the filter takes it, are in all of them.
STEPS = {"as committed": 10_000, "latents that do not walk": 100_000, "unscented": 2_000}


def make_core(model: Model, variant: str, folder: Path) -> CoreLibrary:
    still = {"process_variance_per_cycle": 0.0} if variant == "latents that do not walk" else {}
    filter_ = "ukf" if variant == "unscented" else "ekf"
    changed = {
        "states": [state.model_copy(update=still) for state in model.states],
        "filter": filter_,
        "noise": model.noise.model_copy(update={"instrument_std": 0.003}),
        "curvature": Curvature(gradient=soh_gradient(model)) if filter_ == "ekf" else None,
        # Every spectrum is applied, those too that a life in a hundredth of the time makes implausible.
        "gate": None,
    }
    codegen.generate(model.model_copy(update=changed), folder)
    return CoreLibrary.build(folder)


def soh_gradient(model: Model) -> list[float]:
    """By the modes, in the middle of their ranges."""
    middle = np.array([(mode.minimum + mode.maximum) / 2 for mode in model.modes])
    names = [mode.name for mode in model.modes]
    return readout.evaluate(model.readouts[0], names, middle)[1].tolist()


def inputs(core: CoreLibrary, model: Model) -> list[tuple[Any, ...]]:
    """Spectra of one life that the model describes, each a hundredth of a cycle after the one before."""
    rng = np.random.default_rng(5)
    life = simulated_trajectory(rng, model, IntegerReference(model.network), "cell", SPECTRA)
    given = []
    for index, spectrum in enumerate(life.spectra):
        step, one = spectrum.measured, core.ffi.new("estimator_input_t *")
        real = core.ffi.new("float[]", np.float32(step.z_ohm.real).tolist())
        imag = core.ffi.new("float[]", np.float32(step.z_ohm.imag).tolist())
        one.elapsed_cycles, one.voltage_V, one.temperature_degC = 0.01, step.voltage_V, step.temperature_degC
        # Of every seventh spectrum some points are masked.
        one.valid_mask = 0x5A5 if index % 7 == 3 else 0xFFFFFFFF
        one.z_real_ohm, one.z_imag_ohm = real, imag
        given.append((one, real, imag))
    return given


def smallest_eigenvalue(estimator: CEstimator, n: int) -> float:
    """Of the correlation matrix: the covariance, whatever its units."""
    P = np.zeros((n, n))
    P[np.triu_indices(n)] = list(estimator.state.filter[0].P)
    P = P + np.triu(P, 1).T
    std = np.sqrt(np.diag(P))
    return float(np.linalg.eigvalsh(P / np.outer(std, std)).min())


@pytest.mark.parametrize("variant", STEPS)
def test_covariance_stays_positive_definite(variant: str, first_light: Model, tmp_path: Path) -> None:
    core = make_core(first_light, variant, tmp_path)
    estimator, spectra = core.estimator(), inputs(core, first_light)
    work, output = core.ffi.new("estimator_work_t *"), core.ffi.new("estimator_output_t *")
    step, state, model = core.lib.estimator_step, estimator.state, core.model
    for k in range(STEPS[variant]):
        status = step(state, model, work, spectra[k % SPECTRA][0], output)
        assert status in APPLIED, f"step {k} was refused"
        if k % LOOK_EVERY == 0:
            assert smallest_eigenvalue(estimator, first_light.n_states) > 0, f"after {k} steps"
    assert np.isfinite(list(output.x)).all()
