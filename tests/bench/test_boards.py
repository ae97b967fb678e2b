"""A drawer of boards: which is which, who holds it, what it runs, and a sentence for everything that is not right."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import serial

from eishil.errors import RecipeError, SilenceError, TargetError
from eishil_bench.boards import discovery
from eishil_bench.boards.discovery import ask_identity, chosen_targets, list_boards
from eishil_bench.boards.locks import LOCK_FOLDER_VARIABLE, BoardLock
from eishil_bench.dut import USER_ROSTER_VARIABLE, load_targets, target_spec
from eishil_bench.dut import serial as serial_dut
from eishil_bench.dut.serial import UDEV_RULE, SerialDut, board_key, find_port
from support.command_line import eishil
from support.fake_dut import BUILD_ID, FakeDevice
from support.pseudo_terminal import serial_port
from support.random_models import random_estimator

BOARD = "nucleo_f446re"
ST_LINK = {"vid": 0x0483, "pid": 0x374B}


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No lock and no roster of this machine."""
    monkeypatch.setenv(LOCK_FOLDER_VARIABLE, str(tmp_path / "locks"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes records of `serial.tools.list_ports` what is connected."""

    def connect(*records: SimpleNamespace) -> None:
        for module in (discovery, serial_dut):
            monkeypatch.setattr(module, "connected_ports", lambda: list(records))

    connect()
    return connect


@pytest.fixture(scope="module")
def model():
    return random_estimator(np.random.default_rng(5))[0]


def st_link(device: str, number: str | None) -> SimpleNamespace:
    return SimpleNamespace(device=device, serial_number=number, **ST_LINK)


def named(model: Any, board: str) -> FakeDevice:
    return FakeDevice(model, hello={"board": list(board.encode().ljust(16, b"\0"))})


def roster(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config" / "eishil" / "targets.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# The roster


def test_own_roster_lies_over_that_of_the_bench(tmp_path):
    plain = target_spec(BOARD)
    roster(tmp_path, f'[{BOARD}]\nbaud = 57600\n[left]\nlike = "{BOARD}"\nserial_number = "066A"\n')
    assert target_spec(BOARD) == plain.model_copy(update={"baud": 57600})
    assert target_spec("left") == plain.model_copy(update={"name": "left", "baud": 57600, "serial_number": "066A"})
    assert load_targets().keys() > {"native", "qemu", "left"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[left]\nlike = "nucleo"\n', r"targets.toml: left.like: there is no target 'nucleo'; known are native"),
        ("[left]\n", r"targets.toml: left.description: Field required"),
        (f"[{BOARD}]\nbaud = 'fast'\n", r"targets.toml: nucleo_f446re.baud: "),
        (f"[{BOARD}]\nreset = 'command'\n", r'nucleo_f446re: .*reset = "command" and reset_command belong together'),
        ("[left\n", r"targets.toml: "),
        ("left = 1\n", r"targets.toml: every entry is a table"),
    ],
)
def test_mistake_in_the_own_roster_names_file_and_key(tmp_path, text, sentence):
    roster(tmp_path, text)
    with pytest.raises(RecipeError, match=sentence):
        load_targets()


def test_roster_that_the_environment_names_has_to_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv(USER_ROSTER_VARIABLE, str(tmp_path / "mine.toml"))
    with pytest.raises(RecipeError, match=r"mine.toml: .*No such file"):
        load_targets()


# Which board is which


def test_serial_number_tells_two_boards_of_a_kind_apart():
    ports = [st_link("/dev/ttyACM0", "066A"), st_link("/dev/ttyACM1", "066B")]
    spec = target_spec(BOARD)
    assert find_port(spec.model_copy(update={"serial_number": "066B"}), ports) == "/dev/ttyACM1"
    with pytest.raises(TargetError, match=r"more than one board \(/dev/ttyACM0 with serial number 066A, /dev/ttyACM1 "):
        find_port(spec, ports)
    with pytest.raises(TargetError, match=r"and serial number 066C; connect the board or name its port"):
        find_port(spec.model_copy(update={"serial_number": "066C"}), ports)


def test_boards_are_told_apart_by_what_they_say(connect, model):
    with serial_port(named(model, "nucleo_g474re")) as one, serial_port(named(model, BOARD)) as other:
        connect(st_link(one, "066A"), st_link(other, "066B"), SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None))
        found = list_boards()
        assert [(board.port, board.target) for board in found] == [(one, "nucleo_g474re"), (other, BOARD)]
        assert found[0].identity.build_id == BUILD_ID and found[0].identity.model_id == model.model_id[:8]
        specs = chosen_targets(["all"])
    assert [(spec.name, spec.port) for spec in specs] == [("nucleo_g474re", one), (BOARD, other)]


def test_serial_number_in_the_roster_needs_no_answer(connect, tmp_path):
    roster(tmp_path, f'[left]\nlike = "{BOARD}"\nserial_number = "066A"\n')
    with serial_port(None) as port:
        connect(st_link(port, "066A"))
        (board,) = list_boards()
    assert board.target == "left" and board.identity is None
    assert "did not answer hello" in board.silence


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        (0, "no board of the roster is connected"),
        (1, r"the board on /dev/\S+ \(serial number 066\d\) may be any of nucleo_f446re, .*: give the right one"),
        (2, r"target nucleo_f446re: more than one board \(/dev/\S+, /dev/\S+\); give each its serial_number"),
    ],
)
def test_all_where_it_is_not_clear_what_all_is(connect, model, devices, sentence):
    """No board, a mute one that any target fits, two that say the same."""
    one, other = (named(model, BOARD), named(model, BOARD)) if devices == 2 else (None, None)
    with serial_port(one) as first, serial_port(other) as second:
        connect(*[st_link(port, f"066{i}") for i, port in enumerate((first, second)[:devices])])
        with pytest.raises(TargetError, match=sentence):
            chosen_targets(["all"])


def test_a_port_is_for_one_target():
    with pytest.raises(TargetError, match="--port names one board's port; leave it out with several targets"):
        chosen_targets([BOARD, "qemu"], "/dev/ttyACM0")


def test_boards_command(tmp_path, model):
    with serial_port(named(model, BOARD)) as port:
        roster(tmp_path, f'[left]\nlike = "{BOARD}"\nport = "{port}"\n')
        answer = eishil("boards")
        with held(port):
            while_held = eishil("boards")
    assert answer.returncode == 0, answer.stderr
    assert "left" in answer.stdout and BUILD_ID.hex() in answer.stdout and "nucleo_f446re, build" in answer.stdout
    assert "held by process" in while_held.stdout and BUILD_ID.hex() not in while_held.stdout


# Who holds it


@contextmanager
def held(board: str) -> Iterator[int]:
    """Another process holds the board; yields its id."""
    code = "import sys; from eishil_bench.boards.locks import BoardLock; "
    code += "lock = BoardLock('t', sys.argv[1]); lock.acquire(); "
    code += "print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, board], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_two_runs_never_share_a_board_and_a_killed_one_holds_nothing(connect, model):
    with serial_port(FakeDevice(model)) as port:
        with held(port) as pid:
            with pytest.raises(
                TargetError, match=rf"target {BOARD}: the board is held by process {pid} of \S+ since 20"
            ):
                SerialDut(target_spec(BOARD), port).start()
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            with SerialDut(target_spec(BOARD), port) as dut:
                assert ask_identity(dut).build_id == BUILD_ID
        assert BoardLock("t", port).held_by() == ""


def test_a_board_is_the_same_whichever_way_its_port_is_named(tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to("/dev/null")
    records = [st_link("/dev/null", "066A"), st_link("/dev/zero", None)]
    assert board_key("/dev/null", records) == board_key(str(link), records) == "066A"
    assert board_key("/dev/zero", records) == "/dev/zero"
    assert board_key("socket://127.0.0.1:5000", records) == "socket://127.0.0.1:5000"


def test_lock_is_given_back_where_the_port_does_not_open(connect, tmp_path):
    for _ in range(2):
        with (
            pytest.raises(TargetError, match="there is no such port; `eishil boards` lists"),
            SerialDut(target_spec(BOARD), str(tmp_path / "nothing")),
        ):
            pass
    assert BoardLock("t", str(tmp_path / "nothing")).held_by() == ""


# Ports


def test_port_in_use_by_a_terminal(connect, model):
    in_use = r"cannot open /dev/\S+: another program has it open \(a terminal\?\)"
    with (
        serial_port(FakeDevice(model)) as port,
        serial.Serial(port, exclusive=True),
        pytest.raises(TargetError, match=in_use),
    ):
        SerialDut(target_spec(BOARD), port).start()


def test_no_permission_says_the_udev_line(connect, monkeypatch):
    def refuse(self: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial.Serial, "open", refuse)
    with pytest.raises(TargetError) as caught:
        SerialDut(target_spec(BOARD), "/dev/ttyACM0").start()
    assert "no permission to open /dev/ttyACM0" in str(caught.value) and UDEV_RULE in str(caught.value)


def test_pyserial_url(connect, model):
    """A port server: the same bytes over TCP."""
    device = FakeDevice(model)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve_one, args=(server, device), daemon=True)
        thread.start()
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with SerialDut(target_spec(BOARD), url) as dut:
            assert ask_identity(dut).build_id == BUILD_ID
        thread.join(10)
    with SerialDut(target_spec(BOARD), "loop://") as dut:
        dut.write(b"\x00ping")
        assert dut.read(1.0) == b"\x00ping"
    with pytest.raises(TargetError, match=r"cannot open socket://127.0.0.1:1: "):
        SerialDut(target_spec(BOARD), "socket://127.0.0.1:1").start()


def _serve_one(server: socket.socket, device: FakeDevice) -> None:
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(4096):
            device.write(data)
            connection.sendall(device.read(0.0))


def test_cable_pulled(connect):
    import pty

    ours, theirs = pty.openpty()
    with SerialDut(target_spec(BOARD), os.ttyname(theirs)) as dut:
        os.close(theirs)
        os.close(ours)
        with pytest.raises(
            TargetError, match=r"target nucleo_f446re: the serial port failed: .*was the board unplugged"
        ):
            dut.write(b"x" * 10)
            dut.read(1.0)


# Resets


def with_command(*command: str) -> Any:
    return target_spec(BOARD).model_copy(update={"reset": "command", "reset_command": command, "serial_number": "066A"})


def test_power_is_cycled_by_the_users_command(connect, model, tmp_path):
    script = 'import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], "w"))'
    said = tmp_path / "environment.json"
    spec = with_command(sys.executable, "-c", script, str(said))
    with serial_port(FakeDevice(model)) as port, SerialDut(spec, port) as dut:
        dut.reset()
        assert ask_identity(dut).build_id == BUILD_ID, "the port is open again"
    environment = json.loads(said.read_text())
    wanted = {"EISHIL_TARGET": BOARD, "EISHIL_PORT": port, "EISHIL_SERIAL_NUMBER": "066A"}
    assert environment.items() >= wanted.items()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("sh", "-c", "echo no such outlet >&2; exit 3"), "failed with status 3: no such outlet"),
        (("no-such-program",), "`no-such-program` cannot be run: No such file"),
    ],
)
def test_reset_command_that_fails(connect, model, command, sentence):
    with (
        serial_port(FakeDevice(model)) as port,
        SerialDut(with_command(*command), port) as dut,
        pytest.raises(TargetError, match=sentence),
    ):
        dut.reset()


def test_reset_none_leaves_the_device_alone(connect, model):
    device = FakeDevice(model)
    spec = target_spec(BOARD).model_copy(update={"reset": "none"})
    with serial_port(device) as port, SerialDut(spec, port) as dut:
        before = device.resets
        dut.reset()
        assert device.resets == before and ask_identity(dut).build_id == BUILD_ID


def test_mute_board_is_one_sentence(connect):
    with (
        serial_port(None) as port,
        SerialDut(target_spec(BOARD), port) as dut,
        pytest.raises(SilenceError, match="nucleo_f446re did not answer hello"),
    ):
        ask_identity(dut, (0.05,))
