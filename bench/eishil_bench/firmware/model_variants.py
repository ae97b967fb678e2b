"""The same network under other filters and with other states: for figures that can be compared with others'."""

from __future__ import annotations

from typing import Any

import numpy as np

from eishil.model import Model

# A walk of the modes that neither stands still nor runs away: a thousandth of the modes' range per cycle.
WALK_PER_CYCLE = 1e-3


def variants(model: Model) -> dict[str, Model]:
    """By filter and states: the model itself, and with the modes as states; as EKF and as UKF."""
    shapes = [model, with_modes_as_states(model)]
    return {f"{kind} {shape.n_states}": _changed(shape, filter=kind) for kind in ("ekf", "ukf") for shape in shapes}


def with_modes_as_states(model: Model) -> Model:
    """A random walk of the modes, from the middle of their ranges."""
    low, high = (np.array([getattr(mode, name) for mode in model.modes]) for name in ("minimum", "maximum"))
    span = high - low
    states = [
        {
            "name": mode.name,
            "unit": mode.unit,
            "drift_per_cycle": 0.0,
            "process_variance_per_cycle": float((WALK_PER_CYCLE * width) ** 2),
        }
        for mode, width in zip(model.modes, span, strict=True)
    ]
    prior = {"weight": 1.0, "mean": (low + span / 4).tolist(), "covariance": np.diag((span / 4) ** 2).tolist()}
    return _changed(model, states=states, trajectory=None, priors=[prior])


def _changed(model: Model, **fields: Any) -> Model:
    """Checked like a model file."""
    return Model.model_validate(model.model_dump() | fields)
