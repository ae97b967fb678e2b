"""A drawer of boards: the roster, and which board is which."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from eishil.errors import RecipeError, TargetError
from eishil_bench.boards.discovery import chosen_targets, list_boards
from eishil_bench.dut import USER_ROSTER_VARIABLE, load_targets, require_target, target_spec
from eishil_bench.dut.serial import find_port
from support.command_line import eishil
from support.drawer_of_boards import BOARD, held, named, roster, st_link
from support.fake_dut import BUILD_ID
from support.pseudo_terminal import serial_port
from support.random_models import random_estimator

pytestmark = pytest.mark.usefixtures("own_places")


@pytest.fixture(scope="module")
def model():
    return random_estimator(np.random.default_rng(5))[0]


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
        ("[left]\n", r"targets.toml: left.description: this key is missing"),
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


def test_board_that_is_not_there_is_missed_before_any_work(monkeypatch):
    monkeypatch.setattr("eishil_bench.dut.serial.connected_ports", lambda: [])
    with pytest.raises(TargetError, match=r"target nucleo_f446re: no serial port with the USB ids .*connect the board"):
        require_target(target_spec(BOARD))
    require_target(target_spec(BOARD), port="/dev/ttyACM0")


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
