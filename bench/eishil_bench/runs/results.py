"""`results.json`: every figure of a run, with what it was measured on. All SOH figures are fractions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from eishil.errors import EishilError
from eishil.evaluation_figures import HostFigures
from eishil.files import write_atomic
from eishil.validation import first_mistake
from eishil_bench.runs.scored import Scored

Clock = Literal["instructions", "estimated_cycles", "silicon_cycles", "none"]


class _Part(BaseModel):
    # JSON has no infinity and no NaN: a figure that is one is written as a string, and read back as what it was.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class CountPerStep(_Part):
    """Cost of one estimator step, in units of `clock`; `left_out` are steps that an interrupt fell into."""

    median: float
    p99: float
    max: int
    left_out: int


class LinkCounts(_Part):
    """What the host saw of the link (`eishil_bench.link.interface.LinkStatistics`)."""

    frames: int
    retries: int
    crc_errors: int
    stray: int
    lost: int


class DeviceCounts(_Part):
    """What the device itself counted (`status` after the run)."""

    frames_received: int
    crc_errors: int
    framing_errors: int
    overruns: int
    steps_rejected: int
    outliers: int


class Size(_Part):
    """Of the firmware image. The stack is its static worst case and the high-water mark of the run, None if unknown."""

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None
    stack_used_bytes: int | None


class StateDifference(_Part):
    """Device against reference for one state, in standard deviations of the reference; `sigma` relative."""

    name: str
    max_abs_in_sigma: float
    max_abs_sigma_relative: float


class ModeFigures(_Part):
    """One mode, in its unit: the device's error against its stated standard deviation, which needs a covariance."""

    name: str
    rms_error: float
    mean_sigma: float
    coverage_1_sigma: float
    coverage_2_sigma: float
    nees: float  # mean squared error over stated variance


class SohBand(_Part):
    """Errors within one band of the label."""

    soh_from: float
    soh_to: float
    spectra: int
    rmse_reference: float
    rmse_device: float
    rmse_prior: float
    coverage_2_sigma: float  # of the device


class EndOfLife(_Part):
    """Spectra from four fifths of each cell's cycles on."""

    spectra: int
    rmse_reference: float
    rmse_device: float
    coverage_2_sigma: float  # of the device


class Interval(_Part):
    """Where 95 % lie: of a figure over held-out cells drawn again (`eishil_bench.runs.bootstrap`), or of chance."""

    low: float
    high: float


class RemainingLifeFigures(_Part):
    """Forecast of the cycles until SOH 0.8, over spectra before that of lives that get there."""

    spectra: int  # that came with a covariance, without which there is no forecast
    censored: int  # spectra of lives that do not get there: left out
    bias_cycles: float
    coverage_90: float  # of the interval
    unforeseen: float  # share of forecasts that see no end; their error is counted from the last cycle of the run


class CommissioningFigures(_Part):
    """What spectra of the fresh cells taught device and reference: offsets of ln Z and what they leave open."""

    fresh_spectra: int  # of each cell; the fewest where some were masked
    rms_offset: float  # of the reference, over cells and observations
    max_abs_offset_difference: float  # device - reference
    max_abs_sigma_difference_relative: float  # of the standard deviation that is left
    soh_rmse_uncommissioned: float  # of the reference without the fresh spectra


class CellError(_Part):
    """One held-out cell."""

    cell_id: str
    spectra: int
    rmse_device: float
    max_abs_error_device: float


class Check(_Part):
    """One limit and the figure that it was held against."""

    figure: str
    value: float | None
    at_least: float | None
    at_most: float | None
    reason: str
    passed: bool


class Comparison(_Part):
    """Figures that follow from the run's table alone."""

    cells: int
    spectra: int
    soh_rmse_reference: float
    soh_rmse_device: float
    soh_rmse_prior: float
    soh_rmse_reference_over_prior: float
    soh_rmse_float_network: float  # the reference has it
    max_abs_soh_difference: float
    rms_soh_difference: float
    max_abs_state_difference_in_sigma: float
    max_abs_sigma_difference_relative: float
    status_mismatches: int
    coverage_1_sigma: float
    coverage_2_sigma: float
    coverage_1_sigma_reference: float
    coverage_2_sigma_reference: float
    soh_rmse_end_of_life: float  # of the device, as `end_of_life` has it
    soh_rmse_stays_fresh: float  # of saying SOH 1 always
    nis_mean: float  # normalised innovation squared per observation, of the device
    nis_mean_reference: float
    nis_bounds: Interval  # 95 %, chi-square with one degree of freedom per observation
    nees_mean: float  # squared error of SOH over its stated variance, of the device
    nees_bounds: Interval  # 95 %, chi-square with one degree of freedom per cell: errors of one life hang together
    rul_mae_cycles: float | None  # of the device's forecast, where a life ends within its trajectory
    rul: RemainingLifeFigures | None
    commissioning: CommissioningFigures | None = None
    count_per_step: CountPerStep | None
    states: list[StateDifference]
    modes: list[ModeFigures]
    soh_rmse_device_interval: Interval
    coverage_2_sigma_interval: Interval
    end_of_life: EndOfLife
    soh_bands: list[SohBand]
    worst_cells: list[CellError]


class Results(Comparison, HostFigures):
    """The whole file."""

    schema_version: Literal[5] = 5
    recipe: str
    description: str
    target: str
    target_kind: str
    window: int = 1  # requests on their way at a time
    covariance_every: int = 1  # of so many spectra one was answered with its covariance
    board: str
    clock: Clock
    core_clock_Hz: int
    wire_digest: str
    build_id: str
    model_id: str
    frequency_Hz: list[float]
    masked_spectra: int
    test_seed: int | None = None  # where the recipe reserves one
    test_cells_scored_before: list[Scored] = []  # other models, on the cells of that seed
    link: LinkCounts
    device: DeviceCounts
    size: Size
    remarks: list[str] = []  # what had to be repeated
    run_table: str  # in the folder of results.json or below it
    run_table_sha256: str = ""
    provenance: dict[str, str]
    checks: list[Check]
    failures: list[str]
    passed: bool

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        write_atomic(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """EishilError where the file is malformed or of another version."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise EishilError(f"{path}: {first_mistake(error)}; `eishil run RECIPE` writes a new one") from None
