"""Where a run is recorded, and what of it is on record already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from eishil import wire
from eishil.errors import EishilError
from eishil.model import Model
from eishil_bench import terminal
from eishil_bench.record.journal import Journal, Section, Unrecorded, read

ID_BYTES = 8


class Image(Protocol):
    """What the bench needs to know of a firmware image; a stack of None is one that nobody knows."""

    @property
    def build_id(self) -> bytes: ...

    @property
    def flash_bytes(self) -> int: ...

    @property
    def ram_bytes(self) -> int: ...

    @property
    def stack_bytes(self) -> int | None: ...


@dataclass(frozen=True)
class Logbook:
    """A journal that is open, and its finished trajectories by cell."""

    journal: Journal = field(default_factory=Unrecorded)
    finished: Mapping[str, Section] = field(default_factory=dict)


def journal_header(model: Model, image: Image, masked_spectra: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a journal says first; `about` are the fields of the results that `judge` is given."""
    return {
        "about": dict(about),
        "image": {
            "build_id": image.build_id.hex(),
            "flash_bytes": image.flash_bytes,
            "ram_bytes": image.ram_bytes,
            "stack_bytes": image.stack_bytes,
        },
        "masked_spectra": masked_spectra,
        "model_id": model.model_id.hex(),
        "wire_digest": wire.digest()[:ID_BYTES].hex(),
    }


def open_logbook(path: Path, header: dict[str, Any], files: Mapping[str, bytes], *, resume: bool) -> Logbook:
    """A new journal, or the one that is there with its finished trajectories.

    Raises
    ------
    EishilError
        The journal to go on with is damaged at its beginning, or of another model, build or protocol.
    """
    if not (resume and path.is_file()):
        return Logbook(Journal.create(path, header, files))
    recording = read(path)
    for key, what in (("wire_digest", "protocol"), ("model_id", "model"), ("image", "firmware image")):
        if recording.header.get(key) != header[key]:
            raise EishilError(f"{path}: is the journal of another {what}; run again without --resume")
    finished = recording.finished
    torn = f"; {recording.torn_bytes} bytes of a torn record were cut off" if recording.torn_bytes else ""
    terminal.messages().print(f"  {'run':<9} goes on: {len(finished)} trajectories are in the journal{torn}")
    return Logbook(Journal.extend(path, recording), finished)
