"""When a stage has to be made again.

A stage is up to date when the hashes of everything it depends on (the recipe's sections that it reads, its input files,
the code, the versions of the libraries that decide its figures) and of its outputs are those in its stamp,
`.stamps/<stage>.json`. Times of files play no part, so a checkout, a copy or a touched file remakes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eishil.errors import EishilError
from eishil.files import sha256_file, write_atomic
from eishil.progress import Progress


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe, in the folder `root`.

    `inputs` maps each file that it reads to the command that makes it; `outputs` are the files that it writes;
    `depends` are hashes or versions, by name, of all else that matters; `make` does the work and returns figures for
    the terminal.
    """

    name: str
    root: Path
    inputs: Mapping[Path, str]
    outputs: tuple[Path, ...]
    depends: Mapping[str, str]
    make: Callable[[Progress], Mapping[str, Any]]

    @property
    def stamp_path(self) -> Path:
        return self.root / ".stamps" / f"{self.name}.json"


@dataclass(frozen=True)
class Made:
    """What became of a stage: `reason` says why it was made, and is empty where its files were up to date."""

    stage: str
    reason: str
    figures: Mapping[str, Any]


def bring_up_to_date(stage: Stage, progress: Progress, *, force: bool = False) -> Made:
    """Make a stage and stamp it, unless its files are up to date.

    Raises
    ------
    EishilError
        An input is missing; the sentence names the command that makes it.
    """
    reason = "asked for" if force else reason_to_make(stage)
    if not reason:
        return Made(stage.name, "", {})
    inputs = _inputs(stage)
    stage.stamp_path.unlink(missing_ok=True)
    figures = stage.make(progress)
    stamp = {"inputs": inputs, "outputs": _hashes(stage, stage.outputs)}
    stage.stamp_path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(stage.stamp_path, json.dumps(stamp, indent=1, sort_keys=True) + "\n")
    return Made(stage.name, reason, figures)


def reason_to_make(stage: Stage) -> str:
    """Why the stage is not up to date, in a few words; empty where it is. EishilError where an input is missing."""
    now = _inputs(stage)
    for path in stage.outputs:
        if not path.is_file():
            return f"there is no {_name(stage, path)} yet"
    stamp = _read_stamp(stage.stamp_path)
    if not stamp:
        return "what its files were made from is not on record"
    before = stamp["inputs"]
    for name in sorted(now.keys() | before.keys()):
        if now.get(name) != before.get(name):
            return f"{name} changed"
    for name, digest in _hashes(stage, stage.outputs).items():
        if stamp["outputs"].get(name) != digest:
            return f"{name} was changed afterwards"
    return ""


def require(path: Path, command: str) -> None:
    """EishilError that names the command which makes a file, where the file is missing."""
    if not path.is_file():
        raise EishilError(f"{path} is missing; `{command}` makes it")


def _inputs(stage: Stage) -> dict[str, str]:
    for path, command in stage.inputs.items():
        require(path, command)
    return dict(stage.depends) | _hashes(stage, tuple(stage.inputs))


def _hashes(stage: Stage, paths: tuple[Path, ...]) -> dict[str, str]:
    return {_name(stage, path): sha256_file(path) for path in paths}


def _name(stage: Stage, path: Path) -> str:
    return path.relative_to(stage.root).as_posix()


def _read_stamp(path: Path) -> dict[str, dict[str, str]]:
    """A stamp, or nothing where it is missing or damaged: then the stage is made again, which is always right."""
    try:
        stamp = json.loads(path.read_bytes())
        return {"inputs": dict(stamp["inputs"]), "outputs": dict(stamp["outputs"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
