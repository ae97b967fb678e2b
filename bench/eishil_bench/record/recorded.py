"""What a journal holds, as a session that answers and as the spectra that were sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from eishil import wire
from eishil.errors import EishilError
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil_bench.link.interface import COMMISSION, STEPS, UNTIMED, LinkStatistics, Request
from eishil_bench.link.messages import request_body
from eishil_bench.link.session import Session
from eishil_bench.record.journal import Exchange, Section
from eishil_bench.runs.stimulus import HeldOutSpectrum, Trajectory

# Names of the files that a journal carries.
MODEL_FILE = "model.json"
NETWORK_FILE = "network_float.onnx"


class RecordedLink:
    """Answers requests from a journal; a request that differs from the recorded one is refused.

    It stands in for device and link at once: nothing is ever sent.
    """

    def __init__(self, name: str, exchanges: Sequence[Exchange], sizes: Mapping[str, int]) -> None:
        self.name = name
        self.statistics = LinkStatistics()
        self.timing = UNTIMED
        self._exchanges = list(exchanges)
        self._sizes = sizes
        self._next = 0

    def exchange(self, name: str, **fields: Any) -> np.void:
        if self._next == len(self._exchanges):
            raise EishilError(f"the journal of {self.name} ends before the trajectory does; run again without --resume")
        recorded = self._exchanges[self._next]
        self._next += 1
        if (recorded.name, recorded.request) != (name, request_body(name, fields, self._sizes)):
            raise EishilError(
                f"the journal of {self.name} was recorded with other spectra or another --covariance-every "
                f"(exchange {self._next}, {recorded.name}); run again without --resume"
            )
        dtype = wire.dtype(wire.BY_NAME[f"{name}_reply"], self._sizes)
        if len(recorded.reply) != dtype.itemsize:
            raise EishilError(f"the journal of {self.name} has a {name} reply of another length; run again")
        self.timing = recorded.timing
        record: np.void = np.frombuffer(recorded.reply, dtype)[0]
        return record

    def exchange_all(self, requests: Iterable[Request]) -> Iterator[np.void]:
        for name, fields in requests:
            yield self.exchange(name, **fields)

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        return b""


def recorded_session(name: str, exchanges: Sequence[Exchange], model: Model, *, covariance_every: int = 1) -> Session:
    """A session with what a journal holds."""
    link = RecordedLink(name, exchanges, model.dimensions())
    return Session(link, model, link, covariance_every=covariance_every)


def recorded_trajectory(section: Section, model: Model) -> Trajectory:
    """What was sent, read back from the requests; points that were masked are NaN again."""
    requests = _requests(section, "step", STEPS, model)
    fresh = [
        _as_measured(request)
        for request in _requests(section, COMMISSION, (COMMISSION,), model)
        if request["action"] == wire.ENUMS["commissioning"]["ADD"]
    ]
    spectra = [
        HeldOutSpectrum(step, cycles, soh, soc, np.array(modes, np.float64), _as_measured(request))
        for (step, cycles, soh, soc, modes), request in zip(section.about["labels"], requests, strict=True)
    ]
    return Trajectory(section.about["cell_id"], tuple(spectra), section.about["masked"], tuple(fresh))


def _requests(section: Section, layout: str, names: Sequence[str], model: Model) -> list[np.void]:
    """Bodies of the section's requests of these names, which are laid out alike."""
    dtype = wire.dtype(wire.BY_NAME[f"{layout}_request"], model.dimensions())
    return [np.frombuffer(one.request, dtype)[0] for one in section.exchanges if one.name in names]


def _as_measured(request: np.void) -> StepInput:
    z_ohm = np.atleast_1d(request["z_real_ohm"] + 1j * request["z_imag_ohm"].astype(np.float64))
    valid = np.array([bool(int(request["valid_mask"]) >> k & 1) for k in range(len(z_ohm))])
    return StepInput(
        elapsed_cycles=float(request["elapsed_cycles"]),
        voltage_V=float(request["voltage_V"]),
        temperature_degC=float(request["temperature_degC"]),
        z_ohm=np.where(valid, z_ohm, np.nan),
        valid=valid,
    )
