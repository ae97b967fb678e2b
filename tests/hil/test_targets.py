"""Targets as the bench meets them: unknown, missing, silent, dead, orphaned; and what the emulated count counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from eishil.errors import RecipeError, TargetDiedError, TargetError, ToolError
from eishil.model import Model
from eishil_bench.dut import load_targets, open_dut, target_spec
from eishil_bench.dut.native import NativeDut
from eishil_bench.dut.qemu import QemuDut
from eishil_bench.dut.serial import SerialDut, find_port
from eishil_bench.firmware.build import FirmwareImage
from support.line import Line

# Prints how far TIM2 ran during 2 * 100,000 instructions, over USART2, then sleeps.
KNOWN_LOOP = r"""
#define REGISTER(a) (*(volatile unsigned *)(a))
static void start(void);
extern const unsigned vectors[];
const unsigned vectors[2] __attribute__((section(".vectors"), used)) = {0x20010000, (unsigned)start};
static void start(void)
{
    REGISTER(0x4000002C) = 0xFFFFFFFF;
    REGISTER(0x40000014) = 1;
    REGISTER(0x40000000) = 1;
    REGISTER(0x4000440C) = 0x2008;
    unsigned turns = 100000;
    const unsigned before = REGISTER(0x40000024);
    __asm volatile("1: subs %0, #1\n bne 1b" : "+r"(turns) : : "cc");
    const unsigned count = REGISTER(0x40000024) - before;
    for (int i = 0; i < 4; i++) {
        REGISTER(0x40004404) = (count >> (8 * i)) & 0xFF;
    }
    for (;;) {
        __asm volatile("wfi");
    }
}
"""


def program(folder: Path, text: str) -> NativeDut:
    """A target that runs a shell script instead of the firmware."""
    script = folder / "firmware.elf"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return NativeDut(target_spec("native"), script)


def read_until_death(dut: NativeDut | QemuDut) -> None:
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        dut.read(0.5)


def test_roster_names_environments_of_platformio_ini() -> None:
    ini = (Path(__file__).resolve().parents[2] / "platformio.ini").read_text()
    targets = load_targets()
    assert {"native", "native_sanitized", "qemu", "nucleo_f446re"} <= set(targets)
    for spec in targets.values():
        assert f"[env:{spec.env}]" in ini


def test_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(TargetError, match=r"unknown target 'nucleo'; known are native, .*nucleo_f446re.* \(bench/"):
        target_spec("nucleo")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a]\nkind = 'native'\nenv = 'native'\n", "a.description: this key is missing"),
        ("[a]\ndescription = ''\nkind = 'radio'\nenv = 'native'\n", "kind: Input should be"),
        ("a = 1\n", "every entry is a table"),
        ("[a\n", "Expected"),
    ],
)
def test_malformed_roster_names_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=rf"targets\.toml: .*{sentence}"):
        load_targets(path)


def test_image_of_another_environment_is_refused(native_image: FirmwareImage) -> None:
    with pytest.raises(TargetError, match="target qemu runs images of nucleo_f446re, not of native"):
        open_dut("qemu", native_image)


def test_port_makes_no_sense_without_a_board(native_image: FirmwareImage) -> None:
    with pytest.raises(TargetError, match="leave out --port"):
        open_dut("native", native_image, port="/dev/ttyACM0")


def test_missing_qemu_names_the_package(
    qemu_image: FirmwareImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="qemu-system-arm is not installed: sudo apt-get install qemu-system-arm"):
        open_dut("qemu", qemu_image).start()


def test_missing_image_names_the_command(native_image: FirmwareImage, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="is not there; `eishil build RECIPE` makes it"):
        open_dut("native", replace(native_image, elf=tmp_path / "none.elf")).start()


def test_silent_target_reads_as_nothing(tmp_path: Path) -> None:
    with program(tmp_path, "exec sleep 60") as dut:
        assert dut.read(0.05) == b""


def test_dead_target_has_exit_code_and_last_words(tmp_path: Path) -> None:
    with (
        program(tmp_path, "echo nothing; echo out of coffee >&2; exit 3") as dut,
        pytest.raises(TargetDiedError, match="target native ended with exit code 3: out of coffee"),
    ):
        read_until_death(dut)


def test_killed_target_names_the_signal(tmp_path: Path) -> None:
    with (
        program(tmp_path, "kill -SEGV $$") as dut,
        pytest.raises(TargetError, match="was ended by SIGSEGV: it said nothing"),
    ):
        read_until_death(dut)


def test_sanitizer_has_the_last_word(tmp_path: Path) -> None:
    """It found a defect: the target is not one that died and may be tried again."""
    text = "echo 'ekf.c:7:3: runtime error: signed integer overflow' >&2; echo '    #0 main' >&2; exit 1"
    with (
        program(tmp_path, text) as dut,
        pytest.raises(TargetError, match=r"exit code 1: ekf\.c:7:3: runtime error: signed integer overflow") as caught,
    ):
        read_until_death(dut)
    assert not isinstance(caught.value, TargetDiedError)


def test_write_to_a_dead_target_is_told(tmp_path: Path) -> None:
    with program(tmp_path, "exit 4") as dut, pytest.raises(TargetError, match="ended with exit code 4"):
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            dut.write(b"x")


def test_qemu_that_cannot_start_says_why(qemu_image: FirmwareImage) -> None:
    spec = target_spec("qemu").model_copy(update={"machine": "toaster"})
    with (
        QemuDut(spec, qemu_image.elf) as dut,
        pytest.raises(TargetError, match=r"exit code 1: .*unsupported machine type"),
    ):
        read_until_death(dut)


def test_stopped_target_refuses(tmp_path: Path) -> None:
    dut = program(tmp_path, "exec sleep 60")
    with pytest.raises(TargetError, match="not running"):
        dut.read(0.0)
    dut.stop()


def test_reset_starts_over_with_an_empty_line(native_image: FirmwareImage, first_light_model: Model) -> None:
    with open_dut("native", native_image) as dut:
        line = Line(dut, first_light_model)
        line.hello()
        line.exchange(line.request("init", 1))
        assert line.exchange(line.step(2))["steps"] == 1
        dut.write(b"\x05half a frame")
        dut.reset()
        line.hello()
        line.exchange(line.request("init", 1))
        assert line.exchange(line.step(2))["steps"] == 1


def test_target_dies_with_a_killed_bench(tmp_path: Path) -> None:
    program(tmp_path, "exec sleep 60")
    bench = (
        "import sys, time; from pathlib import Path; from eishil_bench.dut import target_spec;"
        "from eishil_bench.dut.native import NativeDut;"
        "dut = NativeDut(target_spec('native'), Path(sys.argv[1])); dut.start();"
        "print(dut._process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", bench, str(tmp_path / "firmware.elf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        target = int(process.stdout.readline())
        os.kill(target, 0)
        process.kill()
    end = time.monotonic() + 20.0
    while is_running(target):
        assert time.monotonic() < end, "the target outlived its bench"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """False as well for a dead process that init has not collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


BOARD = SimpleNamespace(device="/dev/ttyACM0", vid=0x0483, pid=0x374B)
OTHER = SimpleNamespace(device="/dev/ttyUSB0", vid=0x10C4, pid=0xEA60)
BUILTIN = SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None)


def test_board_is_found_by_its_usb_ids() -> None:
    assert find_port(target_spec("nucleo_f446re"), [BUILTIN, OTHER, BOARD]) == "/dev/ttyACM0"


def test_no_board_and_two_boards_are_told() -> None:
    spec = target_spec("nucleo_f446re")
    with pytest.raises(TargetError, match=r"no serial port with the USB ids 0483:374a, .*--port"):
        find_port(spec, [BUILTIN, OTHER])
    second = SimpleNamespace(device="/dev/ttyACM1", vid=0x0483, pid=0x374F)
    with pytest.raises(TargetError, match="more than one board"):
        find_port(spec, [BOARD, second])


def test_serial_port_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"target nucleo_f446re: cannot open .*nothing"):
        SerialDut(target_spec("nucleo_f446re"), str(tmp_path / "nothing")).start()


def test_serial_target_talks_over_a_pseudo_terminal() -> None:
    """The same code as on a board, up to the driver: bytes both ways, and a line that goes away."""
    master, slave = os.openpty()
    try:
        with SerialDut(target_spec("nucleo_f446re"), os.ttyname(slave)) as dut:
            dut.write(b"\x00ping\xff")
            assert os.read(master, 100) == b"\x00ping\xff"
            assert dut.read(0.01) == b""
            os.write(master, b"\x11pong\x13\x0d\x00")
            assert dut.read(5.0) == b"\x11pong\x13\x0d\x00"
            os.close(master)
            master = -1
            with pytest.raises(TargetError, match="serial port failed"):
                dut.read(1.0)
    finally:
        os.close(slave)
        if master >= 0:
            os.close(master)


def test_emulated_count_is_executed_instructions(tmp_path: Path) -> None:
    """A loop of known length: QEMU's virtual nanosecond is one instruction, and TIM2 ticks once in it."""
    source, image = tmp_path / "loop.c", tmp_path / "loop.elf"
    source.write_text(KNOWN_LOOP)
    flags = ["-mcpu=cortex-m4", "-mthumb", "-O1", "-nostdlib", "-Wl,--build-id=none"]
    places = ["-Wl,--section-start=.vectors=0x08000000", "-Wl,-Ttext=0x08000100", "-Wl,-e,0x08000100"]
    subprocess.run(["arm-none-eabi-gcc", *flags, *places, source, "-o", image], check=True, timeout=60)
    with QemuDut(target_spec("qemu"), image) as dut:
        data, end = b"", time.monotonic() + 20.0
        while len(data) < 4 and time.monotonic() < end:
            data += dut.read(0.5)
    assert abs(int.from_bytes(data, "little") - 200_000) <= 20


def test_counts_repeat_from_run_to_run(qemu_image: FirmwareImage, first_light_model: Model) -> None:
    runs = [step_counts(qemu_image, first_light_model) for _ in range(2)]
    assert all(count > 1000 for count in runs[0])
    assert all(abs(a - b) <= 40 for a, b in zip(*runs, strict=True)), runs


def step_counts(image: FirmwareImage, model: Model) -> list[int]:
    with open_dut("qemu", image) as dut:
        line = Line(dut, model)
        line.hello()
        line.exchange(line.request("init", 1))
        return [int(line.exchange(line.step(sequence))["count"]) for sequence in range(2, 7)]


def test_interrupted_test_leaves_no_target(tmp_path: Path) -> None:
    dut = program(tmp_path, "exec sleep 60")
    with pytest.raises(KeyboardInterrupt), dut:
        assert dut._process is not None
        target = dut._process.pid
        signal.raise_signal(signal.SIGINT)
    assert not is_running(target)
