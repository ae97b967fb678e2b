"""Features of spectra: ohmic intercept, charge-transfer arc, Warburg coefficient, each with a flag of its quality.

A feature that a spectrum does not show is NaN and its flag says why: nothing is guessed. All of it is read off the
points themselves; `circuits` fits equivalent circuits. What is derived here is kept apart from the spectra.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.schema import REAL, TEXT, Column

Floats = NDArray[np.float64]
GOOD = "good"
OHMIC_REACTANCE = 0.1  # -Im / Re at the highest frequency up to which that point counts as the intercept
WARBURG_DECADE = 10.0  # the tail is looked for within this factor of the lowest frequency
WARBURG_POINTS = 3
WARBURG_SLOPE_RATIO = (0.8, 1.25)  # slope of -Im over that of Re: 1 for semi-infinite diffusion

COLUMNS: dict[str, Column] = {
    "sample_id": Column(TEXT, "", "as in samples, in the same order"),
    "ohmic_intercept_ohm": Column(REAL, "Ohm", "Re Z where Im Z passes zero, else at the highest frequency"),
    "ohmic_quality": Column(TEXT, "", "good; not_reached: the highest frequency is still capacitive; masked"),
    "arc_peak_ohm": Column(REAL, "Ohm", "largest -Im Z of the arc"),
    "arc_frequency_Hz": Column(REAL, "Hz", "where it is"),
    "r_ct_ohm": Column(REAL, "Ohm", "width of the arc, from the ohmic intercept to the minimum of -Im Z after it"),
    "c_dl_F": Column(REAL, "F", "1 / (2 pi arc_frequency_Hz r_ct_ohm)"),
    "arc_quality": Column(TEXT, "", "good; no_arc: -Im Z has no peak with a minimum after it; masked"),
    "warburg_ohm_s05": Column(REAL, "Ohm s^-1/2", "sigma of sigma (1 - i) omega^-1/2, at the lowest frequencies"),
    "warburg_quality": Column(TEXT, "", "good; not_semi_infinite: Re and -Im rise unequally; too_few; masked"),
}


def features(z_ohm: NDArray[np.complex128], frequency_Hz: Floats) -> dict[str, float | str]:
    """Features of one spectrum (F,) at rising frequencies, by the names in `COLUMNS` but `sample_id`."""
    if not np.isfinite(z_ohm).all():
        flags = {name: "masked" for name in COLUMNS if name.endswith("_quality")}
        return {name: flags.get(name, np.nan) for name in COLUMNS if name != "sample_id"}
    intercept, ohmic_quality = _ohmic(z_ohm)
    arc = _arc(z_ohm, frequency_Hz, intercept)
    sigma, warburg_quality = _warburg(z_ohm, frequency_Hz)
    ohmic: dict[str, float | str] = {"ohmic_intercept_ohm": intercept, "ohmic_quality": ohmic_quality}
    return ohmic | arc | {"warburg_ohm_s05": sigma, "warburg_quality": warburg_quality}


def _ohmic(z: NDArray[np.complex128]) -> tuple[float, str]:
    """Linear in -Im between the two points around the axis."""
    reactance = -z.imag
    below = np.flatnonzero(reactance <= 0)
    if below.size and below[0] > 0:
        k = below[0]
        share = reactance[k - 1] / (reactance[k - 1] - reactance[k])
        return float(z.real[k - 1] + share * (z.real[k] - z.real[k - 1])), GOOD
    return float(z.real[-1]), GOOD if reactance[-1] <= OHMIC_REACTANCE * z.real[-1] else "not_reached"


def _arc(z: NDArray[np.complex128], f: Floats, intercept_ohm: float) -> dict[str, float | str]:
    """The largest peak of -Im Z that has a minimum on its low-frequency side."""
    reactance = -z.imag
    inner = reactance[1:-1]
    peaks = np.flatnonzero((inner >= reactance[:-2]) & (inner > reactance[2:])) + 1
    minima = np.flatnonzero((inner < reactance[:-2]) & (inner <= reactance[2:])) + 1
    peaks = peaks[[bool((minima < peak).any()) for peak in peaks]]
    if not peaks.size:
        return dict.fromkeys(("arc_peak_ohm", "arc_frequency_Hz", "r_ct_ohm", "c_dl_F"), np.nan) | {
            "arc_quality": "no_arc"
        }
    peak = peaks[np.argmax(reactance[peaks])]
    foot = minima[minima < peak][-1]
    log_f, height = _vertex(np.log(f[peak - 1 : peak + 2]), reactance[peak - 1 : peak + 2])
    r_ct = float(z.real[foot] - intercept_ohm)
    frequency = float(np.exp(log_f))
    capacity = 1 / (2 * np.pi * frequency * r_ct)
    return {
        "arc_peak_ohm": height,
        "arc_frequency_Hz": frequency,
        "r_ct_ohm": r_ct,
        "c_dl_F": capacity,
        "arc_quality": GOOD,
    }


def _vertex(x: Floats, y: Floats) -> tuple[float, float]:
    """Top of the parabola through three points."""
    a, b, c = np.polyfit(x - x[1], y, 2)
    shift = -b / (2 * a)
    return float(x[1] + shift), float(c + 0.5 * b * shift)


def _warburg(z: NDArray[np.complex128], f: Floats) -> tuple[float, str]:
    """Slope of Re Z over omega^-1/2 in the lowest decade, if that of -Im Z is the same."""
    tail = f <= WARBURG_DECADE * f[0]
    if tail.sum() < WARBURG_POINTS:
        return np.nan, "too_few"
    root = 1 / np.sqrt(2 * np.pi * f[tail])
    re, im = (float(np.polyfit(root, part[tail], 1)[0]) for part in (z.real, -z.imag))
    low, high = WARBURG_SLOPE_RATIO
    if not (re > 0 and low <= im / re <= high):
        return np.nan, "not_semi_infinite"
    return 0.5 * (re + im), GOOD
