"""The platform descriptions of bench/emulation/renode, read by a small parser of the .repl language.

It knows what these files use: entries with a type and one or more places, properties, connections, tags. Renode's own
parser has the last word; this one finds dangling names, overlaps, and registers of the firmware that nobody models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from eishil_bench.dut import load_targets
from eishil_bench.dut.renode import PLATFORMS, setup_commands
from eishil_bench.dut.renode_uart import UART, MonitorUart
from eishil_bench.link.framing import encode

ROOT = Path(__file__).resolve().parents[2]
PORT = ROOT / "firmware" / "port"
ENTRY = re.compile(r"(?P<name>\w+): (?P<type>\w+\.\w+) @ (?:\{ (?P<places>[^}]+) \}|(?P<place>.+))")
PLACE = re.compile(r"sysbus(?: (?:<(?P<start>0x\w+), \+(?P<size>0x\w+)>|(?P<address>0x\w+)))?")
CONNECTION = re.compile(r"(?:\w+ )?-> (?P<target>\w+)@(?P<line>\d+)")
PROPERTY = re.compile(r"(?P<name>\w+): (?P<value>.+)")
TAG = re.compile(r'Tag <(?P<first>0x\w+), (?P<last>0x\w+)> "(?P<name>\w+)" (?P<value>0x\w+)')
# Bytes that a model takes where the file does not say; from Renode's sources and RM0390 table 1.
DEFAULT_SIZES = {
    "IRQControllers.NVIC": 0x1000,
    "Miscellaneous.DWT": 0x1000,
    "Miscellaneous.STM32_PWR": 0x400,
    "Miscellaneous.STM32F4_RCC": 0x400,
    "MTD.STM32F4_FlashController": 0x400,
    "Timers.STM32F4_RTC": 0x400,
    "Timers.STM32_IndependentWatchdog": 0x400,
    "Timers.STM32_Timer": 0x400,
}


@dataclass
class Entry:
    type: str
    places: list[str]
    properties: dict[str, str] = field(default_factory=dict)
    connections: list[tuple[str, int]] = field(default_factory=list)

    def regions(self) -> list[range]:
        found = []
        for place in self.places:
            match = PLACE.fullmatch(place)
            assert match, f"cannot read the place {place!r}"
            start = match["start"] or match["address"]
            if start is not None:
                size = match["size"] or self.properties.get("size") or hex(DEFAULT_SIZES[self.type])
                found.append(range(int(start, 16), int(start, 16) + int(size, 16)))
        return found


def parse(path: Path) -> tuple[dict[str, Entry], dict[str, range]]:
    """Entries and tags by name; AssertionError at a line that is neither."""
    entries: dict[str, Entry] = {}
    tags: dict[str, range] = {}
    current: Entry | None = None
    for line in path.read_text("utf-8").splitlines():
        text = line.split("//")[0].rstrip()
        if not text or text in ("sysbus:", "    init:"):
            current = None if text else current
        elif not text.startswith(" "):
            match = ENTRY.fullmatch(text)
            assert match, f"{path.name}: cannot read {line!r}"
            assert match["name"] not in entries, f"{path.name}: {match['name']} stands twice"
            places = re.split(r";\s*", match["places"]) if match["places"] else [match["place"]]
            current = entries[match["name"]] = Entry(match["type"], places)
        elif tag := TAG.fullmatch(text.strip()):
            tags[tag["name"]] = range(int(tag["first"], 16), int(tag["last"], 16) + 1)
        else:
            assert current is not None, f"{path.name}: {line!r} belongs to nothing"
            if connection := CONNECTION.fullmatch(text.strip()):
                current.connections.append((connection["target"], int(connection["line"])))
            else:
                setting = PROPERTY.fullmatch(text.strip())
                assert setting, f"{path.name}: cannot read {line!r}"
                current.properties[setting["name"]] = setting["value"]
    return entries, tags


def chip_file(pattern: str) -> str:
    """The one file of the port that is about this chip, wherever the port keeps it."""
    (found,) = [text for path in PORT.rglob(pattern) if "STM32F446" in (text := path.read_text("utf-8"))]
    return found


@pytest.fixture(scope="module")
def platform() -> tuple[dict[str, Entry], dict[str, range]]:
    return parse(PLATFORMS / "nucleo_f446re.repl")


def overlaps(entries: dict[str, Entry], tags: dict[str, range]) -> list[str]:
    regions = [(name, region) for name, entry in entries.items() for region in entry.regions()]
    regions = sorted([*regions, *tags.items()], key=lambda named: named[1].start)
    return [f"{a} and {b}" for (a, ours), (b, theirs) in pairwise(regions) if theirs.start < ours.stop]


def test_every_name_that_is_used_exists(platform) -> None:
    entries, _ = platform
    for name, entry in entries.items():
        for target, _ in entry.connections:
            assert target in entries, f"{name} is connected to {target}"
        for key in ("nvic", "flash", "rtcPeripheral"):
            assert entry.properties.get(key, "nvic") in entries, f"{name}.{key}"


def test_no_two_regions_overlap(platform) -> None:
    entries, tags = platform
    assert overlaps(entries, tags) == []
    crowded = {**entries, "twin": Entry("Timers.STM32_Timer", ["sysbus 0x40000200"])}
    assert overlaps(crowded, tags) == ["timer2 and twin"]


def test_every_register_that_the_firmware_touches_is_modelled(platform) -> None:
    entries, tags = platform
    regions = [region for entry in entries.values() for region in entry.regions()] + list(tags.values())
    headers = [chip_file("registers.h"), *(path.read_text("utf-8") for path in PORT.glob("cortex_m/*.h"))]
    defines = re.findall(r"#define (\w+)(?:\(n\))?\s+REGISTER\((0x[0-9A-F]+)UL", "".join(headers))
    assert len(defines) > 20
    missing = [name for name, address in defines if not any(int(address, 16) in region for region in regions)]
    assert missing == []


def test_memories_are_those_of_the_linker_script(platform) -> None:
    entries, _ = platform
    script = chip_file("*.ld")
    lines = {name: (int(origin, 16), int(kB) * 1024) for name, origin, kB in re.findall(
        r"(\w+)\s*\(\w+\)\s*:\s*ORIGIN = (0x\w+),\s*LENGTH = (\d+)K", script
    )}  # fmt: skip
    for memory, name in (("FLASH", "flash"), ("RAM", "sram")):
        start, size = lines[memory]
        assert range(start, start + size) in entries[name].regions()
    assert range(0, lines["FLASH"][1]) in entries["flash"].regions(), "the boot alias"


def test_interrupts_and_clocks(platform) -> None:
    entries, _ = platform
    registers = chip_file("registers.h")
    irq = int(re.search(r"#define (?:USART2|UART)_IRQ\s+(\d+)U", registers)[1])
    assert entries["usart2"].connections == [("nvic", irq)]
    assert entries["nvic"].connections == [("cpu", 0)]
    # One count of the DWT, and one SysTick, is one instruction.
    (target,) = [spec for spec in load_targets().values() if spec.kind == "renode"]
    for name, key in (("dwt", "frequency"), ("nvic", "systickFrequency")):
        assert int(entries[name].properties[key]) == target.mips * 1_000_000
    assert entries["cpu"].properties["cpuType"] == '"cortex-m4"'


def test_nothing_is_fetched(platform) -> None:
    for path in PLATFORMS.iterdir():
        assert not re.search(r"https?://|ApplySVD", path.read_text("utf-8")), path.name


def test_script_for_hand_use_is_what_the_bench_does(tmp_path) -> None:
    """nucleo_f446re.resc has the bench's commands, in its order, with variables for the files."""
    (target,) = [spec for spec in load_targets().values() if spec.kind == "renode"]
    uart = MonitorUart(tmp_path)
    wanted = setup_commands(target, PLATFORMS / "nucleo_f446re.repl", tmp_path / "firmware.elf", uart)
    wanted = [command for command in wanted if "CreateFileBackend" not in command]
    lines = (PLATFORMS / "nucleo_f446re.resc").read_text("utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith((":", "showAnalyzer", "$"))]
    assert [re.sub(r"[@$]\S+", "FILE", c) for c in commands] == [re.sub(r"@\S+", "FILE", c) for c in wanted]


def test_robot_example_sends_a_hello_of_todays_protocol() -> None:
    text = (PLATFORMS / "first_light.robot").read_text("utf-8")
    sent = bytes(int(byte, 16) for byte in re.search(r"@\{HELLO\}\s+(.+)", text)[1].split())
    # type 1, reserved, sequence 1, protocol version 1
    assert sent == encode(bytes([1, 0, 1, 0, 1, 0, 0, 0]))
    assert f"{UART} WriteChar" in text and f"{UART} CreateFileBackend" in text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("usart3: UART.STM32_UART sysbus 0x1", "cannot read"),
        ("cpu: CPU.CortexM @ sysbus", "stands twice"),
        ("    -> nvic@", "cannot read"),
    ],
)
def test_the_parser_refuses_what_it_cannot_read(tmp_path, line, problem) -> None:
    path = tmp_path / "bad.repl"
    path.write_text(f"cpu: CPU.CortexM @ sysbus\n{line}\n")
    with pytest.raises(AssertionError, match=problem):
        parse(path)
