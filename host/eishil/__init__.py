"""From PyBaMM impedance spectra to a state-of-health estimator on a microcontroller, and the proof of each step.

>>> import eishil
>>> spectrum = eishil.impedance("Chen2020", soc=0.5, temperature_degC=25.0, frequency_Hz=[0.1, 1.0, 10.0])

The names below load what they need when they are first used: importing eishil imports neither numpy nor PyBaMM.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eishil.cell.ageing import AgedState as AgedState
    from eishil.cell.impedance import impedance as impedance
    from eishil.dataset.tables import open_dataset as open_dataset
    from eishil.spectrum import Spectrum as Spectrum

_HOME = {
    "AgedState": "eishil.cell.ageing",
    "Spectrum": "eishil.spectrum",
    "impedance": "eishil.cell.impedance",
    "open_dataset": "eishil.dataset.tables",
}
__all__ = ["AgedState", "Spectrum", "impedance", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eishil' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
