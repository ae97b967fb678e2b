"""From generated C to an image: runs PlatformIO and reads what it made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from eishil.errors import ToolError
from eishil.files import write_atomic
from eishil_bench.firmware import toolchain
from eishil_bench.firmware.stack import worst_case_bytes

BUILD_ID_SYMBOL = "eishil_build_id"
BUILD_ID_bytes = 8
_TIMEOUT_s = 600.0
INTERRUPTS = ("uart_handler", "systick_handler")
_STACK_SECTION = ".stack"


@dataclass(frozen=True)
class FirmwareImage:
    """A built firmware.

    `flash_bytes`: code, constants and initial values. `ram_bytes`: variables, without the stack. `stack_bytes`: worst
    case from GCC's call graph, one interrupt on top; None where it is not known. For a program of this machine the
    first two are those of the program file.
    """

    env: str
    elf: Path
    build_id: bytes
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None


def build_firmware(env: str, generated_dir: Path, out_dir: Path) -> FirmwareImage:
    """Build an environment of platformio.ini; PlatformIO knows what is up to date.

    Parameters
    ----------
    generated_dir
        Where wire.h, model_size.h and model.c lie.
    out_dir
        Gets `firmware.elf`, `firmware.json`, `build.log` and PlatformIO's own files under `pio/`.

    Raises
    ------
    ToolError
        A tool is missing or the build failed; the sentence has the compiler's first error.
    """
    out_dir = out_dir.resolve()
    objects = out_dir / "pio" / "build" / env
    _run_platformio(env, generated_dir.resolve(), out_dir)
    elf = out_dir / "firmware.elf"
    write_atomic(elf, (objects / "firmware.elf").read_bytes())
    if env.startswith("native"):
        elf.chmod(0o755)
        stack_bytes = None
    else:
        stack_bytes = worst_case_bytes(objects, "reset_handler", INTERRUPTS)
    image = read_image(env, elf, stack_bytes)
    _require_stack_room(image)
    write_atomic(out_dir / "firmware.json", _to_json(image))
    return image


def read_image(env: str, elf: Path, stack_bytes: int | None = None) -> FirmwareImage:
    """What an ELF file says of itself; ToolError where it is no firmware of this project."""
    try:
        with elf.open("rb") as stream:
            file = ELFFile(stream)
            flash_bytes, ram_bytes = _sizes(file)
            return FirmwareImage(env, elf, _build_id(file, elf), flash_bytes, ram_bytes, stack_bytes)
    except (OSError, ELFError) as error:
        raise ToolError(f"{elf}: no firmware image: {error}") from None


def linked_bytes(objects: Sequence[Path], names: Sequence[str]) -> tuple[int, int]:
    """Bytes in flash and, of them, initial values of variables that the named functions and data need of some objects.

    The linker says: what it would leave out of a program is not counted. C library functions are not counted either.
    """
    with TemporaryDirectory(prefix="eishil-link-") as folder:
        linked = Path(folder) / "linked.o"
        wanted = [option for name in names for option in ("-u", name)]
        command = ["arm-none-eabi-ld", "-r", "--gc-sections", *wanted, *map(str, objects), "-o", str(linked)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_s, check=False)
        if done.returncode != 0:
            raise ToolError(f"arm-none-eabi-ld: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        with linked.open("rb") as stream:
            return _sizes(ELFFile(stream))


def _run_platformio(env: str, generated_dir: Path, out_dir: Path) -> None:
    if find_spec("platformio") is None:
        raise ToolError("PlatformIO is not installed: pip install 'eishil[firmware]'")
    environment = toolchain.platformio_environment() | {
        "EISHIL_GENERATED_DIR": str(generated_dir),
        "PLATFORMIO_WORKSPACE_DIR": str(out_dir / "pio"),
    }
    # Before PlatformIO runs: what cannot be written is told in a sentence, not in its traceback.
    write_atomic(out_dir / "build.log", "")
    command = [sys.executable, "-m", "platformio", "run", "-e", env, "-d", str(toolchain.PROJECT_ROOT)]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"PlatformIO took more than {_TIMEOUT_s:g} s to build {env}") from None
    log = done.stdout.decode("utf-8", "replace")
    write_atomic(out_dir / "build.log", log)
    if done.returncode != 0:
        raise ToolError(f"building {env} failed: {_first_error(log)} ({out_dir / 'build.log'})")


def _first_error(log: str) -> str:
    """The line that says why: a compiler's error, else PlatformIO's own, else the last one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    return (errors[:1] or lines[-1:] or ["PlatformIO said nothing"])[0]


def _sizes(file: ELFFile) -> tuple[int, int]:
    """Bytes in flash and in RAM; initial values of variables count in both."""
    flash_bytes = ram_bytes = 0
    for section in file.iter_sections():
        if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC or section.name == _STACK_SECTION:
            continue
        if section["sh_flags"] & SH_FLAGS.SHF_WRITE:
            ram_bytes += section["sh_size"]
        if section["sh_type"] != "SHT_NOBITS":
            flash_bytes += section["sh_size"]
    return flash_bytes, ram_bytes


def _require_stack_room(image: FirmwareImage) -> None:
    """A large model may need more than the linker script sets aside: better told here than by a fault."""
    with image.elf.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(_STACK_SECTION)
        room_bytes = int(section["sh_size"]) if section is not None else None
    if room_bytes is not None and (image.stack_bytes or 0) > room_bytes:
        raise ToolError(
            f"{image.elf}: the stack may need {image.stack_bytes} bytes and has {room_bytes}; "
            "raise STACK_BYTES in the port's linker script"
        )


def _build_id(file: ELFFile, elf: Path) -> bytes:
    table = file.get_section_by_name(".symtab")
    symbols = table.get_symbol_by_name(BUILD_ID_SYMBOL) if isinstance(table, SymbolTableSection) else None
    if not symbols:
        raise ToolError(f"{elf}: has no symbol {BUILD_ID_SYMBOL}; it is no firmware of this project")
    section = file.get_section(symbols[0]["st_shndx"])
    offset = symbols[0]["st_value"] - section["sh_addr"]
    return bytes(section.data()[offset : offset + BUILD_ID_bytes])


def _to_json(image: FirmwareImage) -> str:
    record = {
        "env": image.env,
        "build_id": image.build_id.hex(),
        "flash_bytes": image.flash_bytes,
        "ram_bytes": image.ram_bytes,
        "stack_bytes": image.stack_bytes,
    }
    return json.dumps(record, indent=1) + "\n"
