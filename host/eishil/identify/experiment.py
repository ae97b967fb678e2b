"""Which frequencies to measure: the set with the smallest bound of SOH that fits a measuring time.

The time model counts periods: an instrument measures `periods` of each sine. A *multisine* carries all sines at once
and takes periods / f_min; *one by one* takes the sum of periods / f. Settling and the switching of ranges are left out.

Sets grow greedily, once by what a frequency gains and once by what it gains per second of its own (Leskovec et al., KDD
2007), and then exchange one frequency at a time for the one that helps most (Fedorov, Theory of Optimal Experiments,
1972, chapter 3). The better of the two ends is a local optimum, not a proven one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.recipe import MeasurementRecipe
from eishil.identify.bound import LifePrior, posterior, readout_std
from eishil.identify.information import channel_information, mode_information
from eishil.identify.sensitivity_store import TrajectorySensitivities

Floats = NDArray[np.float64]
Instrument = Literal["multisine", "one_by_one"]
MULTISINE: Instrument = "multisine"
ONE_BY_ONE: Instrument = "one_by_one"


@dataclass(frozen=True)
class TimeModel:
    """How long an instrument measures."""

    instrument: Instrument
    periods: float

    def duration_s(self, frequency_Hz: Floats) -> float:
        """Of one spectrum with these frequencies; 0 without any."""
        if not len(frequency_Hz):
            return 0.0
        each = self.periods / np.asarray(frequency_Hz)
        return float(each.max() if self.instrument == MULTISINE else each.sum())


@dataclass(frozen=True)
class Plan:
    """A set of frequencies, how long a spectrum takes, and the bound of SOH, rms over the spectra of some lives."""

    frequency_Hz: tuple[float, ...]
    duration_s: float
    soh_rms: float


class Criterion:
    """The bound of SOH for any set of candidate frequencies, from sensitivities computed once; remembers its values.

    It is the rms over every `every`-th step of the lives.
    """

    def __init__(
        self,
        prior: LifePrior,
        lives: Sequence[TrajectorySensitivities],
        candidates_Hz: Floats,
        measurement: MeasurementRecipe,
        every: int = 1,
    ) -> None:
        self._at = slice(every - 1, None, every)
        self.candidates_Hz = candidates_Hz
        self._prior, self._measurement, self._lives = prior, measurement, lives
        self._channels = [channel_information(life.here, measurement) for life in lives]
        self._known: dict[frozenset[int], float] = {}

    def soh_rms(self, chosen: Iterable[int]) -> float:
        """For the candidates at these positions."""
        key = frozenset(chosen)
        if key not in self._known:
            self._known[key] = self._evaluate(sorted(key))
        return self._known[key]

    def _evaluate(self, chosen: list[int]) -> float:
        variances = []
        for life, channels in zip(self._lives, self._channels, strict=True):
            information = mode_information(channels[:, chosen].sum(axis=1), self._measurement)
            information[~life.measured] = 0.0
            covariance = posterior(self._prior, information, self._at)
            std = readout_std(covariance, life.here.soh_gradient[self._at])
            variances.append(std[life.measured[self._at]] ** 2)
        return float(np.sqrt(np.concatenate(variances).mean()))


def best_plan(criterion: Criterion, time: TimeModel, budget_s: float, most: int) -> Plan:
    """At most `most` candidates within `budget_s`; a plan without frequencies where none fits."""
    search = _Search(criterion, time, budget_s, most)
    starts = [search.grown(per_second) for per_second in ((False, True) if time.instrument == ONE_BY_ONE else (False,))]
    chosen = min(map(search.exchanged, starts), key=criterion.soh_rms)
    frequency_Hz = criterion.candidates_Hz[sorted(chosen)]
    return Plan(tuple(frequency_Hz.tolist()), time.duration_s(frequency_Hz), criterion.soh_rms(chosen))


@dataclass(frozen=True)
class _Search:
    criterion: Criterion
    time: TimeModel
    budget_s: float
    most: int

    def grown(self, per_second: bool) -> list[int]:
        """From nothing, one candidate after the other."""
        chosen: list[int] = []
        while options := self._additions(chosen):
            chosen.append(max(options, key=lambda new: self._gain(chosen, new, per_second)))
        return chosen

    def exchanged(self, chosen: list[int]) -> list[int]:
        """Replace one by another, the pair that helps most, while one does."""
        while options := list(self._exchanges(chosen)):
            other = min(options, key=self.criterion.soh_rms)
            if self.criterion.soh_rms(other) >= self.criterion.soh_rms(chosen):
                break
            chosen = other
        return chosen

    def _exchanges(self, chosen: list[int]) -> Iterator[list[int]]:
        for old in chosen:
            kept = [one for one in chosen if one != old]
            yield from ([*kept, new] for new in self._additions(kept) if new != old)

    def _additions(self, chosen: list[int]) -> list[int]:
        options = (new for new in range(len(self.criterion.candidates_Hz)) if new not in chosen)
        return [new for new in options if len(chosen) < self.most and self._duration_s([*chosen, new]) <= self.budget_s]

    def _gain(self, chosen: list[int], new: int, per_second: bool) -> float:
        gain = self.criterion.soh_rms(chosen) - self.criterion.soh_rms([*chosen, new])
        return gain / self._duration_s([new]) if per_second else gain

    def _duration_s(self, chosen: list[int]) -> float:
        return self.time.duration_s(self.criterion.candidates_Hz[chosen])
