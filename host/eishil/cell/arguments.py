"""Checks of what a user gives to `eishil.impedance`: a mistake is a sentence, and never a wrong number."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eishil.cell.ageing import AgedState
from eishil.errors import EishilError

FREQUENCY_LIMITS_Hz = (1e-6, 1e9)
TEMPERATURE_LIMITS_degC = (-60.0, 100.0)
SOC_LIMITS = (0.0, 1.0)
# A cell that has lost all of its lithium or of an active material is none: eSOH has nothing to solve.
MODE_LIMITS = {
    "lli": (0.0, 0.999),
    "lam_ne": (0.0, 0.999),
    "lam_pe": (0.0, 0.999),
    "sei_thickness_nm": (0.0, 1e4),
    "contact_resistance_mOhm": (0.0, 1e4),
    "porosity_loss_ne": (0.0, 0.999),
}


def name(what: str, value: Any) -> str:
    """A name, for instance of a parameter set; whether it is known is for others to say."""
    if not isinstance(value, str):
        raise EishilError(f"{what}={_shown(value)}: has to be a name in quotes")
    return value


def number(what: str, value: Any, limits: tuple[float, float]) -> float:
    """One finite number within `limits`."""
    scalar = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    low, high = limits
    if (
        isinstance(scalar, bool)
        or not isinstance(scalar, int | float | np.integer | np.floating)
        or not low <= scalar <= high
    ):
        raise EishilError(f"{what}={_shown(value)}: has to be one number within {low:g}..{high:g}")
    return float(scalar)


def aged_state(value: Any) -> AgedState:
    """Modes of one cell."""
    if not isinstance(value, AgedState):
        raise EishilError(f"aged={_shown(value)}: has to be an eishil.AgedState, for example AgedState(lli=0.1)")
    modes = {field.name: getattr(value, field.name) for field in fields(value)}
    return replace(value, **{mode: number(f"aged.{mode}", modes[mode], MODE_LIMITS[mode]) for mode in modes})


def frequencies(value: Any) -> NDArray[np.float64]:
    """(F,) in Hz, F at least 1; a single number is one frequency."""
    low, high = FREQUENCY_LIMITS_Hz
    given = _array(value)
    if given is None or given.ndim > 1 or given.size == 0 or not np.all((given >= low) & (given <= high)):
        raise EishilError(
            f"frequency_Hz={_shown(value)}: has to be one or more real numbers, each within {low:g}..{high:g} Hz"
        )
    return np.atleast_1d(given.astype(float))


def _array(value: Any) -> NDArray[Any] | None:
    try:
        given = np.asarray(value)
    except (TypeError, ValueError):  # ragged
        return None
    return given if given.dtype.kind in "iuf" else None


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
