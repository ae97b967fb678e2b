"""A conversation with a device: who it is, whether it is the one that is wanted, and spectra in for estimates out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eishil import wire
from eishil.errors import TargetError
from eishil.filters.commissioning import Commissioning
from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model
from eishil_bench.link.exchange import Link
from eishil_bench.link.interface import BRIEF_STEP, COMMISSION, STEP, UNTIMED, ByteStream, Exchanger, Request, Timing
from eishil_bench.link.messages import request_body
from eishil_bench.link.steady_link import SteadyLink

ID_BYTES = 8
_STATUS = wire.ENUMS["status"]
_STATUS_NAMES = {value: name for name, value in _STATUS.items()}
_COUNTER_NAMES = {value: name for name, value in wire.ENUMS["counter"].items()}
_FAULT_NAMES = {value: name for name, value in wire.ENUMS["fault"].items()}
_APPLIED = (_STATUS["OK"], _STATUS["POINTS_SKIPPED"], _STATUS["OUTLIER"])
_REJECTED = (_STATUS["REJECTED_INPUT"], _STATUS["REJECTED_COVARIANCE"])
_ESTIMATE = ("nis", "state", "covariance", "state_sigma", "readout", "readout_sigma")

Observer = Callable[[str, bytes, bytes, Timing], None]


@dataclass(frozen=True)
class Identity:
    """What a device says of itself; the ids are the first 8 bytes of what docs/design.md calls by these names."""

    wire_digest: bytes
    build_id: bytes
    model_id: bytes
    core_clock_Hz: int
    boot_count: int
    counter: str
    board: str


@dataclass(frozen=True)
class DeviceStep:
    """One estimate of the device; `count` in units of its counter, and how many interrupts fell into it."""

    output: StepOutput
    count: int
    interrupts: int = 0
    timing: Timing = UNTIMED


@dataclass(frozen=True)
class DeviceStatus:
    """The device's own bookkeeping since power-on; the fields are those of `status_reply`."""

    frames_received: int
    crc_errors: int
    framing_errors: int
    overruns: int
    steps_rejected: int
    outliers: int
    fault: int
    fault_count: int
    fault_address: int
    stack_used_bytes: int
    stack_size_bytes: int


class Session:
    """Messages of the protocol as functions. Every reply is checked before it is believed.

    Parameters
    ----------
    dut
        A started target.
    model
        The model that the device should carry.
    link
        Takes the place of a steady link with the usual patience.
    window
        Requests on their way at a time. With 1 no received byte interrupts a step, and its count is the step's alone.
    covariance_every
        Of so many spectra one is answered with its covariance, and the last of each call of `steps`; the others with
        standard deviations alone, a third of the bytes.
    observe
        Is told name, request body, reply body and timing of every exchange.
    """

    def __init__(
        self,
        dut: ByteStream,
        model: Model,
        link: Exchanger | None = None,
        observe: Observer | None = None,
        *,
        window: int = 1,
        covariance_every: int = 1,
    ) -> None:
        self.name = dut.name
        self.link = link or SteadyLink(Link(dut, model.dimensions(), window=window), dut)
        self._observe = observe
        self._model = model
        self._covariance_every = covariance_every
        self._rows, self._columns = np.triu_indices(model.n_states)
        self._steps = 0

    def hello(self) -> Identity:
        """Ask the device who it is."""
        return identity(self._exchange("hello", protocol_version=wire.PROTOCOL_VERSION))

    def init(self) -> None:
        """Start the estimator from the model's prior."""
        reply = self._exchange("init")
        if reply["status"] != _STATUS["OK"]:
            raise TargetError(f"{self.name} refused to initialise: {_status_name(reply)}")
        self._steps = 0

    def commission(self, fresh: Iterable[StepInput]) -> Commissioning:
        """Have the device learn what this cell's own constants are; then `init`. TargetError where it refuses.

        `fresh` are spectra from before the cell aged; docs/estimator.md, "Commissioning".
        """
        self._commission("CLEAR")
        for spectrum in fresh:
            self._commission("ADD", **step_fields(spectrum))
        reply = self._commission("FINISH")
        return Commissioning(reply["offset"].astype(np.float64), reply["variance"].astype(np.float64))

    def forget_commissioning(self) -> None:
        """Back to the constants of every cell; then `init`."""
        self._commission("CLEAR")

    def _commission(self, action: str, **fields: Any) -> np.void:
        reply = self._exchange(COMMISSION, action=wire.ENUMS["commissioning"][action], **fields)
        if reply["status"] != _STATUS["OK"]:
            raise TargetError(f"{self.name} refused to commission the cell ({action}): {_status_name(reply)}")
        return reply

    def step(self, spectrum: StepInput) -> DeviceStep:
        """Send one spectrum; TargetError where the device lost its state, a step, or its numbers."""
        (step,) = self.steps([spectrum])
        return step

    def steps(self, spectra: Iterable[StepInput]) -> Iterator[DeviceStep]:
        """The same for many spectra, with as many of them on their way as the link's window has room for."""
        requests = self._requests(list(spectra))
        for (name, fields), reply in zip(requests, self.link.exchange_all(requests), strict=True):
            self._tell(name, fields, reply)
            self._check_step(reply)
            yield DeviceStep(self._output(reply), int(reply["count"]), int(reply["interrupts"]), self.link.timing)

    def _requests(self, spectra: Sequence[StepInput]) -> list[Request]:
        full = {len(spectra), *range(0, len(spectra), self._covariance_every)}
        return [(STEP if n in full else BRIEF_STEP, step_fields(one)) for n, one in enumerate(spectra, 1)]

    def network(self, v: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Accumulators (m,) and Jacobian accumulators (m, n_inputs) of the device's network at inputs v (n_inputs,)."""
        reply = self._exchange("network", input=v)
        if reply["status"] != _STATUS["OK"]:
            raise TargetError(f"{self.name} refused to evaluate its network: {_status_name(reply)}")
        shape = (self._model.n_observations, self._model.network.n_inputs)
        return reply["accumulator"].copy(), reply["jacobian_accumulator"].reshape(shape).copy()

    def status(self) -> DeviceStatus:
        """The device's counters."""
        reply = self._exchange("status")
        return DeviceStatus(**{name: int(reply[name]) for name in DeviceStatus.__dataclass_fields__})

    def _exchange(self, name: str, **fields: Any) -> np.void:
        reply = self.link.exchange(name, **fields)
        self._tell(name, fields, reply)
        return reply

    def _tell(self, name: str, fields: Mapping[str, Any], reply: np.void) -> None:
        if self._observe is not None:
            body = request_body(name, fields, self._model.dimensions())
            self._observe(name, body, reply.tobytes(), self.link.timing)

    def _check_step(self, reply: np.void) -> None:
        status = int(reply["status"])
        if status not in (*_APPLIED, *_REJECTED):
            raise TargetError(f"{self.name} lost its estimator within a trajectory: {_status_name(reply)}")
        self._steps += status in _APPLIED
        if reply["steps"] != self._steps:
            raise TargetError(f"{self.name} has applied {reply['steps']} spectra where {self._steps} were sent")
        for field in _ESTIMATE:
            if field in (reply.dtype.names or ()) and not np.isfinite(reply[field]).all():
                raise TargetError(f"{self.name} answered spectrum {self._steps} with a {field} that is not finite")

    def _output(self, reply: np.void) -> StepOutput:
        return StepOutput(
            status=int(reply["status"]),
            n_used=int(reply["n_used"]),
            nis=float(reply["nis"]),
            x=np.atleast_1d(reply["state"]).copy(),
            P=self._covariance(reply),
            readout=np.atleast_1d(reply["readout"]).copy(),
            readout_sigma=np.atleast_1d(reply["readout_sigma"]).copy(),
        )

    def _covariance(self, reply: np.void) -> NDArray[np.float64]:
        """(n, n); what a brief reply does not say is NaN."""
        P = np.full((self._model.n_states, self._model.n_states), np.nan)
        if "covariance" in (reply.dtype.names or ()):
            P[self._rows, self._columns] = P[self._columns, self._rows] = reply["covariance"]
        else:
            np.fill_diagonal(P, np.float64(reply["state_sigma"]) ** 2)
        return P


def identity(reply: np.void) -> Identity:
    """What a hello's reply says."""
    return Identity(
        wire_digest=reply["wire_digest"].tobytes(),
        build_id=reply["build_id"].tobytes(),
        model_id=reply["model_id"].tobytes(),
        core_clock_Hz=int(reply["core_clock_Hz"]),
        boot_count=int(reply["boot_count"]),
        counter=_COUNTER_NAMES.get(int(reply["counter"]), "NONE"),
        board=_printable(reply["board"].tobytes()),
    )


def step_fields(spectrum: StepInput) -> dict[str, Any]:
    """A spectrum as the fields of `step_request`; what is not valid is sent as 0."""
    z_ohm = np.where(spectrum.valid, spectrum.z_ohm, 0)
    return {
        "elapsed_cycles": spectrum.elapsed_cycles,
        "voltage_V": spectrum.voltage_V,
        "temperature_degC": spectrum.temperature_degC,
        "valid_mask": sum(1 << int(k) for k in np.flatnonzero(spectrum.valid)),
        "z_real_ohm": z_ohm.real,
        "z_imag_ohm": z_ohm.imag,
    }


def refuse_stranger(name: str, found: Identity, model: Model, build_id: bytes, flash_command: str = "") -> None:
    """TargetError where a device speaks another protocol or carries another model or build, by name and in that order.

    Another protocol makes the rest of its hello doubtful, and another model makes another build. `flash_command` puts
    the wanted image onto the device.
    """
    remedy = f"`{flash_command or f'eishil flash RECIPE --target {name}'}` puts what was built onto it"
    checks: tuple[tuple[str, bytes, bytes, str], ...] = (
        ("wire digest", found.wire_digest, wire.digest()[:ID_BYTES], "this bench speaks"),
        ("model", found.model_id, model.model_id[:ID_BYTES], f"the recipe's model {model.name} is"),
        ("build", found.build_id, build_id[:ID_BYTES], "the firmware that was built is"),
    )
    for what, is_there, wanted, owner in checks:
        if is_there != wanted:
            raise TargetError(f"{name} has {what} {is_there.hex()}, but {owner} {wanted.hex()}; {remedy}")


def refuse_faults(name: str, before: DeviceStatus, after: DeviceStatus) -> None:
    """TargetError where the device recorded a fault in between."""
    if after.fault_count != before.fault_count:
        fault = _FAULT_NAMES.get(after.fault, f"fault {after.fault}")
        raise TargetError(
            f"{name} recorded {after.fault_count - before.fault_count} faults during the run, the last one "
            f"{fault} at {after.fault_address:#010x}; its figures are not to be trusted"
        )


def stream(session: Session, spectra: list[StepInput], tick: Callable[[], None] = lambda: None) -> list[DeviceStep]:
    """One trajectory from the prior on."""
    session.init()
    steps = []
    for step in session.steps(spectra):
        steps.append(step)
        tick()
    return steps


def _status_name(reply: np.void) -> str:
    return _STATUS_NAMES.get(int(reply["status"]), f"unknown status {int(reply['status'])}")


def _printable(raw: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in raw.split(b"\0", 1)[0])
