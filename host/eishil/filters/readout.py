"""Scalars that users want, as functions of the modes: SOH first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eishil.model import Readout

Array = NDArray[np.float64]


def evaluate(readout: Readout, mode_names: Sequence[str], modes: Array) -> tuple[Array, Array]:
    """Value (...,) and gradient by every mode (..., n_modes) at modes (..., n_modes), in the order of `mode_names`."""
    columns = [list(mode_names).index(name) for name in readout.inputs]
    scale, w1, w2 = np.array(readout.input_scale), np.array(readout.w1), np.array(readout.w2)
    hidden = np.tanh(((modes[..., columns] - np.array(readout.input_mean)) * scale) @ w1.T + np.array(readout.b1))
    gradient = np.zeros(modes.shape)
    gradient[..., columns] = (((1.0 - hidden**2) * w2) @ w1) * scale
    return hidden @ w2 + readout.b2, gradient
