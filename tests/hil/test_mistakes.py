"""Mistakes of a user who has a board, a full disk or a wrong recipe: one sentence, exit 2, nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import serial

from eishil.model import Model
from eishil_bench.dut import target_spec
from eishil_bench.dut.serial import UDEV_RULE, SerialDut
from eishil_bench.pipeline import Workspace
from support.command_line import MAIN, eishil
from support.fake_dut import FakeDevice
from support.prepared_workspace import STEPS, prepared_workspace
from support.pseudo_terminal import serial_port
from support.random_models import random_estimator

pytestmark = pytest.mark.xdist_group("mistakes")
BOARD = "nucleo_f446re"


def last_words(answer) -> str:
    """The one sentence after the lines on what was up to date."""
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert [line.startswith("eishil: ") for line in lines].count(True) == 1 and lines[-1].startswith("eishil: ")
    return lines[-1]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return prepared_workspace(tmp_path_factory.mktemp("mistakes"))


def run_on(workspace: Workspace, port: str):
    return eishil("run", workspace.recipe_path, "--target", BOARD, "--port", port, "--out", workspace.root.parent)


def test_silent_device(workspace):
    with serial_port(None) as port:
        answer = run_on(workspace, port)
    sentence = last_words(answer)
    assert f"{BOARD} did not answer hello within 5 s (8 attempts)" in sentence
    assert not workspace.results.exists() and not workspace.report.exists()


def test_failed_run_leaves_no_older_verdict(workspace):
    old = (workspace.results, workspace.report, workspace.target_results(BOARD), workspace.target_report(BOARD))
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.write_text("passed")
    with serial_port(None) as port:
        last_words(run_on(workspace, port))
    assert not any(path.exists() for path in old)


def test_device_with_another_model(workspace):
    other, _ = random_estimator(np.random.default_rng(99))
    with serial_port(FakeDevice(other)) as port:
        answer = run_on(workspace, port)
    sentence = last_words(answer)
    assert f"{BOARD} has model {other.model_id[:8].hex()}, but the recipe's model random is" in sentence
    command = f"eishil flash {workspace.recipe_path} --out {workspace.root.parent} --target {BOARD} --port {port}"
    assert f"`{command}` puts what was built onto it" in sentence
    assert not workspace.results.exists() and not workspace.report.exists()


def test_port_that_is_not_there(workspace):
    assert "cannot open /dev/no-such-port" in last_words(run_on(workspace, "/dev/no-such-port"))


def test_no_board_and_boards_in_use(workspace):
    answer = eishil("run", workspace.recipe_path, "--target", "all", "--out", workspace.root.parent)
    assert "no board of the roster is connected; `eishil boards` lists what is there" in last_words(answer)
    with serial_port(None) as port, serial.Serial(port, exclusive=True):
        sentence = last_words(run_on(workspace, port))
    assert f"cannot open {port}: another program has it open (a terminal?); close it" in sentence
    with serial_port(None) as port, SerialDut(target_spec(BOARD), port):
        sentence = last_words(run_on(workspace, port))
    assert f"target {BOARD}: the board is held by process {os.getpid()} of" in sentence


def test_no_permission_says_the_udev_line(workspace, tmp_path):
    roster = tmp_path / "targets.toml"
    with serial_port(None) as port:
        Path(port).chmod(0)
        roster.write_text(f'[left]\nlike = "{BOARD}"\nport = "{port}"\n')
        mine = {"plain_user": True, "EISHIL_TARGETS": str(roster)}
        answer = eishil("run", workspace.recipe_path, "--target", "left", "--out", workspace.root.parent, **mine)
        listed = eishil("boards", **mine)
    assert f"target left: no permission to open {port}; write the line {UDEV_RULE} into /etc/udev/" in last_words(
        answer
    )
    assert listed.returncode == 0 and f"no permission to open {port}" in listed.stdout


def test_two_boards_that_match(workspace):
    ports = "".join(f"P('/dev/ttyACM{i}', 0x0483, 0x374B, '066{i}')," for i in range(2))
    code = "from collections import namedtuple; from serial.tools import list_ports; "
    code += f"P = namedtuple('P', 'device vid pid serial_number'); list_ports.comports = lambda: [{ports}]; {MAIN}"
    for command in ("run", "flash"):
        answer = eishil(command, workspace.recipe_path, "--target", BOARD, "--out", workspace.root.parent, code=code)
        assert (
            f"target {BOARD}: more than one board (/dev/ttyACM0 with serial number 0660, /dev/ttyACM1 with serial "
            in (last_words(answer))
        )


def test_cable_pulled_within_a_run(workspace):
    """What is finished is kept: once the cable is back the run goes on."""
    image = json.loads((workspace.firmware(BOARD) / "firmware.json").read_text())
    model, hello = Model.load(workspace.model / "model.json"), {"build_id": list(bytes.fromhex(image["build_id"]))}
    roster = workspace.root / "targets.toml"
    roster.write_text(f'[{BOARD}]\nreset = "none"\n')

    def run(device, *options):
        with serial_port(device) as port:
            arguments = ("--target", BOARD, "--port", port, "--out", workspace.root.parent, *options)
            return eishil("run", workspace.recipe_path, *arguments, EISHIL_TARGETS=str(roster))

    device = FakeDevice(model, hello=hello)
    honest = device._on_step
    device._on_step = lambda request: honest(request) if device.applied < STEPS + 2 else pull_the_cable()
    assert "was the board unplugged?" in last_words(run(device))
    assert not workspace.results.exists()
    answer = run(FakeDevice(model, hello=hello), "--resume")
    assert answer.returncode in (0, 1), answer.stderr
    assert "goes on: 1 trajectories are in the journal" in answer.stderr


def pull_the_cable():
    raise OSError("the pseudo terminal's other end is closed")


def test_missing_emulator_is_told_before_anything_is_made(workspace, tmp_path):
    out = tmp_path / "build"
    answer = eishil("run", workspace.recipe_path, "--target", "qemu", "--out", out, PATH=str(tmp_path))
    assert "qemu-system-arm is not installed: sudo apt-get install qemu-system-arm" in last_words(answer)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = ", "recipe.toml: this is not TOML"),
        ("", "recipe.toml: name: this key is missing"),
    ],
)
def test_malformed_recipe(tmp_path, text, sentence):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    answer = eishil("run", recipe, "--target", "native", "--out", tmp_path / "build")
    assert sentence in last_words(answer)
    assert not (tmp_path / "build").exists()


def test_recipe_with_a_wrong_value_names_file_key_and_remedy(workspace, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(workspace.recipe_path.read_text().replace('model = "DFN"', 'model = "P2D"'))
    sentence = last_words(eishil("dataset", recipe, "--out", tmp_path / "build"))
    assert "recipe.toml: cell.model: " in sentence and "'DFN'" in sentence and "P2D" in sentence


def test_full_disk_leaves_nothing_half_written(tmp_path):
    workspace = prepared_workspace(tmp_path)
    answer = eishil("generate", workspace.recipe_path, "--out", workspace.root.parent, limit_file_bytes=1000)
    assert "cannot be written" in last_words(answer)
    assert list(workspace.generated.glob("*")) == []
    again = eishil("generate", workspace.recipe_path, "--out", workspace.root.parent)
    assert again.returncode == 0 and (workspace.generated / "model.c").is_file()


def test_two_commands_in_one_folder(workspace):
    with workspace.locked():
        answer = eishil("generate", workspace.recipe_path, "--out", workspace.root.parent)
    assert "another eishil command is at work in this folder" in last_words(answer)
