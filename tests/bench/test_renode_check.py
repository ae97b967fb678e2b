"""`eishil doctor --target renode` on the stand-in: all that is relied on is looked at, and what fails is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eishil.errors import TargetError
from eishil.model import Model
from eishil_bench import cli, doctor
from eishil_bench.dut import target_spec
from eishil_bench.dut.renode_check import Assumption, examine
from eishil_bench.firmware.build import FirmwareImage
from support import fake_renode

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "datasets" / "models" / "first_light" / "model.json"


@pytest.fixture
def renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """RENODE names the stand-in, whose device says that it runs nothing but the model."""
    monkeypatch.setenv("RENODE", str(fake_renode.install(tmp_path)))
    monkeypatch.setenv("FAKE_RENODE_MODEL", str(MODEL))
    return monkeypatch


def failures(image: FirmwareImage, model: Model) -> dict[str, Assumption]:
    return {each.what: each for each in examine(target_spec("renode"), image, model) if not each.holds}


# The stand-in's device is no firmware: it has another build and another board, and says so.
STRANGER = {"the device answers", "a reset starts the image again"}


def test_everything_is_looked_at(renode, qemu_image, first_light_model) -> None:
    seen = examine(target_spec("renode"), qemu_image, first_light_model)
    assert {each.what for each in seen if not each.holds} == STRANGER, [each for each in seen if not each.holds]
    commands = [each.what for each in seen if each.found == "is accepted"]
    assert [command.split()[0] for command in commands] == [
        "logFile", "using", "mach", "machine", "cpu", "emulation", "emulation", "usart2", "sysbus", "emulation"
    ]  # fmt: skip
    answer = next(each for each in seen if each.what == "the device answers")
    assert re.fullmatch(rf"nucleo_f446re, build {qemu_image.build_id.hex()}, counts by DWT", answer.expected)
    assert "build 00112233deadbeef, counts by DWT" in answer.found


@pytest.mark.parametrize(
    ("mode", "what", "found"),
    [
        ("drifting", "a second start is the same", r"[\d,]+"),
        ("astray", "the core runs the image", "PC 0x24000000"),
        ("fast counter", "the DWT counts virtual time", "1,800,000"),
        (
            "read-only",
            "a bit in flash can be flipped",
            ".*expected 0x01 at 0x08000000 .*, got 0x00",
        ),
    ],
)
def test_what_does_not_hold_is_told(renode, qemu_image, first_light_model, mode, what, found) -> None:
    renode.setenv("FAKE_RENODE_MODE", mode)
    told = failures(qemu_image, first_light_model)
    assert re.fullmatch(found, told[what].found), told[what]
    assert set(told) - STRANGER <= {what, "a bit in RAM can be flipped"}


@pytest.mark.parametrize(
    ("mode", "what", "found"),
    [
        ("uartless", "usart2 CreateFileBackend", "No such command or device: usart2"),
        ("dies", "emulation RunFor", "ended while .* this one dies on purpose"),
        ("old", "start", r"this is Renode 1\.15\.3; install Renode 1\.16"),
    ],
)
def test_failing_start_is_the_last_that_is_told(renode, qemu_image, first_light_model, mode, what, found) -> None:
    renode.delenv("FAKE_RENODE_MODEL")  # no device is needed for that
    renode.setenv("FAKE_RENODE_MODE", mode)
    seen = examine(target_spec("renode"), qemu_image, first_light_model)
    (failed,) = [each for each in seen if not each.holds]
    assert failed.what.startswith(what) and re.search(found, failed.found), failed
    assert set(seen[seen.index(failed) + 1 :]) <= {Assumption("Renode's log", "no errors", "none", holds=True)}


def test_log_of_a_core_that_stands_still_is_told(renode, qemu_image, first_light_model) -> None:
    renode.setenv("FAKE_RENODE_MODE", "halted")
    told = failures(qemu_image, first_light_model)
    assert set(told) == {"Renode's log", "start"}
    assert told["start"].found == "target renode: expected a running core after 0.02 s, got IsHalted True"
    assert told["Renode's log"].found == "12:00:00.0000 [ERROR] cpu: it hurts"


def test_renode_that_keeps_no_log_is_examined_all_the_same(renode, qemu_image, first_light_model) -> None:
    renode.setenv("FAKE_RENODE_MODE", "logless")
    first, *others = failures(qemu_image, first_light_model).values()
    assert first.what.startswith("logFile") and {each.what for each in others} == STRANGER


def test_command_line_tells_all_and_exits_with_1_where_one_fails(renode, qemu_image, capsys) -> None:
    renode.setattr("eishil_bench.firmware.build.build_firmware", lambda *_: qemu_image)
    renode.setenv("COLUMNS", "300")
    renode.setattr("sys.argv", ["eishil", "doctor", "--target", "renode"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    table = capsys.readouterr().out
    assert re.search(r"a mistake is told as text.*No such command or device.*holds", table)
    assert re.search(r"the device answers.*does not hold", table)


def test_other_targets_are_not_looked_at_this_way() -> None:
    with pytest.raises(TargetError, match="qemu is no target on Renode; `eishil doctor` alone tells what is installed"):
        doctor.examine_target("qemu")
