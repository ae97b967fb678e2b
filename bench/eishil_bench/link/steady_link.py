"""A link on which a trajectory survives resets of the device and closed ports, bit for bit.

Every few spectra it takes a snapshot of the estimator. When the device has forgotten the session it is greeted again,
checked to be the same one, restored from the last snapshot (or initialised) and sent the spectra since; what it answers
must be what it answered before. Whoever uses the link sees nothing of it but `statistics.resumed`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eishil import wire
from eishil.errors import LineClosedError, SessionLostError, SilenceError, TargetError
from eishil_bench.link.exchange import Link
from eishil_bench.link.interface import COMMISSION, STEPS, ByteStream, LinkStatistics, Request, Timing

SNAPSHOT_INTERVAL = 16
BAUD_Bd = 115_200  # after a reset
RATES_Bd = (921_600, 460_800, 230_400)
# Losses without a single answer in between.
MAX_LOSSES = 16
REOPEN_s = 10.0
_REOPEN_PAUSE_s = 0.2
_ACTION = wire.ENUMS["commissioning"]
_OK = wire.ENUMS["status"]["OK"]
_STATUS_NAMES = {value: name for name, value in wire.ENUMS["status"].items()}
_IDENTITY = ("wire_digest", "build_id", "model_id", "board")
# What a repeated step may cost otherwise than the first time.
_COST = ("count", "interrupts")
_SNAPSHOT = tuple(field.name for field in wire.SNAPSHOT)


class SteadyLink:
    """Wraps a link; the arguments are those of `exchange` and `exchange_all` there.

    Parameters
    ----------
    dut
        The target of the link. One with `stop` and `start` is opened again where its line was closed.
    interval
        Spectra between snapshots.
    """

    def __init__(self, link: Link, dut: ByteStream, interval: int = SNAPSHOT_INTERVAL) -> None:
        self._link, self._dut, self._interval = link, dut, interval
        self._hello: np.void | None = None
        self._filters = 1
        self._parts: list[np.void] = []  # of a snapshot that is being taken
        self._snapshot: list[np.void] = []  # of all filters, before `_since`
        self._since: list[tuple[Request, np.void]] = []
        self._initialised = False
        self._commission: list[Request] = []  # since the last CLEAR
        self._resumed = self._losses = 0
        self._is_raised = False

    @property
    def statistics(self) -> LinkStatistics:
        """Counts of the link, and how often it was resumed."""
        return replace(self._link.statistics, resumed=self._resumed)

    @property
    def timing(self) -> Timing:
        """Of the reply that was given last."""
        return self._link.timing

    def exchange(self, name: str, **fields: Any) -> np.void:
        """One request; see `Link.exchange`."""
        if name == "hello":
            return self._say_hello(fields)
        (reply,) = self.exchange_all([(name, fields)])
        return reply

    def exchange_all(self, requests: Iterable[Request]) -> Iterator[np.void]:
        """Many requests; see `Link.exchange_all`."""
        todo = self._with_snapshots(requests)
        answered = 0
        while answered < len(todo):
            try:
                for reply in self._link.exchange_all(todo[answered:]):
                    request = todo[answered]
                    answered += 1
                    self._losses = 0
                    self._remember(request, reply)
                    if request[0] != "snapshot":
                        yield reply
            except (SessionLostError, LineClosedError) as loss:
                self._resume(loss)
            except SilenceError as silence:
                if not self._is_raised:
                    raise
                self._lower_rate()
                self._resume(silence)

    def raise_rate(self, rates_Bd: Sequence[int] = RATES_Bd) -> int:
        """The first of the rates that device and line can have, else the one at which they start."""
        set_baud = getattr(self._dut, "set_baud", None)
        if set_baud is None:
            return BAUD_Bd
        for rate_Bd in rates_Bd:
            if self.exchange("baud", baud_Bd=rate_Bd)["status"] != _OK:
                continue
            set_baud(rate_Bd)
            self._is_raised = True
            try:
                self._link.exchange("status")
                return rate_Bd
            except SilenceError:
                self._lower_rate()
                self._greet()
        return BAUD_Bd

    def _lower_rate(self) -> None:
        """As after a reset. A device that was not reset goes back by itself when it hears nothing."""
        self._is_raised = False
        self._dut.set_baud(BAUD_Bd)  # type: ignore[attr-defined]
        self._link.forget_session()

    # --- what a trajectory is restored from ---------------------------------------------------------------------------

    def _with_snapshots(self, requests: Iterable[Request]) -> list[Request]:
        snapshot: list[Request] = [("snapshot", {"filter": index}) for index in range(self._filters)]
        steps, todo = len(self._since), []
        for request in requests:
            todo.append(request)
            steps += request[0] in STEPS
            if steps >= self._interval:
                todo += snapshot
                steps = 0
        return todo

    def _remember(self, request: Request, reply: np.void) -> None:
        name = request[0]
        if name == "init":
            self._initialised, self._snapshot, self._since = bool(reply["status"] == _OK), [], []
        elif name in STEPS:
            self._since.append((request, reply))
        elif name == COMMISSION and reply["status"] == _OK:
            self._remember_commission(request)
        elif name == "snapshot" and reply["status"] == _OK:
            self._take_snapshot(reply)

    def _remember_commission(self, request: Request) -> None:
        """What a reset forgets; once the cell is another the estimator starts anew."""
        action = request[1].get("action", _ACTION["CLEAR"])
        self._commission = [] if action == _ACTION["CLEAR"] else [*self._commission, request]
        self._initialised = self._initialised and action == _ACTION["ADD"]

    def _take_snapshot(self, part: np.void) -> None:
        """One whose first filters were read before a loss is not completed; the next one is."""
        self._parts = [] if part["filter"] == 0 else self._parts
        if part["filter"] == len(self._parts):
            self._parts.append(part)
        if len(self._parts) == self._filters:
            self._snapshot, self._since = self._parts, []

    # --- after a loss -------------------------------------------------------------------------------------------------

    def _resume(self, loss: TargetError) -> None:
        """Bring the device back to where the trajectory stands; TargetError where it is another one, or hopeless."""
        while True:
            self._losses += 1
            if self._losses > MAX_LOSSES:
                raise TargetError(f"{loss}; it was greeted again {MAX_LOSSES} times in vain") from None
            try:
                if isinstance(loss, LineClosedError):
                    self._reopen(loss)
                    self._is_raised = False
                self._link.forget_session()
                self._greet()
                self._commission_again()
                if self._initialised:
                    self._restore()
                self._resumed += 1
                return
            except (SessionLostError, LineClosedError) as another:
                loss = another

    def _say_hello(self, fields: Mapping[str, Any]) -> np.void:
        if self._is_raised:
            self._lower_rate()
        try:
            self._hello = self._link.exchange("hello", **fields)
        except LineClosedError as loss:
            self._reopen(loss)
            self._hello = self._link.exchange("hello", **fields)
        self._filters = max(1, int(self._hello["n_filters"]))
        return self._hello

    def _greet(self) -> None:
        """A new session with the device that said hello at first."""
        known, found = self._hello, self._link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
        for field in _IDENTITY:
            if known is not None and not np.array_equal(known[field], found[field]):
                raise TargetError(f"{self._dut.name} came back with another {field}; was the board exchanged?")
        self._hello = found

    def _commission_again(self) -> None:
        """What was learned of the cell, or nothing; TargetError where the device refuses it now."""
        clear: Request = (COMMISSION, {"action": _ACTION["CLEAR"]})
        for reply in self._link.exchange_all([clear, *self._commission]):
            if reply["status"] != _OK:
                raise TargetError(f"{self._dut.name} could not be commissioned again after a reset")

    def _restore(self) -> None:
        """The last snapshot, or the prior, and the spectra since; TargetError where they give other estimates."""
        if self._snapshot:
            start = [("restore", {field: part[field] for field in _SNAPSHOT}) for part in self._snapshot]
        else:
            start = [("init", {})]
        for reply in self._link.exchange_all(start):
            if reply["status"] != _OK:
                status = _STATUS_NAMES.get(int(reply["status"]), "an unknown status")
                raise TargetError(f"{self._dut.name} could not be restored after a reset: {status}")
        again = self._link.exchange_all([request for request, _ in self._since])
        for (_, before), now in zip(self._since, again, strict=True):
            if _estimate(before) != _estimate(now):
                raise TargetError(
                    f"{self._dut.name} was restored after a reset, but answers spectrum {int(before['steps'])} "
                    "of its trajectory with another estimate than before"
                )

    def _reopen(self, loss: TargetError) -> None:
        """Close and open the line until it is there again, or the deadline has come."""
        stop, start = getattr(self._dut, "stop", None), getattr(self._dut, "start", None)
        if stop is None or start is None:
            raise loss
        deadline = time.monotonic() + REOPEN_s
        while True:
            stop()
            try:
                start()
                return
            except TargetError as error:
                if time.monotonic() > deadline:
                    raise TargetError(f"{loss}; it could not be opened again: {error}") from None
            time.sleep(_REOPEN_PAUSE_s)


def _estimate(step: np.void) -> list[bytes]:
    """Everything of a step's reply but what it cost."""
    return [np.asarray(step[name]).tobytes() for name in step.dtype.names or () if name not in _COST]
