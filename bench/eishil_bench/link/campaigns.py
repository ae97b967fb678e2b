"""What the link survives and how fast it is: the campaigns of `eishil bench link`.

All of them send the spectra of the committed sample and compare every estimate, bit for bit, with that of an
undisturbed run. What cannot run faster than the processor (damage, resets, kills, noise) runs on `native`.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eishil import wire
from eishil.codegen import generate
from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model
from eishil.progress import Progress, silent
from eishil_bench.dut import Dut, open_dut
from eishil_bench.dut.process import ProcessDut
from eishil_bench.firmware.build import FirmwareImage, build_firmware
from eishil_bench.link.chaos import USUAL, ChaosDut, Faults
from eishil_bench.link.exchange import Link
from eishil_bench.link.framing import CRC_BYTES, FrameReader
from eishil_bench.link.paced_line import BITS_PER_BYTE, PacedPty
from eishil_bench.link.session import Session, stream
from eishil_bench.link.steady_link import SteadyLink
from eishil_bench.record.kills import KillCampaign, Rerun, kill_campaign
from eishil_bench.record.logbook import journal_header, open_logbook
from eishil_bench.record.recorded import MODEL_FILE, NETWORK_FILE
from eishil_bench.runs.device_run import DeviceRun
from eishil_bench.runs.stimulus import Trajectory, held_out_trajectories

DATASETS = Path(__file__).resolve().parents[3] / "datasets"
# On a line where most frames are damaged, what a reply takes on a process is waited for, and often.
IMPATIENT_s = (0.001,) * 80_000
WINDOW = 4
COVARIANCE_EVERY = 2  # brief replies and full ones in turn
TURNS = 10
DAMAGE = 0.01
RESETS, CLOSED_PORTS = 4e-5, 1e-5  # of bytes: a reset in some thirty steps
ONLY_BYTES = Faults(DAMAGE / 3, DAMAGE / 3, DAMAGE / 3, truncate=0, burst=0, reorder=0, delay=0, close=0, reset=0)
CHUNK_bytes = 65536  # of noise that is written at a time


@dataclass(frozen=True)
class Bench:
    """One model with its images and the sample's cells; made in a scratch folder."""

    model: Model
    image: FirmwareImage
    cells: Sequence[Trajectory]

    @classmethod
    def make(cls, model: Model, env: str, folder: Path) -> Bench:
        """Generate and build in `folder`."""
        from eishil.dataset.recipe import Recipe
        from eishil.dataset.tables import Dataset

        generate(model, folder / "generated")
        image = build_firmware(env, folder / "generated", folder / env)
        recipe = Recipe.load(DATASETS / "recipes" / "first_light.toml")
        return cls(model, image, held_out_trajectories(Dataset.open(DATASETS / "sample"), recipe, model))

    @property
    def lives(self) -> list[list[StepInput]]:
        """What is sent, by cell."""
        return [[spectrum.measured for spectrum in cell.spectra] for cell in self.cells]

    def undisturbed(self) -> list[tuple[object, ...]]:
        """The estimates of all cells, as bits."""
        with open_dut("native", self.image) as dut:
            session = Session(dut, self.model, covariance_every=COVARIANCE_EVERY)
            return [bits(step.output) for life in self.lives for step in stream(session, life)]


@dataclass
class Disturbed:
    """What a disturbed run gave, over as many rounds of all cells as it took."""

    frames: int = 0
    damaged: int = 0
    lost: int = 0
    wrong: int = 0
    resets: int = 0
    closed: int = 0


def bits(output: StepOutput) -> tuple[object, ...]:
    """Everything of an estimate, its floats as the bytes of float32."""
    floats = (np.float32(output.nis), output.x, output.P, output.readout, output.readout_sigma)
    return (output.status, output.n_used, *(np.asarray(value, np.float32).tobytes() for value in floats))


def disturb(
    bench: Bench, faults: Faults, seed: int, *, frames: int = 0, resets: int = 0, tell: Progress = silent
) -> Disturbed:
    """Stream all cells again and again behind a bad line, until so many frames went and so many resets happened."""
    expected, found = bench.undisturbed(), Disturbed()
    dut = ChaosDut(open_dut("native", bench.image), seed, faults)
    with dut:
        sizes = bench.model.dimensions()
        link = Link(dut, sizes, window=WINDOW, waits_s=IMPATIENT_s, hello_waits_s=IMPATIENT_s)
        session = Session(dut, bench.model, SteadyLink(link, dut), covariance_every=COVARIANCE_EVERY)
        session.hello()
        while dut.frames < frames or dut.counts["reset"] < resets:
            answers = [bits(step.output) for life in bench.lives for step in stream(session, life)]
            found.wrong += sum(one != other for one, other in zip(answers, expected, strict=True))
            tell("frames", min(dut.frames, frames), frames)
    counts = dut.counts
    found.frames, found.lost = dut.frames, session.link.statistics.lost
    found.damaged = counts["flip"] + counts["drop"] + counts["double"]
    found.resets, found.closed = counts["reset"], counts["close"]
    return found


def parse_noise(bench: Bench, n_bytes: int, seed: int) -> tuple[int, int]:
    """Random bytes into both parsers: frames that were found in them, and bytes by which the device's memory grew."""
    rng = np.random.default_rng(seed)
    reader, accepted = FrameReader(4096), 0
    with open_dut("native", bench.image) as dut:
        session = Session(dut, bench.model)
        session.hello()
        before, memory = session.status().frames_received, _resident_bytes(dut)
        for _ in range(0, n_bytes, CHUNK_bytes):
            noise = rng.bytes(CHUNK_bytes)
            accepted += sum(1 for _ in reader.push(noise))
            dut.write(noise)
        accepted += session.status().frames_received - before - 1
        return accepted, _resident_bytes(dut) - memory


def kill(bench: Bench, kills: int, resets: int, seed: int, folder: Path, tell: Progress) -> KillCampaign:
    """Kills of the host and resets of the target in the same runs, which go on from their journals."""
    source = folder / "undisturbed.journal"
    files = {
        MODEL_FILE: bench.model.to_json().encode(),
        NETWORK_FILE: (DATASETS / "models" / "first_light" / NETWORK_FILE).read_bytes(),
    }
    with open_dut("native", bench.image) as dut:
        logbook = open_logbook(source, journal_header(bench.model, bench.image, 0, {}), files, resume=False)
        with logbook.journal:
            for _ in DeviceRun(dut, bench.model, bench.image.build_id, logbook=logbook).answers(bench.cells):
                pass
    faults = replace(USUAL, reset=RESETS, close=CLOSED_PORTS)
    run = Rerun(str(source), "native", bench.image.env, str(bench.image.elf), "", faults=faults)
    return kill_campaign(run, folder, np.random.default_rng(seed), kills=kills, resets=resets, tell=tell)


def utilise(bench: Bench, steps: int, baud_Bd: int) -> float:
    """Step traffic of the busier direction over what the wire could have carried meanwhile."""
    from eishil_bench.dut import target_spec
    from eishil_bench.dut.serial import SerialDut

    life = _repeated(bench.lives, steps)
    spec = target_spec("nucleo_f446re").model_copy(update={"baud": baud_Bd})
    with open_dut("native", bench.image) as device, PacedPty(device) as line, SerialDut(spec, line.path) as port:
        session = Session(port, bench.model, window=WINDOW)
        session.hello()
        stream(session, life[:WINDOW])
        started_s = time.perf_counter()
        stream(session, life)
        elapsed_s = time.perf_counter() - started_s
    sizes = bench.model.dimensions()
    busier = max(_frame_bytes(f"step_{way}", sizes) for way in ("request", "reply"))
    return steps * busier * BITS_PER_BYTE / baud_Bd / elapsed_s


@dataclass(frozen=True)
class Speed:
    """Of an emulated target: `host_ms` and `emulator_ms` are processor time for a step."""

    steps_per_s: float
    round_trip_ms: float
    host_ms: float
    emulator_ms: float


def speeds(bench: Bench, target: str, steps: int, lines: Sequence[tuple[int, int]]) -> list[Speed]:
    """Of one device with several windows and shares of covariances (`Session`), so many steps each.

    They take turns, so that whatever else the machine does meets them alike.
    """
    life = _repeated(bench.lives, -(-steps // TURNS))
    spent = np.zeros((len(lines), 3))
    round_trips_us: list[list[int]] = [[] for _ in lines]
    with open_dut(target, bench.image) as dut:
        for _ in range(TURNS):
            for index, (window, covariance_every) in enumerate(lines):
                session = Session(dut, bench.model, window=window, covariance_every=covariance_every)
                session.hello()
                before_s = _clocks_s(dut)
                round_trips_us[index] += [step.timing.round_trip_us for step in stream(session, life)]
                spent[index] += np.subtract(_clocks_s(dut), before_s)
    done = TURNS * len(life)
    return [
        Speed(
            steps_per_s=done / elapsed_s,
            round_trip_ms=1e-3 * float(np.median([us for us in trips_us if us])),
            host_ms=1e3 * host_s / done,
            emulator_ms=1e3 * emulator_s / done,
        )
        for (elapsed_s, host_s, emulator_s), trips_us in zip(spent.tolist(), round_trips_us, strict=True)
    ]


def _clocks_s(dut: Dut) -> tuple[float, float, float]:
    """Time, and what bench and target have used of processors."""
    return time.perf_counter(), time.process_time(), _processor_s(dut)


def _repeated(lives: Sequence[Sequence[StepInput]], steps: int) -> list[StepInput]:
    one = [spectrum for life in lives for spectrum in life]
    return [one[index % len(one)] for index in range(steps)]


def _frame_bytes(message: str, sizes: dict[str, int]) -> int:
    """Encoded, at the least: header, body and CRC-32, code bytes of COBS, delimiter."""
    data = sum(wire.dtype(wire.BY_NAME[name], sizes).itemsize for name in ("header", message)) + CRC_BYTES
    return data + 1 + data // 255 + 1


def _processor_s(dut: Dut) -> float:
    """What a target that is a process has used of processors, in user and in kernel mode; see proc(5)."""
    assert isinstance(dut, ProcessDut)
    fields = Path(f"/proc/{dut.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(dut: Dut) -> int:
    """Memory of a target that is a process."""
    assert isinstance(dut, ProcessDut)
    pages = int(Path(f"/proc/{dut.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()
