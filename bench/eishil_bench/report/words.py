"""Figures in words, the same in every place that shows them."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from eishil.network.samples import MODE_UNITS
from eishil_bench.runs.results import Check, CountPerStep, Interval, Results

CLOCK_WORDS = {
    "instructions": "executed instructions of the emulated core, not cycles",
    "estimated_cycles": "estimated cycles of a timing model, not measured on silicon",
    "silicon_cycles": "core cycles, counted by the chip itself",
    "none": "this target has no counter that means something for a microcontroller",
}
MODE_WORDS = {
    "lli": "loss of lithium inventory (lli)",
    "lam_ne": "loss of active material, negative electrode (lam ne)",
    "lam_pe": "loss of active material, positive electrode (lam pe)",
    "log10_sei_thickness": "film on the negative electrode (sei), log10 of its thickness over 5 nm",
}
# Figures that are fractions of the fresh capacity or of all spectra, shown in percent.
_PERCENT = ("soh_rmse", "soh_difference", "coverage", "masked_fraction", "sigma_difference")


def figure_text(value: float | None, name: str) -> str:
    """A figure by its name in results.json: percent for fractions of capacity, else a short number."""
    if value is None:
        return "missing"
    if any(part in name for part in _PERCENT) and "_over_" not in name:
        return f"{100 * value:.3g}%"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def interval_text(interval: Interval, decimals: int) -> str:
    """An interval of fractions, as in `0.91% to 1.06%`."""
    return f"{interval.low:.{decimals}%} to {interval.high:.{decimals}%}"


def bound_text(check: Check) -> str:
    """A limit's bounds in the units of its figure, as in `90% to 99%` or `≤ 1.6%`."""
    least, most = (figure_text(bound, check.figure) for bound in (check.at_least, check.at_most))
    if check.at_least is not None and check.at_most is not None:
        return f"{least} to {most}"
    return f"≤ {most}" if check.at_most is not None else f"≥ {least}"


def left_out_text(count: CountPerStep) -> str:
    """How many counts are not the step's alone; empty where all are."""
    steps = f"{count.left_out} step{'s' if count.left_out > 1 else ''}"
    return f" {steps} that an interrupt fell into left out." if count.left_out else ""


def with_code(text: str) -> Markup:
    """HTML of a text whose commands stand between backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def headline(results: Results) -> list[tuple[str, str, str]]:
    """The figures at the top of the page: name, value, remark."""
    count, size = results.count_per_step, results.size
    worst, stack = (
        results.max_abs_soh_difference,
        f", {size.stack_bytes:,} B stack at worst" if size.stack_bytes else "",
    )
    rmse = interval_text(results.soh_rmse_device_interval, 2)
    within, late = interval_text(results.coverage_2_sigma_interval, 1), results.end_of_life
    tiles = [
        ("SOH error", f"{results.soh_rmse_device:.2%}", f"rms ({rmse}); drift only {results.soh_rmse_prior:.2%}"),
        ("Device − reference", f"{results.rms_soh_difference:.3%}", f"rms; at worst {worst:.2%}"),
        ("Labels within 2 σ", f"{results.coverage_2_sigma:.1%}", f"({within}); a Gaussian has 95.4%"),
        ("End of life", f"{late.rmse_device:.2%}", f"rms; {late.coverage_2_sigma:.1%} within 2 σ"),
    ]
    if count:
        name = f"{results.clock.replace('_', ' ').capitalize()} per step"
        tiles.append((name, f"{count.median:,.0f}", f"median; at most {count.max:,}"))
    return [*tiles, ("Flash", f"{size.flash_bytes / 1024:.1f} KiB", f"{size.ram_bytes:,} B RAM{stack}")]


def mode_words(name: str) -> str:
    """What a mode is; its name and unit where nothing more is to be said."""
    return MODE_WORDS.get(name, mode_title(name))


def mode_title(name: str) -> str:
    """A mode with its unit."""
    unit = MODE_UNITS.get(name, "")
    return f"{name.replace('_', ' ')}, {unit}" if unit not in ("", "1") else name.replace("_", " ")


def scored_before_sentence(results: Results) -> str:
    """Who had looked at the reserved test cells before; empty where none are reserved."""
    if results.test_seed is None:
        return ""
    cells = f"The held-out cells were drawn by a seed reserved for them, {results.test_seed}"
    before = results.test_cells_scored_before
    if not before:
        return f"{cells}; no other model had been scored on them before this one."
    models = ", ".join(f"{one.model_id[:16]} on {one.day} by `{one.command}`" for one in before)
    return (
        f"{cells}, but {len(before)} other model{'s' if len(before) > 1 else ''} had been scored on them before this "
        f"one ({models}): what was chosen after that may have been chosen on them."
    )


def commissioning_sentence(results: Results) -> str:
    """How cells were commissioned, and what it was good for; empty where they were not."""
    one = results.commissioning
    if one is None:
        return ""
    return (
        f"Every cell was commissioned with {one.fresh_spectra} spectra from before it aged: offsets of ln Z of "
        f"{one.rms_offset:.3f} rms, the device's off the reference's by {one.max_abs_offset_difference:.1e} at worst. "
        f"Without them the reference errs by {one.soh_rmse_uncommissioned:.2%} rms, with them by "
        f"{results.soh_rmse_reference:.2%}."
    )


def verdict_sentence(results: Results) -> str:
    """What was run on what, and how it ended."""
    missed = len(results.failures)
    verdict = (
        "Every limit was kept." if results.passed else f"{missed} limit{'s were' if missed > 1 else ' was'} missed."
    )
    masked = f", {results.masked_spectra} more were masked and left out" if results.masked_spectra else ""
    return (
        f"{results.spectra} spectra of {results.cells} held-out cells were streamed to {results.target} "
        f"(board “{results.board}”){masked}. {verdict}"
    )
