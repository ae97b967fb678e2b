"""C compiled on this machine, when it has a compiler, and kept by the hash of what went in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

# Vectors as wide as the processor's halve the time of a spectrum. Without contraction to fused multiply-add, which GCC
# leaves off in ISO mode and Clang does not, every processor gets the same bits.
FLAGS = ("-std=c11", "-shared", "-fPIC", "-march=native", "-ffp-contract=off")
DEADLINE_S = 300.0


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/eishil`, by default `~/.cache/eishil`; safe to delete."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "eishil"


@cache
def compiler() -> str | None:
    """Path of the C compiler: `$CC`, else `cc`; None where there is none or `$EISHIL_NO_COMPILER` is set."""
    return None if os.environ.get("EISHIL_NO_COMPILER") else shutil.which(os.environ.get("CC", "cc"))


def shared_library(source: str, *flags: str) -> Path | None:
    """Compile C source to a shared library, or find it compiled.

    Returns
    -------
    Path of the library; None when there is no compiler or it fails: every caller has a slower way.
    """
    command = compiler()
    if command is None:
        return None
    try:
        identity = _identity(command)
        key = hashlib.sha256("\0".join((identity, *FLAGS, *flags, source)).encode()).hexdigest()[:32]
        library = cache_directory() / f"{key}.so"
        return library if library.exists() else _compile(command, source, flags, library)
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _identity(command: str) -> str:
    # The predefined macros tell the compiler's version and what -march=native means on this processor, so that a home
    # directory which several machines share never offers one machine's code to another.
    arguments = [command, *FLAGS, "-dM", "-E", "-x", "c", os.devnull]
    return subprocess.run(arguments, capture_output=True, check=True, text=True, timeout=DEADLINE_S).stdout


def _compile(command: str, source: str, flags: tuple[str, ...], library: Path) -> Path:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        unit, result = Path(folder) / "unit.c", Path(folder) / library.name
        unit.write_text(source, encoding="utf-8")
        arguments = [command, *FLAGS, *flags, str(unit), "-o", str(result), "-lm"]
        subprocess.run(arguments, capture_output=True, check=True, timeout=DEADLINE_S)
        result.replace(library)
    return library
