"""What the firmware of the committed model may take: bench/baseline.toml, and who grew beyond it.

`python -m eishil_bench.firmware.baseline --reason TEXT` measures all environments again and writes the file.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from eishil.errors import RecipeError
from eishil.files import write_atomic
from eishil.validation import first_mistake

BASELINE = Path(__file__).resolve().parents[2] / "baseline.toml"
HEADER = """\
# Flash, RAM and worst-case stack of the committed model's firmware, and instructions of one step where an emulator
# counts them. A test fails where a figure is more than `allowed_growth_percent` above. Made by
# `python -m eishil_bench.firmware.baseline --reason TEXT`; the reason of the last change stands here.
"""


class Bounds(BaseModel):
    """One environment; docs/cycles.md says what the two counts of a step are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flash_bytes: PositiveInt
    ram_bytes: PositiveInt
    stack_bytes: PositiveInt
    step_instructions: PositiveInt | None = None
    worst_step_instructions: PositiveInt | None = None


class Baseline(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(min_length=10)
    allowed_growth_percent: PositiveFloat
    environments: dict[str, Bounds]


@dataclass(frozen=True)
class Growth:
    """A figure that is too large now."""

    env: str
    figure: str
    before: int
    now: int

    def __str__(self) -> str:
        percent = 100 * (self.now / self.before - 1)
        return f"{self.env}: {self.figure} {self.now} is {percent:.1f}% above {self.before} of bench/baseline.toml"


def load_baseline(path: Path = BASELINE) -> Baseline:
    """Read and check the file; RecipeError names file and key."""
    try:
        return Baseline.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_mistake(error)}") from None


def growths(baseline: Baseline, measured: Mapping[str, Bounds]) -> list[Growth]:
    """Figures beyond the baseline and what it allows; RecipeError for an environment that it does not have."""
    factor = 1 + baseline.allowed_growth_percent / 100
    found = []
    for env, now in measured.items():
        if env not in baseline.environments:
            raise RecipeError(
                f"{BASELINE}: has no environment {env}; `python -m eishil_bench.firmware.baseline --reason TEXT`"
            )
        before = baseline.environments[env].model_dump()
        for figure, value in now.model_dump().items():
            bound = before[figure]
            if bound is not None and value is not None and value > factor * bound:
                found.append(Growth(env, figure, bound, value))
    return found


def write_baseline(baseline: Baseline, path: Path = BASELINE) -> None:
    """Write the file whole or not at all."""
    lines = [HEADER, f'reason = "{baseline.reason}"', f"allowed_growth_percent = {baseline.allowed_growth_percent:g}"]
    for env, bounds in baseline.environments.items():
        lines += ["", f"[environments.{env}]"]
        lines += [f"{name} = {value}" for name, value in bounds.model_dump(exclude_none=True).items()]
    write_atomic(path, "\n".join(lines) + "\n")


def measure_all() -> dict[str, Bounds]:
    """Every environment for a board or an emulated core, built from the committed model."""
    from eishil.model import Model
    from eishil_bench.firmware.environments import boards
    from eishil_bench.firmware.firmware_bench import FIRST_LIGHT, bounds_of, build_variant

    model = Model.load(FIRST_LIGHT / "model.json")
    with TemporaryDirectory(prefix="eishil-baseline-") as folder:
        return {env: bounds_of(build_variant(model, env, Path(folder) / env), model) for env in boards()}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="Write bench/baseline.toml again.")
    parser.add_argument("--reason", required=True, help="why the figures changed, for the file")
    reason = parser.parse_args().reason.replace('"', "'")
    kept = load_baseline() if BASELINE.is_file() else None
    percent = kept.allowed_growth_percent if kept else 3.0
    write_baseline(Baseline(reason=reason, allowed_growth_percent=percent, environments=measure_all()))


if __name__ == "__main__":
    from eishil_bench.firmware import baseline  # the classes of the imported module, not of a second one named __main__

    baseline.main()
