"""Images: no warnings, the same bytes wherever the checkout lies, sizes and identity read from the ELF."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from eishil.errors import EishilError, ToolError
from eishil_bench.firmware import toolchain
from eishil_bench.firmware.build import FirmwareImage, build_firmware, read_image
from eishil_bench.firmware.stack import CallGraph, worst_case_bytes
from support.images import IMAGES

STACK_ROOM_bytes = 16384

GRAPH = r"""
graph: { title: "a.c"
node: { title: "main" label: "main\na.c:1:1\n100 bytes (static)" }
node: { title: "a.c:left" label: "left\na.c:2:1\n40 bytes (static)" }
node: { title: "a.c:right" label: "right\na.c:3:1\n8 bytes (static)" }
node: { title: "handler" label: "handler\na.c:4:1\n24 bytes (static)" }
node: { title: "memcpy" label: "__builtin_memcpy\n<built-in>" shape : ellipse }
node: { title: "__indirect_call" label: "Indirect Call Placeholder" shape : ellipse }
edge: { sourcename: "main" targetname: "__indirect_call" label: "a.c:1:9" }
edge: { sourcename: "a.c:right" targetname: "memcpy" label: "a.c:3:9" }
}
"""


@pytest.fixture
def copied_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The firmware somewhere else, under a path of another length."""
    copy = tmp_path / "some where" / "else"
    copy.mkdir(parents=True)
    shutil.copy(toolchain.PROJECT_ROOT / "platformio.ini", copy)
    shutil.copytree(toolchain.PROJECT_ROOT / "firmware", copy / "firmware")
    monkeypatch.setattr(toolchain, "PROJECT_ROOT", copy)
    return copy


@pytest.mark.parametrize("env", IMAGES)
def test_builds_without_a_warning(env: str, request: pytest.FixtureRequest) -> None:
    image: FirmwareImage = request.getfixturevalue(IMAGES[env])
    assert image.env == env
    log = (image.elf.parent / "build.log").read_text()
    assert "[SUCCESS]" in log
    assert "warning" not in log.lower()
    record = json.loads((image.elf.parent / "firmware.json").read_text())
    assert record["build_id"] == image.build_id.hex()


def test_nucleo_image_fits_its_memory(qemu_image: FirmwareImage) -> None:
    """Sizes agree with binutils' count, which has the stack's room in bss."""
    done = subprocess.run(["arm-none-eabi-size", qemu_image.elf], capture_output=True, text=True, check=True)
    text, data, bss = (int(word) for word in done.stdout.splitlines()[1].split()[:3])
    assert qemu_image.flash_bytes == text + data < 512 * 1024
    assert qemu_image.ram_bytes == data + bss - STACK_ROOM_bytes < 128 * 1024 - STACK_ROOM_bytes


def test_every_image_has_its_own_build_id(
    qemu_image: FirmwareImage, native_image: FirmwareImage, sanitized_image: FirmwareImage
) -> None:
    assert len({image.build_id for image in (qemu_image, native_image, sanitized_image)}) == 3


def test_same_sources_give_the_same_bytes_elsewhere(
    copied_checkout: Path, tmp_path: Path, generated_dir: Path, qemu_image: FirmwareImage
) -> None:
    moved = tmp_path / "generated"
    shutil.copytree(generated_dir, moved)
    image = build_firmware("nucleo_f446re", moved, tmp_path / "out")
    assert image.elf.read_bytes() == qemu_image.elf.read_bytes()


def test_a_comment_makes_another_build(
    copied_checkout: Path, tmp_path: Path, generated_dir: Path, native_image: FirmwareImage
) -> None:
    source = copied_checkout / "firmware" / "app" / "main.c"
    source.write_text(source.read_text() + "/* changed */\n")
    image = build_firmware("native", generated_dir, tmp_path / "out")
    assert image.build_id != native_image.build_id


def test_compile_error_is_told_with_its_place(copied_checkout: Path, tmp_path: Path, generated_dir: Path) -> None:
    source = copied_checkout / "firmware" / "app" / "main.c"
    source.write_text(source.read_text() + "int broken(void) { return 1.5; }\n")
    with pytest.raises(ToolError, match=r"building native failed: .*main\.c:\d+:\d+: error: .*\(.*build\.log\)"):
        build_firmware("native", generated_dir, tmp_path / "out")
    assert not (tmp_path / "out" / "firmware.elf").exists()


def test_too_small_a_stack_is_told(copied_checkout: Path, tmp_path: Path, generated_dir: Path) -> None:
    script = copied_checkout / "firmware" / "port" / "stm32" / "f4" / "nucleo_f446re.ld"
    script.write_text(script.read_text().replace("STACK_BYTES = 16K", "STACK_BYTES = 512"))
    with pytest.raises(ToolError, match=r"the stack may need \d+ bytes and has 512; raise STACK_BYTES"):
        build_firmware("nucleo_f446re", generated_dir, tmp_path / "out")


def test_missing_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"has no model\.c; `eishil generate RECIPE` makes one"):
        build_firmware("native", tmp_path, tmp_path / "out")


def test_folder_that_cannot_be_made_is_told(tmp_path: Path, generated_dir: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EishilError, match=r"build\.log: cannot be written: Not a directory"):
        build_firmware("native", generated_dir, tmp_path / "file" / "out")


def test_what_is_no_firmware_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "firmware.elf"
    text.write_text("not an ELF file")
    with pytest.raises(ToolError, match="no firmware image"):
        read_image("native", text)
    with pytest.raises(ToolError, match="no firmware image"):
        read_image("native", tmp_path / "missing.elf")
    with pytest.raises(ToolError, match="no firmware of this project"):
        read_image("native", Path("/bin/ls").resolve())


def test_build_id_is_what_stands_in_flash(qemu_image: FirmwareImage, tmp_path: Path) -> None:
    """Independent of the symbol table: the bytes of the symbol, found by nm, in the raw image."""
    names = subprocess.run(["arm-none-eabi-nm", qemu_image.elf], capture_output=True, text=True, check=True).stdout
    address = next(int(line.split()[0], 16) for line in names.splitlines() if line.endswith(" eishil_build_id"))
    raw = tmp_path / "image.bin"
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", qemu_image.elf, raw], check=True)
    data = raw.read_bytes()
    assert data[address - 0x08000000 :][:8] == qemu_image.build_id
    initial_stack, reset = struct.unpack("<II", data[:8])
    assert (initial_stack, reset & 1) == (0x20000000 + STACK_ROOM_bytes, 1)


def test_stack_bound_follows_the_deepest_call(tmp_path: Path) -> None:
    """100 + max(40, 8 + 64 for the library) by the indirect call, 108 + 24 for the interrupt."""
    (tmp_path / "a.ci").write_text(GRAPH)
    assert worst_case_bytes(tmp_path, "main", ["handler"]) == 100 + 72 + 108 + 24


def test_an_indirect_call_may_lead_to_another_file(tmp_path: Path) -> None:
    far = 'graph: { title: "b.c"\nnode: { title: "far" label: "far\\nb.c:1:1\\n90 bytes (static)" }\n}\n'
    (tmp_path / "a.ci").write_text(GRAPH)
    (tmp_path / "b.ci").write_text(far)
    assert worst_case_bytes(tmp_path, "main", ["handler"]) == 100 + 90 + 108 + 24


def test_stack_bound_is_open_with_recursion(tmp_path: Path) -> None:
    loop = 'edge: { sourcename: "a.c:left" targetname: "main" label: "a.c:2:9" }\n}\n'
    (tmp_path / "a.ci").write_text(GRAPH.rstrip().removesuffix("}") + loop)
    assert worst_case_bytes(tmp_path, "main", ["handler"]) is None
    assert CallGraph.load(tmp_path).depth_bytes("handler") == 24
    assert worst_case_bytes(tmp_path / "nothing", "main", []) is None
