"""Figures of a run from its table: device against reference, both against the label, and both against drift alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.dataset.labels import remaining_cycles
from eishil.filters.scores import chi_square_bounds, rms, within
from eishil_bench.runs.bootstrap import cell_means, interval
from eishil_bench.runs.results import (
    CellError,
    CommissioningFigures,
    Comparison,
    CountPerStep,
    EndOfLife,
    Interval,
    ModeFigures,
    RemainingLifeFigures,
    SohBand,
    StateDifference,
)
from eishil_bench.runs.run_table import matrix, with_covariance

Array = NDArray[np.float64]

BAND_WIDTH = 0.05
END_OF_LIFE = 0.8  # of a cell's cycles
WORST_CELLS = 5


def compare(table: pd.DataFrame, state_names: Sequence[str], mode_names: Sequence[str], *, counted: bool) -> Comparison:
    """All figures of a table; `counted` tells whether the target has a counter that means something."""
    reference, device, prior = (errors(table, who) for who in ("reference", "device", "prior"))
    difference = device - reference
    states = state_differences(table, state_names)
    last = end_of_life(table)
    mae_cycles, rul = remaining_life(table)
    return Comparison(
        cells=table["cell_id"].nunique(),
        spectra=len(table),
        soh_rmse_reference=rms(reference),
        soh_rmse_device=rms(device),
        soh_rmse_prior=rms(prior),
        soh_rmse_reference_over_prior=rms(reference) / rms(prior),
        soh_rmse_float_network=rms(reference),
        max_abs_soh_difference=float(np.abs(difference).max()),
        rms_soh_difference=rms(difference),
        max_abs_state_difference_in_sigma=max(state.max_abs_in_sigma for state in states),
        max_abs_sigma_difference_relative=max(state.max_abs_sigma_relative for state in states),
        status_mismatches=int((table["reference_status"] != table["device_status"]).sum()),
        coverage_1_sigma=coverage(table, "device", 1),
        coverage_2_sigma=coverage(table, "device", 2),
        coverage_1_sigma_reference=coverage(table, "reference", 1),
        coverage_2_sigma_reference=coverage(table, "reference", 2),
        soh_rmse_end_of_life=last.rmse_device,
        soh_rmse_stays_fresh=rms(1.0 - table["soh"].to_numpy()),
        nis_mean=nis_per_observation(table, "device"),
        nis_mean_reference=nis_per_observation(table, "reference"),
        nis_bounds=_bounds(int(table["device_n_used"].sum())),
        nees_mean=float(np.mean((device / table["device_soh_sigma"].to_numpy()) ** 2)),
        nees_bounds=_bounds(table["cell_id"].nunique()),
        rul_mae_cycles=mae_cycles,
        rul=rul,
        commissioning=commissioning(table),
        count_per_step=count_per_step(table) if counted else None,
        states=states,
        modes=modes(table, mode_names),
        soh_rmse_device_interval=interval(np.sqrt(cell_means(table, np.square(device)))),
        coverage_2_sigma_interval=interval(cell_means(table, covered(table, "device", 2).astype(np.float64))),
        end_of_life=last,
        soh_bands=soh_bands(table),
        worst_cells=worst_cells(table),
    )


def errors(table: pd.DataFrame, who: str) -> Array:
    """SOH estimate minus label, (rows,)."""
    return np.asarray(table[f"{who}_soh"] - table["soh"], np.float64)


def coverage(table: pd.DataFrame, who: str, sigmas: float) -> float:
    """Fraction of labels within so many standard deviations of the estimate."""
    return float(np.mean(covered(table, who, sigmas)))


def covered(table: pd.DataFrame, who: str, sigmas: float) -> NDArray[np.bool_]:
    """Which labels lie within so many standard deviations of the estimate, (rows,)."""
    return within(errors(table, who), table[f"{who}_soh_sigma"].to_numpy(), sigmas)


def nis_per_observation(table: pd.DataFrame, who: str) -> float:
    """Sum of the normalised innovations squared over their degrees of freedom; 1 for a consistent filter."""
    used = int(table[f"{who}_n_used"].sum())
    return float(table[f"{who}_nis"].sum()) / used if used else float("nan")


def state_differences(table: pd.DataFrame, state_names: Sequence[str]) -> list[StateDifference]:
    """Device minus reference for every state, against the reference's standard deviation."""
    n = len(state_names)
    x_reference, x_device = matrix(table, "reference_x"), matrix(table, "device_x")
    sigma_reference, sigma_device = (np.sqrt(matrix(table, f"{who}_P")[:, :: n + 1]) for who in ("reference", "device"))
    shift = np.abs((x_device - x_reference) / sigma_reference).max(axis=0)
    width = np.abs(sigma_device / sigma_reference - 1).max(axis=0)
    return [
        StateDifference(name=name, max_abs_in_sigma=float(shift[i]), max_abs_sigma_relative=float(width[i]))
        for i, name in enumerate(state_names)
    ]


def modes(table: pd.DataFrame, mode_names: Sequence[str]) -> list[ModeFigures]:
    """How near the device's modes are to the labels, and how honest their standard deviations, where it gave any."""
    table = with_covariance(table)
    label, estimate, sigma = (matrix(table, column) for column in ("modes", "device_modes", "device_modes_sigma"))
    error = estimate - label
    return [
        ModeFigures(
            name=name,
            rms_error=rms(error[:, i]),
            mean_sigma=float(sigma[:, i].mean()),
            coverage_1_sigma=float(np.mean(within(error[:, i], sigma[:, i], 1))),
            coverage_2_sigma=float(np.mean(within(error[:, i], sigma[:, i], 2))),
            nees=rms(error[:, i] / sigma[:, i]) ** 2,
        )
        for i, name in enumerate(mode_names)
    ]


def count_per_step(table: pd.DataFrame) -> CountPerStep | None:
    """Median, 99th percentile and maximum of the counts that no interrupt fell into; None where there is none."""
    count = undisturbed(table)["count"].to_numpy()
    if not len(count):
        return None
    p99, left_out = float(np.percentile(count, 99)), len(table) - len(count)
    return CountPerStep(median=float(np.median(count)), p99=p99, max=int(count.max()), left_out=left_out)


def undisturbed(table: pd.DataFrame) -> pd.DataFrame:
    """Rows whose count is the step's alone."""
    return table[table["interrupts"] == 0]


def soh_bands(table: pd.DataFrame) -> list[SohBand]:
    """Errors by band of the label, from fresh to aged; empty bands are left out."""
    lower = np.floor(table["soh"] / BAND_WIDTH + 1e-9) * BAND_WIDTH
    return [
        SohBand(
            soh_from=float(low),
            soh_to=float(low + BAND_WIDTH),
            spectra=len(band),
            rmse_reference=rms(errors(band, "reference")),
            rmse_device=rms(errors(band, "device")),
            rmse_prior=rms(errors(band, "prior")),
            coverage_2_sigma=coverage(band, "device", 2),
        )
        for low, band in sorted(table.groupby(lower.round(4)), reverse=True)
    ]


def end_of_life(table: pd.DataFrame) -> EndOfLife:
    """Errors over the last fifth of each cell's cycles."""
    last = table[table["cycles"] >= END_OF_LIFE * table.groupby("cell_id")["cycles"].transform("max")]
    return EndOfLife(
        spectra=len(last),
        rmse_reference=rms(errors(last, "reference")),
        rmse_device=rms(errors(last, "device")),
        coverage_2_sigma=coverage(last, "device", 2),
    )


def remaining_life(table: pd.DataFrame) -> tuple[float | None, RemainingLifeFigures | None]:
    """Mean absolute error of the forecasts and what belongs to it; None where no life of the run ends."""
    label, censored = np.empty(len(table)), np.empty(len(table), bool)
    for rows in table.groupby("cell_id").indices.values():
        cell = table.iloc[rows]
        label[rows], censored[rows] = remaining_cycles(cell["cycles"].to_numpy(), cell["soh"].to_numpy())
    median, low, high = (table[f"device_rul_{name}"].to_numpy() for name in ("median", "low", "high"))
    alive = (label > 0) & ~censored & ~np.isnan(median)
    if not alive.any():
        return None, None
    known = table["cycles"].max() - table["cycles"].to_numpy()
    error = (np.minimum(median, known) - label)[alive]
    figures = RemainingLifeFigures(
        spectra=int(alive.sum()),
        censored=int(censored.sum()),
        bias_cycles=float(error.mean()),
        coverage_90=float(np.mean(((low <= label) & (label <= high))[alive])),
        unforeseen=float(np.mean(np.isinf(median[alive]))),
    )
    return float(np.abs(error).mean()), figures


def commissioning(table: pd.DataFrame) -> CommissioningFigures | None:
    """What the fresh spectra taught the device beside the reference; None where no cell was commissioned."""
    if "fresh_spectra" not in table:
        return None
    cells = table.drop_duplicates("cell_id")
    offset, device_offset = (matrix(cells, f"{who}_offset") for who in ("reference", "device"))
    sigma, device_sigma = (np.sqrt(matrix(cells, f"{who}_offset_variance")) for who in ("reference", "device"))
    return CommissioningFigures(
        fresh_spectra=int(cells["fresh_spectra"].min()),
        rms_offset=rms(offset),
        max_abs_offset_difference=float(np.abs(device_offset - offset).max()),
        max_abs_sigma_difference_relative=float(np.abs(device_sigma / sigma - 1).max()),
        soh_rmse_uncommissioned=rms(errors(table, "uncommissioned")),
    )


def _bounds(freedom: int) -> Interval:
    low, high = chi_square_bounds(freedom) if freedom else (float("nan"), float("nan"))
    return Interval(low=low, high=high)


def worst_cells(table: pd.DataFrame) -> list[CellError]:
    """The cells with the largest error, worst first."""
    cells = [
        CellError(
            cell_id=str(cell_id),
            spectra=len(cell),
            rmse_device=rms(errors(cell, "device")),
            max_abs_error_device=float(np.abs(errors(cell, "device")).max()),
        )
        for cell_id, cell in table.groupby("cell_id")
    ]
    return sorted(cells, key=lambda cell: -cell.rmse_device)[:WORST_CELLS]
