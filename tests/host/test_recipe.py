"""Every mistake in a recipe is one sentence with the file, the key and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from eishil.dataset.recipe import Recipe
from eishil.errors import RecipeError

ROOT = Path(__file__).resolve().parents[2]
WriteRecipe = Callable[..., Path]


@pytest.mark.parametrize("path", sorted((ROOT / "datasets" / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_committed_recipes_are_well_formed(path: Path) -> None:
    assert Recipe.load(path).name == path.stem


def test_the_commissioned_recipe_is_first_light_but_for_the_constants_of_its_held_out_cells() -> None:
    own, first = (
        Recipe.load(ROOT / "datasets" / "recipes" / f"{name}.toml").model_dump()
        for name in ("commissioned", "first_light")
    )
    assert {key for key in own if own[key] != first[key]} == {"name", "description", "cell", "network", "commissioning"}
    assert {key for key, value in own["cell"].items() if value != first["cell"][key]} == {"spread", "spread_splits"}
    assert {key for key, value in own["network"].items() if value != first["network"][key]} == {"file"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = 7", "sede = 7", "seed: this key is missing"),
        ("seed = 7", "seed = 7\nspeed = 1", ": speed: this key is unknown"),
        ("seed = 7", 'seed = "7"', "seed: Input should be a valid integer, not '7'"),
        ("[filter]", "commissioning = { spectra = 1 }\n[filter]", "network.commissioning: this key is unknown"),
        (
            "[network]",
            "[commissioning]\nspectra = 1\n[network]",
            r"commissioning.spectra: one does not tell .* 2 or more",
        ),
        (
            "[network]",
            "[commissioning]\nspectra = 8\n[evaluation]\nseeds = [1]\n[network]",
            "commissioning: .* not commissioned, .*; leave out one of them",
        ),
        ("seed = 7", "seed = -1", "seed: Input should be greater than or equal to 0, not -1"),
        ('model = "SPM"', 'model = "P2D"', "cell.model: Input should be 'DFN', 'SPMe' or 'SPM', not 'P2D'"),
        ("[0.01, 1.0, 100.0]", "[0.0, 1.0]", "impedance.frequency_Hz.0: Input should be greater than 0, not 0.0"),
        ("[0.01, 1.0, 100.0]", "[]", "impedance.frequency_Hz: List should have at least 1 item"),
        ("[0.01, 1.0, 100.0]", "[1.0, 0.01]", "impedance.frequency_Hz: has to rise from each frequency to the next"),
        (
            "soc = [0.1, 0.9]",
            "soc = [0.1, 1.2]",
            "population.train.soc.1: Input should be less than or equal to 1, not",
        ),
        ("soc = [0.1, 0.9]", "soc = [0.9, 0.1]", r"population.train.soc: has to be \[lowest, highest\]"),
        (
            "soc = [0.1, 0.9]",
            "soc = [0.9]",
            r"population.train.soc: has to be two numbers, \[lowest, highest\], not \[0.9\]",
        ),
        ("[0.9, 1.1]", "[0.9, 1.0, 1.1]", r"ageing.speed: has to be two numbers, \[lowest, highest\]"),
        ("[0.9, 1.1]", "1.0", r"ageing.speed: has to be two numbers, \[lowest, highest\], not 1.0"),
        ("[0.9, 1.1]", '[0.9, "1"]', r"ageing.speed.1: Input should be a valid number, not '1'"),
        ("cycles_per_step = 300.0", "cycles_per_step = inf", "ageing.cycles_per_step: Input should be a finite number"),
        ("exponent = [0.6, 1.1]", "exponent = [0.6, inf]", "ageing.lli.exponent.1: Input should be a finite number"),
        ("[0.01, 1.0, 100.0]", "[0.01, nan]", "impedance.frequency_Hz.1: Input should be a finite number"),
        (
            "[10.0, 40.0]",
            "[283.0, 313.0]",
            "population.train.temperature_degC.0: Input should be less than or equal to",
        ),
        (
            "end = [0.10, 0.22]",
            "end = [0.005, 0.22]",
            "ageing.lli: a cell may end at 0.005 and start at 0.01, but what is lost does not come back",
        ),
        ("steps = 4", "steps = 4.5", "ageing.steps: Input should be a valid integer"),
        ("end = [0.10, 0.22]", "end = [0.10, 1.0]", "ageing.lli.end.1: Input should be less than 1, not 1.0"),
        ("frequency_Hz = [0.01, 1.0]\n", "frequency_Hz = [0.02]\n", "network.frequency_Hz: 0.02 Hz is not one of"),
        ('name = "tiny"', 'name = "../tiny"', "name: String should match pattern"),
        ("[cell]", "[cell", "this is not TOML"),
    ],
)
def test_mistakes_are_told(write_recipe: WriteRecipe, old: str, new: str, words: str) -> None:
    path = write_recipe(old, new)
    with pytest.raises(RecipeError, match=words) as caught:
        Recipe.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no readable recipe"):
        Recipe.load(tmp_path / "none.toml")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(RecipeError, match="this is not TOML"):
        Recipe.load(tmp_path / "r.toml")


def test_only_what_shapes_the_data_set_changes_its_digest(write_recipe: WriteRecipe) -> None:
    before = Recipe.load(write_recipe()).dataset_sha256()
    assert Recipe.load(write_recipe("hidden = [4]", "hidden = [8]")).dataset_sha256() == before
    assert Recipe.load(write_recipe("z_relative_std = 0.003", "z_relative_std = 0.01")).dataset_sha256() == before
    assert Recipe.load(write_recipe("seed = 7", "seed = 8")).dataset_sha256() != before
    assert Recipe.load(write_recipe("box = [0.0, 0.3]", "box = [0.0, 0.2]")).dataset_sha256() != before


def test_a_recipe_whose_cells_are_all_the_same_would_leak(write_recipe: WriteRecipe) -> None:
    path = write_recipe()
    text = path.read_text()
    same = re.sub(r"(start|end|exponent|speed|knee_onset|knee_gain) = \[([\d.]+), [\d.]+\]", r"\1 = [\2, \2]", text)
    path.write_text(same.replace("knee_probability = 0.5", "knee_probability = 0.0"))
    with pytest.raises(RecipeError, match="ageing: every cell would live the same life") as caught:
        Recipe.load(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    path.write_text(path.read_text().replace("trajectories = 2, ", ""))  # nothing is held out
    Recipe.load(path)
