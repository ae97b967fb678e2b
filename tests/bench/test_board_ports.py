"""A board's port: who holds it, what is told where it does not open, how the board is reset."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import threading
from typing import Any

import numpy as np
import pytest
import serial

from eishil.errors import SilenceError, TargetError
from eishil_bench.boards.discovery import ask_identity
from eishil_bench.boards.locks import BoardLock
from eishil_bench.dut import target_spec
from eishil_bench.dut.serial import UDEV_RULE, SerialDut, board_key
from support.drawer_of_boards import BOARD, held, st_link
from support.fake_dut import BUILD_ID, FakeDevice
from support.pseudo_terminal import serial_port
from support.random_models import random_estimator

pytestmark = pytest.mark.usefixtures("own_places")


@pytest.fixture(scope="module")
def model():
    return random_estimator(np.random.default_rng(5))[0]


# Who holds it


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
