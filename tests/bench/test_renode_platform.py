"""The platform descriptions of bench/emulation/renode, read by a small parser of the .repl language.

It knows what these files use: entries with a type and one or more places, properties, connections, tags. Renode's own
parser has the last word; this one finds dangling names, overlaps, and registers of the firmware that nobody models.
"""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from eishil_bench.dut import TargetSpec, load_targets
from eishil_bench.dut.renode import PLATFORMS, setup_commands
from eishil_bench.dut.renode_faults import symbol
from eishil_bench.dut.renode_uart import MonitorUart
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
    "MTD.STM32H7_FlashController": 0x1000,
    "Miscellaneous.STM32H7_RCC": 0x400,
    "UART.STM32F7_USART": 0x400,
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


TARGETS = {spec.name: spec for spec in load_targets().values() if spec.kind == "renode"}
IMAGES = {"nucleo_f446re": "qemu_image", "nucleo_h743zi": "h743_image"}
CORES = {"nucleo_f446re": '"cortex-m4"', "nucleo_h743zi": '"cortex-m7"'}


@dataclass(frozen=True)
class Platform:
    """A platform of the roster, its entries and tags, and the folder of the port that is about its chip."""

    target: TargetSpec
    entries: dict[str, Entry]
    tags: dict[str, range]
    port: Path

    @cached_property
    def registers(self) -> dict[str, int]:
        """Addresses of all registers that the chip's and the core's headers name."""
        found = {}
        for name, body in self.macros.items():
            if match := re.fullmatch(r"REGISTER\((?:(\w+) \+ )?(0x[0-9A-F]+)UL.*\)", body):
                found[name.split("(")[0]] = int(match[2], 16) + (self.number(match[1]) if match[1] else 0)
        return found

    @cached_property
    def macros(self) -> dict[str, str]:
        """What the preprocessor knows behind registers.h."""
        folders = [f"-I{folder}" for folder in (self.port, PORT / "stm32" / "common", PORT / "cortex_m")]
        command = ["cc", "-dM", "-E", *folders, str(self.port / "registers.h")]
        lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
        return dict(re.fullmatch(r"#define (\w+(?:\([^)]*\))?) ?(.*)", line).groups() for line in lines)

    def number(self, name: str) -> int:
        return int(self.macros[name].rstrip("UL"), 0)

    def memories(self) -> list[range]:
        return [
            part for entry in self.entries.values() if entry.type == "Memory.MappedMemory" for part in entry.regions()
        ]


@pytest.fixture(scope="module", params=TARGETS.values(), ids=TARGETS)
def platform(request) -> Platform:
    target = request.param
    (script,) = PORT.rglob(f"{target.env}.ld")
    return Platform(target, *parse(PLATFORMS / f"{target.platform}.repl"), script.parent)


def overlaps(entries: dict[str, Entry], tags: dict[str, range]) -> list[str]:
    regions = [(name, region) for name, entry in entries.items() for region in entry.regions()]
    regions = sorted([*regions, *tags.items()], key=lambda named: named[1].start)
    return [f"{a} and {b}" for (a, ours), (b, theirs) in pairwise(regions) if theirs.start < ours.stop]


def covered(wanted: range, regions: list[range]) -> bool:
    """Whether regions side by side hold all of it."""
    for region in sorted(regions, key=lambda region: region.start):
        if wanted.start in region:
            wanted = range(region.stop, max(region.stop, wanted.stop))
    return len(wanted) == 0


def test_every_name_that_is_used_exists(platform) -> None:
    for name, entry in platform.entries.items():
        for target, _ in entry.connections:
            assert target in platform.entries, f"{name} is connected to {target}"
        for key in ("nvic", "flash", "flash1", "flash2", "rtcPeripheral"):
            assert entry.properties.get(key, "nvic") in platform.entries, f"{name}.{key}"


def test_no_two_regions_overlap(platform) -> None:
    entries, tags = platform.entries, platform.tags
    assert overlaps(entries, tags) == []
    crowded = {**entries, "twin": Entry("Timers.STM32_Timer", ["sysbus 0x40000200"])}
    assert overlaps(crowded, tags) == ["timer2 and twin"]


def test_every_register_that_the_firmware_touches_is_modelled(platform) -> None:
    regions = [region for entry in platform.entries.values() for region in entry.regions()]
    regions += platform.tags.values()
    registers = platform.registers
    assert registers.keys() >= {"SCB_VTOR", "DWT_CYCCNT", "RCC_CR", "FLASH_ACR", "UART_BRR", "TIM2_CNT", "IWDG_KR"}
    assert {name for name, body in platform.macros.items() if body.startswith("REGISTER(")} == {
        name + "(n)" * (name == "NVIC_ISER") for name in registers
    }, "every macro of a register was understood"
    missing = [name for name, address in registers.items() if not any(address in region for region in regions)]
    assert missing == []


def test_memories_are_those_of_the_linker_script(platform) -> None:
    script = (platform.port / f"{platform.target.env}.ld").read_text("utf-8")
    lines = {name: (int(origin, 16), int(kB) * 1024) for name, origin, kB in re.findall(
        r"(\w+)\s*\(\w+\)\s*:\s*ORIGIN = (0x\w+),\s*LENGTH = (\d+)K", script
    )}  # fmt: skip
    assert set(lines) == {"FLASH", "RAM"}
    for start, size in lines.values():
        assert covered(range(start, start + size), platform.memories())
        assert not covered(range(start, start + size + 1), platform.memories())


def test_image_fits_into_the_memories_and_is_found_there(platform, request) -> None:
    """Renode loads segments at their physical address, and takes the vector table from the lowest one."""
    image = request.getfixturevalue(IMAGES[platform.target.env])
    with image.elf.open("rb") as stream:
        file = ELFFile(stream)
        segments = [s for s in file.iter_segments("PT_LOAD") if s["p_filesz"] > 0]
        vectors = file.get_section_by_name(".symtab").get_symbol_by_name("vectors")[0]["st_value"]
        lowest = min(segments, key=lambda segment: segment["p_paddr"])
        stack, entry = struct.unpack("<II", lowest.data()[:8])
    for segment in segments:
        assert covered(range(segment["p_paddr"], segment["p_paddr"] + segment["p_filesz"]), platform.memories())
    assert lowest["p_paddr"] == vectors
    assert covered(range(stack - 4, stack), platform.memories())
    assert covered(range(entry & ~1, (entry & ~1) + 2), platform.memories())


def test_names_that_the_faults_look_for_are_in_the_image(platform, request) -> None:
    """Tests that run on a real Renode only, and `eishil doctor`, find code and data by their names."""
    users = [*(ROOT / "tests" / "hil" / "renode").glob("*.py"), ROOT / "bench/eishil_bench/dut/renode_check.py"]
    calls = "".join(path.read_text("utf-8") for path in users)
    names = set(re.findall(r"(?:symbol|_memory)\(dut(?:\.image)?, \"(\w+)\"\)", calls))
    assert names >= {"port_wait", "dispatch", "layer1_weight", "vectors", "stack_limit"}
    image = request.getfixturevalue(IMAGES[platform.target.env])
    for name in names:
        symbol(image.elf, name)


def test_first_words_are_found_at_0_where_the_chip_has_an_alias(platform) -> None:
    f4 = platform.target.env == "nucleo_f446re"
    assert platform.entries["flash" if f4 else "itcm"].regions()[-1].start == 0


def test_interrupts_and_clocks(platform) -> None:
    entries = platform.entries
    line = entries[platform.target.line]
    assert line.connections == [("nvic", platform.number("UART_IRQ"))]
    assert platform.registers["UART_BRR"] in line.regions()[0]
    assert entries["nvic"].connections == [("cpu", 0)]
    # One count of the DWT, and one SysTick, is one instruction.
    for name, key in (("dwt", "frequency"), ("nvic", "systickFrequency")):
        assert int(entries[name].properties[key]) == platform.target.mips * 1_000_000
    assert entries["cpu"].properties["cpuType"] == CORES[platform.target.env]


def test_nothing_is_fetched() -> None:
    for path in PLATFORMS.iterdir():
        assert not re.search(r"https?://|ApplySVD", path.read_text("utf-8")), path.name


def test_script_for_hand_use_is_what_the_bench_does(platform, tmp_path) -> None:
    """The .resc has the bench's commands, in its order, with variables for the files."""
    name, uart = platform.target.platform, MonitorUart(tmp_path, platform.target.line)
    wanted = setup_commands(platform.target, PLATFORMS / f"{name}.repl", tmp_path / "firmware.elf", uart)
    wanted = [command for command in wanted if "CreateFileBackend" not in command]
    lines = (PLATFORMS / f"{name}.resc").read_text("utf-8").splitlines()
    assert lines[-1] == f"showAnalyzer {platform.target.line}"
    commands = [line for line in lines if line and not line.startswith((":", "showAnalyzer", "$"))]
    assert [re.sub(r"[@$]\S+", "FILE", c) for c in commands] == [re.sub(r"@\S+", "FILE", c) for c in wanted]


def test_robot_example_sends_a_hello_of_todays_protocol() -> None:
    text = (PLATFORMS / "first_light.robot").read_text("utf-8")
    sent = bytes(int(byte, 16) for byte in re.search(r"@\{HELLO\}\s+(.+)", text)[1].split())
    # type 1, reserved, sequence 1, protocol version 1
    assert sent == encode(bytes([1, 0, 1, 0, 1, 0, 0, 0]))
    line = TARGETS["renode"].line
    assert f"{line} WriteChar" in text and f"{line} CreateFileBackend" in text


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
