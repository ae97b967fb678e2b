"""Meshes by accuracy: the table, what is chosen from it, and that it says what a calculation gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eishil.cell import convergence
from eishil.cell.mesh import MESHES, Mesh, measured_errors, mesh_error, mesh_of_accuracy
from eishil.dataset.recipe import Recipe
from eishil.errors import EishilError, RecipeError

WriteRecipe = Callable[..., Path]


@pytest.mark.parametrize("model", ["SPM", "SPMe", "DFN"])
def test_the_table_is_of_each_model_and_mesh_and_no_error_falls_with_frequency(model: str) -> None:
    rows = [row for row in measured_errors() if row.model == model]
    assert {row.mesh for row in rows} >= {MESHES["default"], MESHES["pybamm"]}
    for mesh in {row.mesh for row in rows}:
        errors = [row.error for row in rows if row.mesh == mesh]
        assert len(errors) == len(convergence.UP_TO_HZ)
        assert errors == sorted(errors)


def test_the_smallest_mesh_that_is_good_enough_is_chosen() -> None:
    for accuracy in (0.05, 0.01, 0.005):
        chosen = mesh_error("DFN", mesh_of_accuracy("DFN", accuracy, 300.0), 300.0)
        assert chosen is not None and chosen.error <= accuracy and chosen.up_to_Hz == 1000.0
        rivals = [row for row in measured_errors() if (row.model, row.up_to_Hz) == ("DFN", 1000.0)]
        assert not [row for row in rivals if row.error <= accuracy and row.states < chosen.states]
    states = [mesh_error("DFN", mesh_of_accuracy("DFN", accuracy, 1e3), 1e3).states for accuracy in (0.05, 0.01, 0.005)]
    assert states == sorted(states) and states[0] < states[-1]


def test_what_no_mesh_reaches_is_told() -> None:
    with pytest.raises(EishilError, match=r"no measured mesh gives DFN an accuracy of 1e-09 up to 1000 Hz; the best"):
        mesh_of_accuracy("DFN", 1e-9, 1000.0)
    with pytest.raises(EishilError, match=r"accuracy is known up to 10000 Hz, not 1e\+06; name a mesh instead"):
        mesh_of_accuracy("DFN", 0.1, 1e6)


def test_the_table_says_what_a_calculation_gives() -> None:
    # One cell, SPM: the table's is the largest of eight.
    coarse = Mesh(3, 3, 3, 10, convergence.STRETCH)
    rows = list(convergence.measure("SPM", [coarse], convergence.FINEST["SPM"], convergence.cells()))
    table = [row for row in measured_errors() if (row.model, row.mesh) == ("SPM", coarse)]
    assert [float(str(row[-1])) for row in rows] == pytest.approx([row.error for row in table], rel=1e-3)


def test_a_mesh_that_was_not_measured_has_no_error() -> None:
    assert mesh_error("DFN", replace(MESHES["default"], x_n=41), 1000.0) is None


def test_a_recipe_asks_for_an_accuracy(write_recipe: WriteRecipe) -> None:
    path = write_recipe('mesh = "pybamm"', "accuracy = 0.01\naccuracy_up_to_Hz = 100.0")
    chosen = Recipe.load(path).cell.points()
    assert isinstance(chosen, Mesh)
    assert chosen == mesh_of_accuracy("SPM", 0.01, 100.0)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("accuracy = 0.01", "cell: accuracy and accuracy_up_to_Hz stand together: give both or a mesh"),
        (
            "accuracy = 1e-9\naccuracy_up_to_Hz = 10.0",
            "cell: no measured mesh gives SPM an accuracy of 1e-09 up to",
        ),
        ('mesh = "default"\naccuracy = 0.1\naccuracy_up_to_Hz = 1.0', "cell: mesh and accuracy contradict each other"),
    ],
)
def test_mistakes_are_told(write_recipe: WriteRecipe, lines: str, words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        Recipe.load(write_recipe('mesh = "pybamm"', lines))
