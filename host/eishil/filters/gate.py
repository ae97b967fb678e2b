"""The innovation gate: whether a spectrum is believed. docs/estimator.md, "The innovation gate".

A test of the normalised innovation squared (Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and
Navigation, 2001, 5.4) against the bound of Laurent and Massart, Adaptive estimation of a quadratic functional by model
selection, 2000, lemma 1, for the quantile of chi-square.
"""

from __future__ import annotations

import math

from eishil.model import Gate


class OutlierGate:
    """Judges one spectrum after the other; without `settings` every spectrum is believed.

    Attributes
    ----------
    outliers
        Spectra left out in a row.
    probation
        Plausible spectra in a row that it takes to arm the gate: until then all are believed.
    """

    def __init__(self, settings: Gate | None) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Nothing has been seen yet: the first plausible spectrum arms the gate."""
        self.outliers, self.probation = 0, 1

    def refuses(self, nis: float, n_used: int) -> bool:
        """Whether a spectrum of this NIS with so many degrees of freedom is left out."""
        if self._settings is None:
            return False
        if nis <= nis_limit(self._settings.probability, n_used):
            self.outliers, self.probation = 0, max(self.probation - 1, 0)
            return False
        armed = self.probation == 0
        self.outliers += armed
        if not armed or self.outliers >= self._settings.patience:
            self.probation = self._settings.probation
        return armed


def nis_limit(probability: float, n: int) -> float:
    """What chi-square of `n` degrees of freedom exceeds with `probability` p at most: n + 2 sqrt(n t) + 2 t, t = -ln p.

    Source: Laurent and Massart 2000, lemma 1; no narrower than the quantile, and it needs no table.
    """
    t = -math.log(probability)
    return n + 2 * math.sqrt(n * t) + 2 * t
