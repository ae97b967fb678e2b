"""Cell-to-cell spread of constants: what is drawn, and that the model has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pybamm
import pytest

from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.constants import ACTIVE_FRACTIONS, CONSTANTS, SPREAD_GROUPS, model_constants
from eishil.cell.impedance import solver
from eishil.dataset.design import design
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import SAMPLES, Dataset
from eishil.errors import RecipeError
from support.tiny_dataset import make

WriteRecipe = Callable[..., Path]
FREQUENCY_HZ = np.logspace(-2, 3, 6)
CELL = 'mesh = "pybamm"\n'
SPREAD = (
    CELL + "[cell.spread]\nnegative_bruggeman = { std = 0.1 }\npositive_active_fraction = { std = 0.02 }\n"
    'electrolyte_conductivity = { distribution = "lognormal", std = 0.2 }\n'
)


def scaled(value: Any, factor: float) -> Any:
    return (lambda *arguments: factor * value(*arguments)) if callable(value) else factor * value


@pytest.mark.parametrize("model", ["SPM", "DFN"])
def test_every_factor_acts_as_the_changed_number_does_in_pybamm(model: str) -> None:
    # SPM's concentration is a number that PyBaMM puts into square roots; once it is open they are regularised (2.5e-7).
    left_out = {*ACTIVE_FRACTIONS, "electrolyte_concentration"} if model == "SPM" else ACTIVE_FRACTIONS
    names = [name for name in CONSTANTS if name not in left_out]
    factors = dict(zip(names, np.random.default_rng(1).uniform(0.8, 1.15, (len(names), 1)), strict=True))
    inputs = snapshot("Chen2020", AgedState(sei_thickness_nm=0.0), np.array([0.4]), np.array([25.0]), factors).inputs
    z = solver("Chen2020", model, "pybamm", model_constants(set(names))).solve(inputs, FREQUENCY_HZ).z_ohm[0]

    values = pybamm.ParameterValues("Chen2020")
    for side in ("negative", "positive"):
        concentration = float(getattr(inputs, f"concentration_{side[0]}_mol_m3")[0])
        values[f"Initial concentration in {side} electrode [mol.m-3]"] = concentration
    for name, factor in factors.items():
        values[CONSTANTS[name]] = scaled(values[CONSTANTS[name]], float(factor[0]))
    built = getattr(pybamm.lithium_ion, model)({"surface form": "differential"})
    expected = pybamm.EISSimulation(built, parameter_values=values).solve(FREQUENCY_HZ).impedance
    np.testing.assert_allclose(z, expected, rtol=1e-8)


@pytest.mark.parametrize("name", model_constants(set(CONSTANTS)))
def test_every_factor_reaches_the_spectrum(name: str) -> None:
    built = solver("Chen2020", "DFN", "pybamm", model_constants(set(CONSTANTS)))
    where = AgedState(), np.array([0.4, 0.4]), np.array([25.0, 25.0])
    z = built.solve(snapshot("Chen2020", *where, {name: np.array([1.0, 1.05])}).inputs, FREQUENCY_HZ).z_ohm
    assert np.abs(z[1] / z[0] - 1).max() > 1e-7


def test_a_factor_on_the_active_fraction_makes_another_fresh_cell() -> None:
    both = {"negative_active_fraction": np.array([1.0, 1.04]), "positive_active_fraction": np.array([1.0, 1.04])}
    state = snapshot("Chen2020", AgedState(), np.array([0.5, 0.5]), np.array([25.0, 25.0]), both)
    assert state.capacity_Ah[1] == pytest.approx(1.04 * state.capacity_Ah[0], rel=1e-12)
    np.testing.assert_allclose(state.soh, 1.0, rtol=1e-12)
    np.testing.assert_allclose(state.inputs.active_fraction_p, [0.665, 1.04 * 0.665])
    assert not state.inputs.factors


def test_a_cell_keeps_its_constants_and_cells_differ(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe(CELL, SPREAD)))
    columns = [name for name in samples if name.startswith("spread_")]
    assert columns == [
        "spread_electrolyte_conductivity",
        "spread_negative_bruggeman",
        "spread_positive_active_fraction",
    ]
    cells = samples.groupby("cell_id")[columns]
    assert (cells.nunique() == 1).all().all()
    assert (cells.first().nunique() == samples["cell_id"].nunique()).all()


def test_draws_have_the_distribution_that_the_recipe_names(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe(CELL, SPREAD, "snapshots = 40", "snapshots = 4000")))
    bruggeman, conductivity = samples["spread_negative_bruggeman"], np.log(samples["spread_electrolyte_conductivity"])
    for values, mean, std in ((bruggeman, 1.0, 0.1), (conductivity, 0.0, 0.2)):
        assert values.mean() == pytest.approx(mean, abs=5 * std / np.sqrt(len(samples)))
        assert values.std() == pytest.approx(std, rel=0.06)
        assert np.abs(values - mean).max() <= 3 * std
    assert abs(np.corrcoef(bruggeman, conductivity)[0, 1]) < 0.1


def test_a_cell_stays_the_same_when_others_or_other_constants_are_added(write_recipe: WriteRecipe) -> None:
    few = design(Recipe.load(write_recipe(CELL, SPREAD))).set_index("sample_id")
    more = SPREAD + "separator_porosity = { std = 0.1 }\n"
    many = design(Recipe.load(write_recipe(CELL, more, "trajectories = 2,", "trajectories = 5,"))).set_index(
        "sample_id"
    )
    pd.testing.assert_frame_equal(many.loc[few.index, few.columns], few)


def test_splits_without_spread_have_the_constants_of_the_set(write_recipe: WriteRecipe) -> None:
    only = CELL + 'spread_splits = ["test"]\n' + SPREAD.removeprefix(CELL)
    samples = design(Recipe.load(write_recipe(CELL, only)))
    assert (samples.loc[samples["split"] != "test", "spread_negative_bruggeman"] == 1).all()
    assert (samples.loc[samples["split"] == "test", "spread_negative_bruggeman"] != 1).all()


def test_a_group_stands_for_its_constants(write_recipe: WriteRecipe) -> None:
    group = CELL + "[cell.spread]\ntransport_and_kinetics = { std = 0.03 }\nnegative_bruggeman = { std = 0.01 }\n"
    spreads = Recipe.load(write_recipe(CELL, group)).cell.spreads()
    assert tuple(spreads) == SPREAD_GROUPS["transport_and_kinetics"]
    assert {name for name, spread in spreads.items() if spread.std != 0.03} == {"negative_bruggeman"}


def test_the_data_set_records_the_factors(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    path = write_recipe(CELL, SPREAD)
    for folder, chunk_samples in (("one", 16), ("two", 7)):
        make(path, tmp_path / folder, chunk_samples=chunk_samples)
    assert (tmp_path / "one" / SAMPLES).read_bytes() == (tmp_path / "two" / SAMPLES).read_bytes()
    dataset = Dataset.open(tmp_path / "one")
    assert dataset.samples["spread_negative_bruggeman"].std() > 0.05
    field = pq.read_schema(tmp_path / "one" / SAMPLES).field("spread_negative_bruggeman")
    assert field.metadata[b"meaning"] == b"factor on this constant of the parameter set"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "negative_thickness = { std = 0.1 }",
            "cell.spread: negative_thickness cannot be spread; what can is transport",
        ),
        (
            "negative_bruggeman = { std = 0.5 }",
            "cell.spread.negative_bruggeman.std: Input should be less than or equal",
        ),
        ("negative_bruggeman = 0.1", "cell.spread.negative_bruggeman: has to be a table"),
        ('negative_bruggeman = { distribution = "flat", std = 0.1 }', "distribution: Input should be 'normal' or 'log"),
    ],
)
def test_mistakes_are_told(write_recipe: WriteRecipe, line: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.load(write_recipe(CELL, f"{CELL}[cell.spread]\n{line}\n"))
