"""The target `renode` on a stand-in that replays a real monitor session: start, bytes, time, and no process left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eishil.errors import EishilError, TargetDiedError, TargetError, ToolError
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil_bench.dut import open_dut, renode_monitor, target_spec
from eishil_bench.dut.renode import RenodeDut
from eishil_bench.dut.renode_uart import monitor_path
from eishil_bench.link.exchange import Link
from eishil_bench.link.session import Session, stream
from eishil_bench.runs.measure import clock_of
from support import fake_renode

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "datasets" / "models" / "first_light" / "model.json"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a folder with blanks" / "firmware.elf"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF")
    return path


@pytest.fixture
def renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """RENODE names the stand-in; its mode is set through the environment."""
    monkeypatch.setenv("RENODE", str(fake_renode.install(tmp_path)))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return monkeypatch


def dut_for(image: Path, **changes: object) -> RenodeDut:
    return RenodeDut(target_spec("renode").model_copy(update=changes), image)


def children_of(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder: every Renode has its configuration there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{folder}/eishil-renode-" in command:
            found.append(command)
    return found


def leftovers(folder: Path) -> list[str]:
    return children_of(folder) + [path.name for path in folder.glob("eishil-renode-*")]


WAYS = [("stdin", "monitor"), ("socket", "monitor"), ("stdin", "pty")]


@pytest.mark.parametrize(("monitor", "uart"), WAYS, ids=[" ".join(way) for way in WAYS])
def test_bytes_come_back_when_virtual_time_passes(renode, image, tmp_path, monitor, uart) -> None:
    data = bytes(range(256)) * 2
    with dut_for(image, monitor=monitor, uart=uart) as dut:
        assert children_of(tmp_path)
        dut.write(data)
        assert dut.read(0.0) == b"", "no time has passed"
        received = b""
        while len(received) < len(data):
            piece = dut.read(0.25)
            assert piece
            received += piece
        assert received == data
        assert dut.read(0.3) == b""
    assert leftovers(tmp_path) == []


def test_time_passes_in_slices_and_only_while_reading(renode, image) -> None:
    def instructions() -> int:
        return int(dut.monitor.execute("cpu ExecutedInstructions"), 16)

    with dut_for(image) as dut:
        started = instructions()
        dut.write(b"x")
        assert instructions() == started
        assert dut.read(1.0) == b"x"
        assert instructions() - started == 0.005 * 100e6
        assert dut.read(0.3) == b""
        assert instructions() - started == (0.005 + 0.3) * 100e6


def test_whole_session_twice_is_the_same(renode, image, first_light_model) -> None:
    """Bench, link, session and target together; the device behind the stand-in is the tests' own."""
    renode.setenv("FAKE_RENODE_MODEL", str(MODEL))
    n = first_light_model.n_frequencies
    z_ohm = np.full(n, 0.03 - 0.005j)
    spectra = [StepInput(20.0 * k, 3.7, 25.0, z_ohm * (1 + 0.01 * k), np.ones(n, bool)) for k in range(3)]

    def session() -> tuple[list[tuple[bytes, int]], list[bytes]]:
        sent: list[bytes] = []
        with dut_for(image) as dut:
            renode.setattr(dut, "write", lambda data, write=dut.write: (sent.append(data), write(data)))
            session = Session(dut, first_light_model)
            identity = session.hello()
            assert clock_of(dut.kind, identity.counter) == "instructions"
            dut.reset()
            session.hello()
            return [(step.output.x.tobytes(), step.count) for step in stream(session, spectra)], sent

    first = session()
    assert len(set(first[0])) == len(spectra)
    assert session() == first


def test_several_side_by_side(renode, image, tmp_path) -> None:
    ways = [*WAYS, ("socket", "monitor")]
    duts = [dut_for(image, monitor=monitor, uart=uart) for monitor, uart in ways]
    try:
        for index, dut in enumerate(duts):
            dut.start()
            dut.write(bytes([index]) * 9)
        assert [dut.read(1.0) for dut in duts] == [bytes([index]) * 9 for index in range(len(duts))]
        assert len(children_of(tmp_path)) == len(duts)
    finally:
        for dut in duts:
            dut.stop()
            dut.stop()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("monitor", ["stdin", "socket"])
def test_slow_answers_are_waited_for(renode, image, monitor) -> None:
    renode.setenv("FAKE_RENODE_MODE", "slow")
    with dut_for(image, monitor=monitor) as dut:
        dut.write(b"slow")
        assert dut.read(0.1) == b"slow"


@pytest.mark.parametrize("mode", ["promptless", "echoless", "mute"])
def test_other_ways_of_talking(renode, image, mode) -> None:
    """What standard input has of prompt and echo was not measured."""
    renode.setattr(renode_monitor, "SILENCE_s", 0.3)
    renode.setattr("eishil_bench.dut.renode_monitor.Monitor.__init__.__kwdefaults__", {"start_silence_s": 1.0})
    renode.setenv("FAKE_RENODE_MODE", mode)
    with dut_for(image) as dut:
        dut.write(b"anyhow")
        assert dut.read(0.1) == b"anyhow"


SPOILED = {
    "dies": (
        TargetError,
        r"target renode ended while .*RunFor.*exit code 3, Unhandled exception: this one dies on pur",
    ),
    "old": (ToolError, r"target renode: this is Renode 1\.15\.3; install Renode 1\.16 or newer: the portable tarball"),
    "stranger": (
        TargetError,
        r"expected 'Renode, version .* over standard input, monitor = \"socket\" .* every network",
    ),
    "uartless": (TargetError, r"command 'usart2 CreateFileBackend .* failed: No such command or device: usart2$"),
    "babbling": (TargetError, r"out of step: expected the echo of 'using sysbus', got .*nonsense"),
}


@pytest.mark.parametrize(("mode", "monitor"), [*((mode, "stdin") for mode in SPOILED), ("dies", "socket")])
def test_renode_that_fails_is_told_in_one_sentence(renode, image, tmp_path, mode, monitor) -> None:
    renode.setenv("FAKE_RENODE_MODE", mode)
    kind, sentence = SPOILED[mode]
    with pytest.raises(kind, match=sentence) as failure, dut_for(image, monitor=monitor):
        pass
    assert "\n" not in str(failure.value)
    assert leftovers(tmp_path) == []


def test_renode_that_hangs_is_given_up(renode, image, tmp_path) -> None:
    renode.setenv("FAKE_RENODE_MODE", "deaf")
    renode.setattr("eishil_bench.dut.renode._RUN_PATIENCE_s", 0.5)
    with pytest.raises(TargetError, match=r"RunFor \"0.020000\"' was not answered within 0.5 s"), dut_for(image):
        pass
    assert leftovers(tmp_path) == []


def test_renode_that_is_killed_in_between(renode, image, tmp_path) -> None:
    with dut_for(image) as dut:
        dut.write(b"x")
        dut._process._process.kill()
        dut._process._process.wait(10.0)
        for use in (lambda: dut.read(0.1), lambda: dut.write(b"y")):
            with pytest.raises(TargetDiedError, match=r"takes no commands any more; .* was lost \(ended by SIGKILL"):
                use()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("as_child", [False, True], ids=["program", "script"])
def test_nothing_is_left_when_the_bench_is_killed(renode, image, tmp_path, as_child) -> None:
    fake_renode.install(tmp_path, as_child=as_child)
    script = (
        "import sys, time; from pathlib import Path; from eishil_bench.dut import target_spec\n"
        "from eishil_bench.dut.renode import RenodeDut\n"
        "specs = [target_spec('renode').model_copy(update={'monitor': way}) for way in ('stdin', 'socket')]\n"
        "duts = [RenodeDut(spec, Path(sys.argv[1])) for spec in specs]\n"
        "for dut in duts: dut.start()\n"
        "print('up', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(image)], stdout=subprocess.PIPE) as bench:
        try:
            assert bench.stdout is not None and bench.stdout.readline() == b"up\n"
            assert len(children_of(tmp_path)) == (4 if as_child else 2)
        finally:
            bench.kill()
    deadline = time.monotonic() + 10.0
    while children_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert children_of(tmp_path) == []


def test_no_renode_tells_how_to_get_it(image, monkeypatch, tmp_path) -> None:
    ways = r"portable tarball from github\.com/renode/renode/releases, its package, or the docker image antmicro/renode"
    monkeypatch.delenv("RENODE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=rf"target renode: renode is not on PATH; install Renode 1\.16 .*{ways}"):
        dut_for(image).start()
    monkeypatch.setenv("RENODE", str(tmp_path / "gone"))
    with pytest.raises(ToolError, match=rf"RENODE is '.*gone', which is no program; install .*{ways}"):
        dut_for(image).start()
    assert leftovers(tmp_path) == []


def test_command_line_asks_for_renode_before_any_work(tmp_path) -> None:
    recipe = ROOT / "datasets" / "recipes" / "first_light.toml"
    eishil = Path(sys.executable).with_name("eishil")
    command = [str(eishil), "run", str(recipe), "--target", "renode", "--out", str(tmp_path)]
    environment = {**os.environ, "RENODE": str(tmp_path / "gone")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"eishil: RENODE is .*docker image antmicro/renode.*\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_roster_mistakes(image) -> None:
    with pytest.raises(EishilError, match=r"renode\.platform is 'pdp11'; there are .*nucleo_f446re"):
        dut_for(image, platform="pdp11")
    with pytest.raises(EishilError, match=r"renode\.mips is 180; a divisor of 1000 is needed"):
        dut_for(image, mips=180)
    with pytest.raises(TargetError, match="runs images of nucleo_f446re, not of native"):
        open_dut("renode", SimpleNamespace(env="native", elf=image))  # type: ignore[arg-type]
    with pytest.raises(TargetError, match=r"gone\.elf is not there; `eishil build RECIPE` makes it"):
        dut_for(image.with_name("gone.elf")).start()


def test_paths_in_the_monitors_language(tmp_path) -> None:
    assert monitor_path(tmp_path / "a b") == f"@{tmp_path}/a\\ b"
    for bad in ("a;b", 'a"b', "a\nb"):
        with pytest.raises(TargetError, match="move it to a path without"):
            monitor_path(tmp_path / bad)


def test_lost_reply_is_asked_for_again(renode, image, first_light_model: Model) -> None:
    """The link's patience is a matter of this machine's clock; no reply within it must not break the target."""
    renode.setenv("FAKE_RENODE_MODEL", str(MODEL))
    with dut_for(image) as dut:
        link = Link(dut, first_light_model.dimensions(), hello_waits_s=(0.0, 5.0))
        Session(dut, first_light_model, link).hello()
        assert (link.statistics.frames, link.statistics.lost) == (1, 0)


@pytest.fixture(autouse=True)
def no_renode_outlives_its_test(tmp_path: Path) -> Iterator[None]:
    yield
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            mine = f"{tmp_path}/eishil-renode-".encode() in path.read_bytes()
        except OSError:
            continue
        if mine:
            os.kill(int(path.parent.name), signal.SIGKILL)
