"""Simulated cells in a data set: labels along a life, the same bytes for any workers and after a loss, mistakes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.dataset import trajectories
from eishil.dataset.factory import Options, generate
from eishil.dataset.labels import with_remaining_life
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import MANIFEST, SAMPLES, SPECTRA, Dataset
from eishil.dataset.trajectories import setup, simulate, simulated_cell
from eishil.errors import RecipeError
from eishil.progress import silent

SPREAD = "spread = { electrolyte_conductivity = { std = 0.1 }, negative_active_fraction = { std = 0.02 } }"
SIMULATION = """
[simulation]
protocol = "cc_cycling"
model = "SPM"
repetitions_per_spectrum = 40
end_repetitions = 80
rate_scaling = 40
temperature_degC = [20.0, 30.0]
rates = { sei = [2.0, 4.0], lam_ne = [8.0, 12.0] }

[population]
train = { simulated = 1, soc = [0.3, 0.7], temperature_degC = [20.0, 30.0] }
validation = { soc = [0.3, 0.7], temperature_degC = [20.0, 30.0] }
test = { simulated = 1, soc = [0.3, 0.7], temperature_degC = [20.0, 30.0] }
"""


@pytest.fixture
def simulated(write_recipe: Callable[..., Path]) -> Path:
    """The tiny recipe with two simulated cells of OKane2022 instead of its populations."""
    path = write_recipe("[cell]", f'[cell]\nparameter_set = "OKane2022"\n{SPREAD}')
    text = path.read_text(encoding="utf-8")
    start, stop = text.index("[ageing]"), text.index("[measurement]")
    path.write_text(text[:start] + SIMULATION + text[stop:], encoding="utf-8")
    return path


def _changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_life_is_labelled_and_two_workers_make_the_bytes_of_one(simulated: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(simulated)
    for workers in (1, 2):
        generate(recipe, simulated, tmp_path / str(workers), Options(workers=workers), silent)
    for name in (SAMPLES, SPECTRA, MANIFEST):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name
    data = Dataset.open(tmp_path / "1")
    rows = data.samples
    assert rows["cell_id"].tolist() == ["train-a00000"] * 3 + ["test-a00000"] * 3
    assert set(rows["label_source"]) == {"simulation"} and set(rows["protocol_id"]) == {"cc_cycling"}
    assert set(rows["rate_scaling"]) == {40.0}
    # The set's tabulated graphite rises here and there: a spectrum taken there is masked.
    assert set(rows["reason"]) <= {"", "not_relaxing"}
    assert (np.isfinite(data.z_ohm).all(axis=1) == (rows["reason"] == "")).all()
    assert rows.groupby("cell_id")["spread_negative_active_fraction"].nunique().tolist() == [1, 1]
    fresh = rows[rows["step"] == 0]
    by_material = fresh["capacity_Ah"].rank() == fresh["spread_negative_active_fraction"].rank()
    assert by_material.all() and fresh["capacity_Ah"].nunique() == 2
    error = data.manifest["ageing_error"]
    assert error["mesh"]["setting"] == "radial" and abs(error["mesh"]["soh_error"]) < 1e-3
    for _, life in rows.groupby("cell_id"):
        _check_life(life.reset_index(drop=True))


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_cells_that_are_missing(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.load(_changed(simulated, "end_repetitions = 80", "end_repetitions = 40"))
    generate(recipe, simulated, tmp_path / "whole", Options(), silent)
    child = os.fork()  # it has all that was built
    if not child:
        generate(recipe, simulated, tmp_path / "again", Options(), silent)
        os._exit(0)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "again" / "work").glob("*.chunk")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(list((tmp_path / "again" / "work").glob("*.chunk"))) == 1
    assert not (tmp_path / "again" / MANIFEST).exists()

    made: list[str] = []
    monkeypatch.setattr(
        trajectories, "simulate", lambda recipe, cell: made.append(cell.cell_id) or simulate(recipe, cell)
    )
    generate(recipe, simulated, tmp_path / "again", Options(), silent)
    assert made == ["test-a00000"]
    for name in (SAMPLES, SPECTRA, MANIFEST):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def _check_life(life: pd.DataFrame) -> None:
    # The fresh cell has lost nothing; then a repetition of 40 cycles wears it.
    lost = life.loc[0, ["lli", "lam_ne", "lam_pe", "plating_loss", "cycles"]].to_numpy(float)
    assert lost == pytest.approx(0, abs=1e-9)
    assert life["soh"].iloc[0] == pytest.approx(1, abs=1e-9)
    assert (np.diff(life["soh"]) < 0).all() and (np.diff(life["lli"]) > 0).all()
    assert (np.diff(life["sei_thickness_nm"]) > 0).all() and (np.diff(life["porosity_ne"]) < 0).all()
    # 40 cycles of a cell that is nearly fresh are nearly 40 equivalent full ones.
    assert np.diff(life["cycles"]) == pytest.approx([40, 40], rel=0.05)
    assert life["rul_censored"].all()
    again = with_remaining_life(life)
    assert again["rul_cycles"].to_numpy() == pytest.approx(life["rul_cycles"].to_numpy())
    assert (life["local_resistance_mOhm"] > 1).all()


def test_cells_differ_and_stay_the_same_when_the_population_grows(simulated: Path) -> None:
    recipe = Recipe.load(simulated)
    first, second = (simulated_cell(recipe, "train", number) for number in (0, 1))
    assert first.conditions.rates.sei != second.conditions.rates.sei
    grown = Recipe.load(_changed(simulated, "train = { simulated = 1", "train = { simulated = 9"))
    again = simulated_cell(grown, "train", 0)
    assert again.conditions == first.conditions
    assert again.soc.tolist() == first.soc.tolist()
    assert 80.0 <= first.conditions.rates.sei <= 160.0  # 2 to 4, times the rate scaling
    assert first.conditions.rates.plating == 1.0  # an equilibrium: it is not scaled
    assert first.conditions.factors.keys() == set(setup(recipe).constants)
    assert (
        first.conditions.factors != second.conditions.factors and again.conditions.factors == first.conditions.factors
    )


def test_a_reserved_seed_draws_other_cells_of_its_split_alone(simulated: Path) -> None:
    before = Recipe.load(simulated)
    after = Recipe.load(_changed(simulated, "test = { simulated = 1", "test = { seed = 99, simulated = 1"))
    assert simulated_cell(before, "train", 0).conditions == simulated_cell(after, "train", 0).conditions
    old, new = (simulated_cell(recipe, "test", 0).conditions for recipe in (before, after))
    assert old.rates != new.rates and old.factors != new.factors


def test_ageing_as_dfn_is_remarked_on(simulated: Path) -> None:
    assert Recipe.load(simulated).simulation.remark() == ""
    _changed(simulated, 'model = "SPM"\nmesh', 'model = "DFN"\nmesh')
    recipe = Recipe.load(_changed(simulated, 'model = "SPM"\nrep', 'model = "DFN"\nrep'))
    assert "masked (spread)" in recipe.simulation.remark()
    assert setup(recipe).mesh == "pybamm"  # the cell's: its profiles are measured as they are


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"cc_cycling"', '"nedc"', "simulation.protocol: "),
        ("repetitions_per_spectrum = 40", "repetitions_per_spectrum = 50", "50 is not a multiple of rate_scaling, 40"),
        ('model = "SPM"\nmesh', 'model = "DFN"\nmesh', "ages as SPM cannot be measured as DFN (cell.model)"),
        ("rate_scaling = 40", "rate_scaling = 0", "simulation.rate_scaling: "),
        ("lam_ne = [8.0, 12.0]", "lam_ne = [12.0, 8.0]", "simulation.rates.lam_ne: has to be"),
        ("lam_ne = [8.0, 12.0]", "lam_en = [8.0, 12.0]", "simulation.rates.lam_en: this key is unknown"),
        ("[simulation]", "[simulatoin]", "simulatoin: this key is unknown"),
        ("train = { simulated = 1", "train = { simulated = 1, snapshots = 5", "ageing: this table is missing"),
        ("rate_scaling = 40", 'rate_scaling = 40\nmesh = "medium"', "simulation.mesh: "),
        ('model = "SPM"\nrep', 'model = "DFN"\nmesh = "radial"\nrep', "is measured on the mesh on which it ages"),
    ],
)
def test_mistakes_are_told_with_their_place(simulated: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(_changed(simulated, old, new))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(simulated))


def test_held_out_cells_that_live_as_training_cells_do_are_refused(simulated: Path) -> None:
    for old, new in (
        ("\n" + SPREAD, ""),
        ("sei = [2.0, 4.0], lam_ne = [8.0, 12.0]", "sei = [2.0, 2.0]"),
        ("temperature_degC = [20.0, 30.0]\nrates", "temperature_degC = [25.0, 25.0]\nrates"),
    ):
        Recipe.load(simulated)
        _changed(simulated, old, new)
    with pytest.raises(RecipeError, match=r"simulation: every cell would live the same life, .* widen rates, temper"):
        Recipe.load(simulated)
    assert Recipe.load(_changed(simulated, "test = { simulated = 1, ", "test = { ")).population.count("simulated") == 1


def test_a_set_that_lacks_a_mechanism_is_refused_before_anything_is_simulated(simulated: Path, tmp_path: Path) -> None:
    path = _changed(simulated, "OKane2022", "Chen2020")
    with pytest.raises(
        RecipeError, match=r"cell\.parameter_set: .*Chen2020.* it has no 'Exchange-current density for pl"
    ):
        generate(Recipe.load(path), path, tmp_path, Options(), silent)


def test_origins_are_mixed_only_where_the_recipe_says_so(write_recipe: Callable[..., Path]) -> None:
    section = SIMULATION[: SIMULATION.index("[population]")]
    path = write_recipe("[population]", section + "[population]", "snapshots = 40", "snapshots = 40, simulated = 1")
    with pytest.raises(RecipeError, match=r"another origin; .* say simulation\.beside_snapshots = true"):
        Recipe.load(path)
    mixed = Recipe.load(_changed(path, "[simulation]", "[simulation]\nbeside_snapshots = true"))
    assert mixed.population.count("simulated") == 1
