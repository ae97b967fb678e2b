"""All trajectories through one device: from the journal where it has them, otherwise over the line.

A trajectory starts from the model's prior, so that one which was cut short is run again from its first spectrum and
gives the same estimates bit for bit. A device that falls silent or dies is reset and its trajectory repeated, once in a
run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from eishil.errors import EishilError, SilenceError, TargetDiedError, TargetError
from eishil.filters.commissioning import Commissioning
from eishil.model import Model
from eishil_bench.link.interface import ByteStream, Exchanger, LinkStatistics
from eishil_bench.link.session import (
    DeviceStatus,
    DeviceStep,
    Identity,
    Session,
    refuse_faults,
    refuse_stranger,
    stream,
)
from eishil_bench.link.steady_link import SteadyLink
from eishil_bench.record.journal import Section
from eishil_bench.record.logbook import Logbook
from eishil_bench.record.recorded import recorded_session
from eishil_bench.runs.stimulus import Trajectory

_GONE = (SilenceError, TargetDiedError)  # what a reset may mend


class Device(ByteStream, Protocol):
    """A started target that can be reset."""

    @property
    def kind(self) -> str: ...

    def reset(self) -> None:
        """Reset the device; it is ready to talk afterwards."""


@dataclass(frozen=True)
class DeviceLife:
    """A device's estimates along a trajectory, and what the cell's fresh spectra had taught it."""

    steps: list[DeviceStep]
    commissioning: Commissioning | None = None


def live(session: Session, trajectory: Trajectory) -> DeviceLife:
    """One trajectory from the prior on, after the device was commissioned where there are fresh spectra."""
    learned = session.commission(trajectory.fresh) if trajectory.fresh else None
    return DeviceLife(stream(session, trajectory.measured), learned)


class DeviceRun:
    """One run of a device.

    Parameters
    ----------
    device
        Started.
    build_id
        Of the image that it should carry.
    link
        Takes the place of a link with the usual patience.
    window, covariance_every
        Requests on their way at a time, and which replies have a covariance; see `Session`.
    flash_command
        Puts the wanted image onto the device.
    """

    def __init__(
        self,
        device: Device,
        model: Model,
        build_id: bytes,
        link: Exchanger | None = None,
        logbook: Logbook | None = None,
        *,
        window: int = 1,
        covariance_every: int = 1,
        flash_command: str = "",
    ) -> None:
        self._device, self._model, self._build_id, self._flash_command = device, model, build_id, flash_command
        self._logbook = logbook or Logbook()
        self._covariance_every = covariance_every
        observe = self._logbook.journal.exchange
        self._session = Session(device, model, link, observe, window=window, covariance_every=covariance_every)
        self._before = _earlier_statistics(self._logbook)
        self._retried = False
        self.remarks: list[str] = []
        self.identity: Identity
        self.status: DeviceStatus
        self._faults_before: DeviceStatus

    @property
    def link(self) -> LinkStatistics:
        """Counts of this run, with those of the trajectories that were on record."""
        return self._before + self._session.link.statistics

    def answers(self, trajectories: Sequence[Trajectory]) -> Iterator[tuple[Trajectory, DeviceLife]]:
        """Every trajectory with the device's estimates, in order; `identity` and `status` are there at the end.

        Raises
        ------
        TargetError
            The device is silent, is another one than is wanted, lost a step, or recorded a fault.
        """
        self._greet()
        self._faults_before = self._session.status()
        for trajectory in trajectories:
            recorded = self._logbook.finished.get(trajectory.cell_id)
            yield trajectory, self._recorded(trajectory, recorded) if recorded else self._measured(trajectory)
        self.status = self._session.status()
        refuse_faults(self._device.name, self._faults_before, self.status)
        self._logbook.journal.note("end", link=asdict(self.link), remarks=self.remarks)
        self._logbook.journal.sync()

    def _greet(self) -> None:
        """The wanted device, freshly reset; a device that is mute may be one that a reset wakes."""
        try:
            self._refuse_stranger(self._session.hello())
        except _GONE as gone:
            self._recover(gone, "it was reset")
        else:
            self._device.reset()
        self.identity = self._session.hello()
        self._refuse_stranger(self.identity)
        self._session.forget_commissioning()  # a board that is never reset would keep the last run's cell
        if isinstance(self._session.link, SteadyLink):
            self._session.link.raise_rate()

    def _recorded(self, trajectory: Trajectory, section: Section) -> DeviceLife:
        name, every = self._device.name, self._covariance_every
        session = recorded_session(name, section.exchanges, self._model, covariance_every=every)
        return live(session, trajectory)

    def _measured(self, trajectory: Trajectory) -> DeviceLife:
        journal = self._logbook.journal
        life = None
        while life is None:
            try:
                life = self._live(trajectory)
            except _GONE as gone:
                journal.note("abandoned", cell_id=trajectory.cell_id)
                self._recover(gone, f"it was reset and cell {trajectory.cell_id} run again")
        journal.note("finished", cell_id=trajectory.cell_id, link=asdict(self.link))
        journal.sync()
        return life

    def _live(self, trajectory: Trajectory) -> DeviceLife:
        """Where the device has started anew, or lost its estimator, its fault is told in place of what followed."""
        self._logbook.journal.begin(about_trajectory(trajectory))
        resumed = self._session.link.statistics.resumed
        try:
            life = live(self._session, trajectory)
        except _GONE:
            raise
        except TargetError:
            self._refuse_faults()
            raise
        if self._session.link.statistics.resumed != resumed:
            self._refuse_faults()
        return life

    def _refuse_stranger(self, found: Identity) -> None:
        refuse_stranger(self._device.name, found, self._model, self._build_id, self._flash_command)

    def _refuse_faults(self) -> None:
        """A device that cannot be asked has told of no fault."""
        try:
            status = self._session.status()
        except TargetError:
            return
        refuse_faults(self._device.name, self._faults_before, status)

    def _recover(self, gone: TargetError, done: str) -> None:
        """Reset a device that is silent or has died, once in a run."""
        if self._retried:
            raise TargetError(f"{gone} (it had been reset once in this run already)") from None
        self._retried = True
        try:
            self._device.reset()
        except EishilError as error:
            raise TargetError(f"{gone}; resetting it failed: {error}") from None
        self.remarks.append(f"{gone}; {done}")
        self._logbook.journal.note("remark", text=self.remarks[-1])
        try:
            self._refuse_stranger(self._session.hello())
        except _GONE as again:
            raise TargetError(f"{again} (after it was reset: {gone})") from None


def about_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """What a journal says of a trajectory beside its exchanges: the labels, which no device sees."""
    labels = [[one.step, one.cycles, one.soh, one.soc, one.modes.tolist()] for one in trajectory.spectra]
    return {"cell_id": trajectory.cell_id, "masked": trajectory.masked, "labels": labels}


def _earlier_statistics(logbook: Logbook) -> LinkStatistics:
    """The link's counts when the last trajectory on record ended."""
    outcomes = [section.outcome for section in logbook.finished.values() if section.outcome]
    return LinkStatistics(**outcomes[-1]["link"]) if outcomes else LinkStatistics()
