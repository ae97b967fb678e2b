"""How a cell's observations move with its modes, rest voltage and temperature: derivatives of the model itself.

The cell model is a function of modes m, state of charge s and temperature T. An instrument knows the rest voltage V and
not s, so the derivatives of z = [ln Re Z, ln(-Im Z)] are turned by the chain rule,

    dz/dm at V = dz/dm - dz/dV dV/dm,   dz/dV = (dz/ds) / (dV/ds),   dz/dT at V = dz/dT - dz/dV dV/dT

Derivatives are central differences of the whole model; how much they change with half the steps is kept beside them. A
contact resistance adds to Re Z and needs no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.impedance import ImpedanceSolver
from eishil.dataset.spread import factors
from eishil.dataset.states import porosity_loss
from eishil.network.samples import MODE_UNITS, OHM_PER_MILLIOHM, SERIES_MODE

Floats = NDArray[np.float64]
MODES = tuple(MODE_UNITS)
CONTACT = MODES.index(SERIES_MODE)
N_MODES, N_CHANNELS = len(MODES), len(MODES) + 2  # the channels are the modes, V and T
# Half the distance between the two points of a difference; the solver's 1e-11 over it stays below 1e-7.
STEPS = {
    "lli": 1e-3,
    "lam_ne": 1e-3,
    "lam_pe": 1e-3,
    "log10_sei_thickness": 1e-2,
    "soc": 5e-4,
    "temperature_degC": 0.1,
}
CHECKED_EVERY = 10  # spectra


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives at S operating points and F frequencies; NaN where a perturbed cell cannot exist.

    Attributes
    ----------
    z_ohm
        (S, F).
    dz
        (S, 2F, 7) of ln Re Z at all frequencies, then ln(-Im Z), by `MODES` (fractions, decades of film, mOhm), by the
        rest voltage in V and by the temperature in K.
    soh_gradient
        (S, 5), dSOH / d mode.
    step_error
        (S,), change of `dz` with half the steps over the largest element of its column, at worst; NaN where it was not
        looked at.
    """

    z_ohm: NDArray[np.complex128]
    dz: Floats
    soh_gradient: Floats
    step_error: Floats

    def take(self, rows: Any) -> Sensitivities:
        """Some of the operating points."""
        return Sensitivities(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class _Response:
    """z (S, 2F), rest voltage (S,) and SOH (S,), or their derivatives by one coordinate."""

    z: Floats
    voltage_V: Floats
    soh: Floats


def sensitivities(
    solver: ImpedanceSolver, parameter_set: str, samples: pd.DataFrame, frequency_Hz: Floats
) -> Sensitivities:
    """Differentiate the model at the true states of S samples; `samples` has the columns of a data set."""
    n = len(frequency_Hz)
    z = _respond(solver, parameter_set, samples, frequency_Hz, {}).z
    z_ohm = np.exp(z[:, :n]) - 1j * np.exp(z[:, n:])
    dz, soh_gradient = _derivatives(solver, parameter_set, samples, frequency_Hz, 1.0)
    checked = np.arange(0, len(samples), CHECKED_EVERY)
    halved, _ = _derivatives(solver, parameter_set, samples.iloc[checked], frequency_Hz, 0.5)
    step_error = np.full(len(samples), np.nan)
    here = np.delete(dz[checked], CONTACT, axis=2)
    change = np.abs(np.delete(halved, CONTACT, axis=2) - here)
    step_error[checked] = (change.max(axis=1) / np.abs(here).max(axis=1)).max(axis=1)
    dz[:, :n, CONTACT] = OHM_PER_MILLIOHM / z_ohm.real
    return Sensitivities(z_ohm, dz, soh_gradient, step_error)


def _derivatives(
    solver: ImpedanceSolver, parameter_set: str, samples: pd.DataFrame, frequency_Hz: Floats, scale: float
) -> tuple[Floats, Floats]:
    """The arrays dz (S, 2F, 7) and dSOH/dmode (S, 5) over `scale` times the steps; 0 for the contact."""
    by = {}
    for name, step in STEPS.items():
        width = 2 * scale * step
        up, down = (_respond(solver, parameter_set, samples, frequency_Hz, {name: d}) for d in (width / 2, -width / 2))
        by[name] = _Response(
            (up.z - down.z) / width, (up.voltage_V - down.voltage_V) / width, (up.soh - down.soh) / width
        )
    dz = np.zeros((len(samples), 2 * len(frequency_Hz), N_CHANNELS))
    soh_gradient = np.zeros((len(samples), N_MODES))
    dz_dV = by["soc"].z / by["soc"].voltage_V[:, None]
    channels = (*MODES, "soc", "temperature_degC")
    for channel, name in enumerate(channels):
        if name in by:
            dz[:, :, channel] = by[name].z - dz_dV * by[name].voltage_V[:, None]
        if name in by and name in MODES:
            soh_gradient[:, channel] = by[name].soh
    dz[:, :, channels.index("soc")] = dz_dV
    return dz, soh_gradient


def _respond(
    solver: ImpedanceSolver, parameter_set: str, samples: pd.DataFrame, frequency_Hz: Floats, moved: dict[str, float]
) -> _Response:
    """Observations, rest voltage and SOH with one coordinate of every sample moved."""

    def column(name: str) -> Floats:
        return np.asarray(samples[name], np.float64) + moved.get(name, 0.0)

    aged = AgedState(
        lli=column("lli"),
        lam_ne=column("lam_ne"),
        lam_pe=column("lam_pe"),
        sei_thickness_nm=column("sei_thickness_nm") * 10 ** moved.get("log10_sei_thickness", 0.0),
        contact_resistance_mOhm=column("contact_resistance_mOhm"),
        porosity_loss_ne=porosity_loss(parameter_set, samples),
    )
    state = snapshot(parameter_set, aged, column("soc"), column("temperature_degC"), factors(samples))
    exists = np.flatnonzero(state.reason != "infeasible")
    z, voltage_V = np.full((len(samples), 2 * len(frequency_Hz)), np.nan), np.full(len(samples), np.nan)
    if exists.size:
        batch = solver.solve(state.inputs.take(exists), frequency_Hz)
        z[exists] = np.log(np.concatenate([batch.z_ohm.real, -batch.z_ohm.imag], axis=1))
        voltage_V[exists] = batch.voltage_V
    return _Response(z, voltage_V, state.soh)
