"""What the small model's approximations cost in accuracy: the float64 reference with and without them, on labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eishil.filters.ukf import reference_filter
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil_bench.firmware.model_variants import with_linear_context, with_modes_as_states
from eishil_bench.runs.stimulus import Trajectory


def variant_accuracy(model: Model, trajectories: Sequence[Trajectory]) -> list[dict[str, Any]]:
    """SOH of the reference with the modes as states, by the network's context and by a linear one.

    Returns
    -------
    list of dict
        For either: its RMSE against the labels of all spectra of the trajectories, and its rms difference from the
        first.
    """
    exact = with_modes_as_states(model)
    label = np.array([spectrum.soh for trajectory in trajectories for spectrum in trajectory.spectra])
    first = _soh(exact, trajectories)
    rows = []
    for context, soh in (("network", first), ("linear", _soh(with_linear_context(exact), trajectories))):
        rows.append(
            {
                "build": "reference",
                "filter": "ekf",
                "states": exact.n_states,
                "context": context,
                "rms_soh_difference": float(np.sqrt(np.mean((soh - first) ** 2))),
                "soh_rmse": float(np.sqrt(np.mean((soh - label) ** 2))),
                "spectra": len(label),
            }
        )
    return rows


def _soh(model: Model, trajectories: Sequence[Trajectory]) -> np.ndarray:
    reference = reference_filter(model, IntegerReference(model.network))
    soh = []
    for trajectory in trajectories:
        reference.reset()
        soh += [reference.step(measured).readout[0] for measured in trajectory.measured]
    return np.array(soh)
