"""The spectra of a journal through a device once more, by a process that is killed at random moments and goes on.

A finished journal is all that is needed: it holds the model and what was sent. The process that is killed is
`python -m eishil_bench.record.kills`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eishil import wire
from eishil.errors import EishilError, TargetError
from eishil.model import Model
from eishil_bench.record.journal import read
from eishil_bench.record.logbook import journal_header, open_logbook
from eishil_bench.record.replay import MODEL_FILE, recorded_trajectory
from eishil_bench.runs.device_run import DeviceRun

_STEP_REPLY = wire.dtype(wire.BY_NAME["step_reply"], dict.fromkeys(wire.SYMBOLS, 1))
_COUNT_AT = _STEP_REPLY.fields["count"][1]  # type: ignore[index]
_COUNT = slice(_COUNT_AT, _COUNT_AT + _STEP_REPLY["count"].itemsize)
_DEADLINE_s = 120.0
_POLL_s = 0.0005


@dataclass(frozen=True)
class KillCampaign:
    """`kills` of the host and `torn` journal ends among them; whether all estimates were those of the source."""

    kills: int
    torn: int
    bit_equal: bool


def estimates(path: Path) -> dict[str, list[bytes]]:
    """The replies to all steps, by cell, without the count, which no other target would repeat."""
    return {
        cell_id: [
            one.reply[: _COUNT.start] + one.reply[_COUNT.stop :] for one in section.exchanges if one.name == "step"
        ]
        for cell_id, section in read(path).finished.items()
    }


def rerun(source: Path, target: str, env: str, elf: Path, path: Path) -> None:
    """Run the spectra of the journal `source` on a target, with a journal of its own that is gone on with."""
    from eishil_bench.dut import open_dut
    from eishil_bench.firmware.build import read_image

    recording = read(source)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL_FILE).write_bytes(recording.files[MODEL_FILE])
        model = Model.load(Path(folder) / MODEL_FILE)
    image = read_image(env, elf)
    trajectories = [recorded_trajectory(section, model) for section in recording.finished.values()]
    header = journal_header(model, image, 0, recording.header["about"])
    with open_dut(target, image) as dut:
        logbook = open_logbook(path, header, recording.files, resume=True)
        with logbook.journal:
            for _ in DeviceRun(dut, model, image.build_id, logbook=logbook).answers(trajectories):
                pass


def kill_campaign(
    source: Path, target: str, env: str, elf: Path, folder: Path, kills: int, rng: np.random.Generator
) -> KillCampaign:
    """Kill the host so many times (SIGKILL) while it runs a journal's spectra, each time going on where it was.

    Whenever a run comes to its end its estimates are compared with those of the source and a new one begins.
    """
    expected, done, torn, equal, rounds = estimates(source), 0, 0, True, 0
    while done < kills:
        path = folder / f"killed_{rounds}.journal"
        command = [sys.executable, "-m", "eishil_bench.record.kills", str(source), target, env, str(elf), str(path)]
        while not _run_once(command, path, source.stat().st_size, rng, kill=done < kills):
            done += 1
            torn += path.is_file() and _torn(path)
        equal &= estimates(path) == expected
        rounds += 1
    return KillCampaign(done, torn, equal)


def _torn(path: Path) -> bool:
    try:
        return read(path).torn_bytes > 0
    except EishilError:  # killed before the header was whole
        path.unlink()
        return True


def _run_once(command: list[str], path: Path, full_bytes: int, rng: np.random.Generator, *, kill: bool) -> bool:
    """Whether the process came to its end; otherwise it was killed when its journal had a random length."""
    begun_bytes = path.stat().st_size if path.is_file() else 0
    fatal_bytes = begun_bytes + int(rng.integers(1, max(full_bytes - begun_bytes, 2)))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + _DEADLINE_s
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if kill and path.is_file() and path.stat().st_size >= fatal_bytes:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(_POLL_s)
        _, said = process.communicate(timeout=max(deadline - time.monotonic(), 1.0))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise TargetError(f"a run took more than {_DEADLINE_s:g} s: {' '.join(command)}") from None
    if process.returncode not in (0, -signal.SIGKILL):
        raise TargetError(f"a run that goes on failed: {said.decode(errors='replace').strip()}")
    return process.returncode == 0


if __name__ == "__main__":
    rerun(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
