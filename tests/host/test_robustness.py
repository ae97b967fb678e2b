"""Scenarios: each changes what it says and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.dataset.design import MODES, design
from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.dataset.variants import fresh_cells
from eishil.filters.replay import MeasuredCell
from eishil.filters.step import StepInput
from eishil.progress import silent
from eishil.robustness.commissioning_choice import cells_of, estimates
from eishil.robustness.scenarios import SCENARIOS, Scenario
from support.random_models import random_estimator

FREQUENCY_HZ = np.array([0.01, 0.05, 0.1, 10.0])


def scenario(name: str) -> Scenario:
    found = [one for one in SCENARIOS if one.name == name]
    assert len(found) == 1
    return found[0]


def cell(soh: list[float]) -> MeasuredCell:
    z = 0.02 - 0.01j * np.ones(4)
    steps = tuple(StepInput(40.0 * bool(k), 3.7, 25.0, z + 1e-3 * k, np.ones(4, bool)) for k in range(len(soh)))
    cycles = 40.0 * np.arange(len(soh))
    return MeasuredCell("a", steps, pd.DataFrame({"soh": soh, "cycles": cycles}), 0)


def disturbed(name: str, before: MeasuredCell) -> MeasuredCell:
    change = scenario(name).disturb
    assert change is not None
    return change([before], FREQUENCY_HZ)[0]


@pytest.mark.parametrize(
    ("name", "field", "by"),
    [("voltage + 5 mV", "voltage_V", 0.005), ("voltage - 5 mV", "voltage_V", -0.005),
     ("temperature + 1 K", "temperature_degC", 1.0), ("temperature - 2 K", "temperature_degC", -2.0)],
)  # fmt: skip
def test_a_bias_is_the_same_in_every_spectrum(name: str, field: str, by: float) -> None:
    before = cell([1.0, 0.95, 0.9])
    after = disturbed(name, before)
    for one, other in zip(before.steps, after.steps, strict=True):
        assert getattr(other, field) - getattr(one, field) == pytest.approx(by)
        np.testing.assert_array_equal(other.z_ohm, one.z_ohm)


def test_a_contact_gets_worse_from_the_middle_on() -> None:
    before = cell([1.0, 0.98, 0.96, 0.94])
    after = disturbed("0.5 mOhm more at a contact", before)
    added = [np.unique(other.z_ohm - one.z_ohm) for one, other in zip(before.steps, after.steps, strict=True)]
    np.testing.assert_allclose(np.concatenate(added), [0, 0, 5e-4, 5e-4], atol=1e-15)


def test_a_used_cell_starts_at_its_loss_with_no_cycles() -> None:
    after = disturbed("initial SOH wrong by 10 %", cell([1.0, 0.95, 0.89, 0.85]))
    assert after.soh.tolist() == [0.89, 0.85]
    assert [step.elapsed_cycles for step in after.steps] == [0.0, 40.0]
    assert after.steps[0].z_ohm[0].real == pytest.approx(0.022)
    assert disturbed("initial SOH wrong by 10 %", cell([1.0, 0.95])).steps == ()


def test_points_below_a_tenth_of_a_hertz_are_not_measured() -> None:
    after = disturbed("nothing below 0.1 Hz", cell([1.0, 0.9]))
    assert [step.valid.tolist() for step in after.steps] == 2 * [[False, False, True, True]]


def changed_spectra(name: str) -> list[tuple[StepInput, StepInput]]:
    """Before and after, of the spectra that the scenario changes; one in twenty of 2,000."""
    before = [cell([1.0 - 0.01 * k for k in range(20)]) for _ in range(100)]
    change = scenario(name).disturb
    assert change is not None
    after = change(before, FREQUENCY_HZ)
    pairs = [
        pair for one, other in zip(before, after, strict=True) for pair in zip(one.steps, other.steps, strict=True)
    ]
    found = [pair for pair in pairs if pair[0] is not pair[1]]
    assert len(found) == pytest.approx(100, abs=30)  # three standard deviations
    return found


def test_one_spectrum_in_twenty_has_one_wrong_point() -> None:
    for before, after in changed_spectra("one spectrum in 20 with a wrong point"):
        ratio = np.sort(np.abs(after.z_ohm / before.z_ohm - 1.0))
        np.testing.assert_allclose(ratio, [0, 0, 0, 0.3], atol=1e-12)


def test_one_spectrum_in_twenty_is_of_another_cell() -> None:
    ages = [
        (before.z_ohm[0].real, after.z_ohm[0].real)
        for before, after in changed_spectra("one spectrum in 20 of another cell")
    ]
    assert len({after for _, after in ages}) > 15  # of twenty ages
    for before, after in changed_spectra("one spectrum in 20 of another cell"):
        assert after.elapsed_cycles == before.elapsed_cycles


def test_a_scenario_without_the_gate_changes_nothing_else() -> None:
    for gated, bare in (
        ("one spectrum in 20 with a wrong point", "the same without the gate"),
        ("one spectrum in 20 of another cell", "that without the gate"),
    ):
        assert (scenario(gated).gate, scenario(bare).gate) == (True, False)
        assert scenario(gated).disturb is scenario(bare).disturb


def test_fresh_cells_are_the_held_out_ones_before_they_age(write_recipe: Callable[..., Path]) -> None:
    recipe = Recipe.load(write_recipe())
    before, fresh = design(recipe), design(fresh_cells(recipe, 8))
    start = before[(before["split"] == "test") & (before["step"] == 0)].set_index("cell_id")
    assert len(fresh) == len(start) * 8
    for column in ("lli", "lam_ne", "lam_pe", "sei_thickness_nm", "contact_resistance_mOhm"):
        np.testing.assert_allclose(fresh[column], start.loc[fresh["cell_id"], column], rtol=1e-4)


def test_other_cells_are_the_held_out_ones_changed(write_recipe: Callable[..., Path]) -> None:
    recipe = Recipe.load(write_recipe())
    before = design(recipe)
    before = before[before["split"] == "test"].reset_index(drop=True)
    names, variants = [], [one for one in SCENARIOS if one.vary is not None and not one.commissioned]
    for one in variants:
        assert one.vary is not None
        varied = one.vary(recipe)
        names.append(varied.name)
        after = design(varied)
        for column in ("cell_id", "split", "cycles", "soc", "temperature_degC"):
            assert after[column].tolist() == before[column].tolist(), column
    assert len(set(names)) == 4
    faster, bent, off_by_3, off_by_10 = (design(one.vary(recipe)) for one in variants if one.vary)
    last = before["step"] == before["step"].max()
    assert (bent.loc[last, list(MODES)].to_numpy() > before.loc[last, list(MODES)].to_numpy()).mean() > 0.7
    assert not np.allclose(faster["lli"], before["lli"])
    np.testing.assert_array_equal(off_by_3[list(MODES)], before[list(MODES)])
    for varied, std in ((off_by_3, 0.03), (off_by_10, 0.10)):
        column = varied["spread_negative_particle_diffusivity"]
        assert 0 < np.abs(column - 1).max() <= 3 * std
        assert varied.groupby("cell_id")["spread_negative_particle_diffusivity"].nunique().tolist() == [1, 1]


def test_cells_to_choose_on_are_of_another_seed_and_doubt_more_with_a_larger_share(
    write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = Recipe.load(path := write_recipe())
    varied = cells_of(recipe, 0.03, 5, 2)
    own, others = (design(one).query("split == 'test'") for one in (recipe, varied))
    assert others["cell_id"].nunique() == 2 and not set(others["soc"]) & set(own["soc"])
    for name, wanted in (("life", varied), ("fresh", fresh_cells(varied, 3))):
        generate(wanted, path, tmp_path / name, Options(workers=1), silent)
    life, fresh = (Dataset.open(tmp_path / name) for name in ("life", "fresh"))
    model, _ = random_estimator(np.random.default_rng(1), n_frequencies=2)
    model = model.model_copy(update={"frequency_Hz": [100.0, 0.01]})
    sure, doubting = estimates(varied, model, life, fresh, (0.0, 0.5))
    assert len(sure.soh) == 8 and doubting.nis_mean < 0.7 * sure.nis_mean
