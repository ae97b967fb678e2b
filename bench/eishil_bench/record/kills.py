"""The spectra of a journal through a bad line once more, by a process that is killed at random moments and goes on.

A finished journal is all that is needed: it holds the model and what was sent. The process that is killed runs `rerun`,
forked from one that has imported everything already; the resets and closed ports that it met, and what it said, are in
files that outlive it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eishil import wire
from eishil.errors import EishilError, TargetError
from eishil.model import Model
from eishil.progress import Progress, silent
from eishil_bench.link.chaos import NO_FAULTS, ChaosDut, Faults
from eishil_bench.link.interface import STEPS
from eishil_bench.record.journal import read
from eishil_bench.record.logbook import journal_header, open_logbook
from eishil_bench.record.recorded import MODEL_FILE, recorded_trajectory
from eishil_bench.runs.device_run import DeviceRun

_STEP_REPLY = wire.dtype(wire.BY_NAME["step_reply"], dict.fromkeys(wire.SYMBOLS, 1))
_COUNT_AT = _STEP_REPLY.fields["count"][1]  # type: ignore[index]
_COUNT = slice(_COUNT_AT, _COUNT_AT + _STEP_REPLY["count"].itemsize)
_DEADLINE_s = 120.0
_POLL_s = 0.0005
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([f"eishil_bench.{name}" for name in ("record.kills", "dut", "firmware.build")])


@dataclass(frozen=True)
class Rerun:
    """The spectra of the journal `source` once more: on which target, and where its own journal lies.

    Its line is as bad as `faults` say, by `seed`, which differs from process to process; without faults it is a good
    one.
    """

    source: str
    target: str
    env: str
    elf: str
    path: str
    seed: int = 0
    faults: Faults = NO_FAULTS

    @property
    def events(self) -> Path:
        """One line for each reset of the target and each closed port."""
        return Path(f"{self.path}.events")

    @property
    def said(self) -> Path:
        """What the process said."""
        return Path(f"{self.path}.said")


@dataclass
class KillCampaign:
    """`kills` of the host, `torn` journal ends among them, `resets` of the target and `closed_ports` in the same runs.

    `bit_equal`: whether all estimates were those of the source.
    """

    kills: int = 0
    torn: int = 0
    resets: int = 0
    closed_ports: int = 0
    bit_equal: bool = True


def estimates(path: Path) -> dict[str, list[bytes]]:
    """The replies to all steps, by cell, without the count, which no other target would repeat."""
    return {
        cell_id: [
            one.reply[: _COUNT.start] + one.reply[_COUNT.stop :] for one in section.exchanges if one.name in STEPS
        ]
        for cell_id, section in read(path).finished.items()
    }


def rerun(wanted: Rerun) -> None:
    """Run the spectra, going on with the journal where there is one."""
    from eishil_bench.dut import open_dut
    from eishil_bench.firmware.build import read_image

    recording = read(Path(wanted.source))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL_FILE).write_bytes(recording.files[MODEL_FILE])
        model = Model.load(Path(folder) / MODEL_FILE)
    image = read_image(wanted.env, Path(wanted.elf))
    trajectories = [recorded_trajectory(section, model) for section in recording.finished.values()]
    header = journal_header(model, image, 0, recording.header["about"])
    with wanted.events.open("a", buffering=1) as events:
        dut = ChaosDut(
            open_dut(wanted.target, image), wanted.seed, wanted.faults, lambda event: events.write(f"{event}\n")
        )
        with dut:
            logbook = open_logbook(Path(wanted.path), header, recording.files, resume=True)
            with logbook.journal:
                for _ in DeviceRun(dut, model, image.build_id, logbook=logbook).answers(trajectories):
                    pass


def kill_campaign(
    run: Rerun, folder: Path, rng: np.random.Generator, *, kills: int, resets: int = 0, tell: Progress = silent
) -> KillCampaign:
    """Kill the host (SIGKILL) while it runs a journal's spectra, each time going on where it was.

    Whenever a run comes to its end its estimates are compared with those of the source and a new one begins, until
    there were so many kills and resets.
    """
    expected, done, rounds = estimates(Path(run.source)), KillCampaign(), 0
    full_bytes = Path(run.source).stat().st_size
    while done.kills < kills or done.resets < resets:
        path = folder / f"killed_{rounds}.journal"
        one = replace(run, path=str(path))
        finished = False
        while not finished:
            one = replace(one, seed=int(rng.integers(2**32)))
            finished = _run_once(one, full_bytes, rng, kill=done.kills < kills)
            done.kills += not finished
            done.torn += not finished and path.is_file() and _torn(path)
            tell("kills", min(done.kills, kills), kills, f"{rounds} runs ended")
        events = one.events.read_text().split()
        done.resets, done.closed_ports = done.resets + events.count("reset"), done.closed_ports + events.count("close")
        done.bit_equal &= estimates(path) == expected
        rounds += 1
    return done


def _torn(path: Path) -> bool:
    try:
        return read(path).torn_bytes > 0
    except EishilError:  # killed before the header was whole
        path.unlink()
        return True


def _run_once(run: Rerun, full_bytes: int, rng: np.random.Generator, *, kill: bool) -> bool:
    """Whether the process came to its end; otherwise it was killed when its journal had a random length."""
    path = Path(run.path)
    begun_bytes = path.stat().st_size if path.is_file() else 0
    fatal_bytes = begun_bytes + int(rng.integers(1, max(full_bytes - begun_bytes, 2)))
    process = _FORKS.Process(target=_rerun_quietly, args=(run,), daemon=True)
    process.start()
    deadline = time.monotonic() + _DEADLINE_s
    while process.is_alive() and time.monotonic() < deadline:
        if kill and path.is_file() and path.stat().st_size >= fatal_bytes:
            process.kill()
            process.join()
            return False
        process.join(_POLL_s)
    if process.is_alive():
        process.kill()
        raise TargetError(f"a run took more than {_DEADLINE_s:g} s: {run}")
    if process.exitcode != 0:
        said = run.said.read_text(errors="replace").strip() if run.said.is_file() else "it said nothing"
        raise TargetError(f"a run that goes on failed: {said}")
    return True


def _rerun_quietly(run: Rerun) -> None:
    """In a process of its own, whose terminal would be the campaign's."""
    said = os.open(run.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said, stream.fileno())
    rerun(run)
