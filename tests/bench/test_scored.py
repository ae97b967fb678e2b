"""The ledger of reserved test seeds: who looked, in the order of looking, and what the page says of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from eishil.dataset.recipe import Recipe
from eishil.errors import RecipeError
from eishil.model import Model
from eishil_bench import commands
from eishil_bench.pipeline import Workspace
from eishil_bench.report.words import scored_before_sentence
from eishil_bench.runs import scored

ROOT = Path(__file__).parents[2]
ONE, OTHER, THIRD = (bytes([k]) * 32 for k in range(3))


def workspace(folder: Path, seed: int | None) -> Workspace:
    recipe = Recipe.load(ROOT / "datasets/recipes/first_light.toml")
    test = recipe.population.test.model_copy(update={"seed": seed})
    population = recipe.population.model_copy(update={"test": test})
    return Workspace(recipe.model_copy(update={"population": population}), folder / "mine.toml", folder / "build")


def test_later_models_see_the_earlier_ones_and_the_first_sees_none(tmp_path: Path) -> None:
    mine = workspace(tmp_path, 42)
    assert scored.earlier(mine, ONE) == []
    for model_id, command in ((ONE, "eishil run"), (OTHER, "eishil robustness"), (ONE, "eishil baselines")):
        scored.enter(mine, model_id, command)
    assert [(one.model_id, one.command) for one in scored.load(mine.recipe_path)] == [
        (ONE.hex(), "eishil run"),
        (OTHER.hex(), "eishil robustness"),
    ]
    assert scored.earlier(mine, ONE) == []
    assert [one.model_id for one in scored.earlier(mine, OTHER)] == [ONE.hex()]
    assert [one.model_id for one in scored.earlier(mine, THIRD)] == [ONE.hex(), OTHER.hex()]


def test_another_seed_has_not_been_seen(tmp_path: Path) -> None:
    scored.enter(workspace(tmp_path, 42), ONE, "eishil run")
    assert scored.earlier(workspace(tmp_path, 43), OTHER) == []


def test_a_recipe_without_a_reserved_seed_has_no_ledger(tmp_path: Path) -> None:
    scored.enter(workspace(tmp_path, None), ONE, "eishil run")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_ledger_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.scored.json").write_text('[{"seed": 42}]')
    with pytest.raises(RecipeError, match=r"mine\.scored\.json: 0\.model_id: this key is missing; take it from"):
        scored.enter(workspace(tmp_path, 42), ONE, "eishil run")


def test_the_page_says_who_had_looked(tmp_path: Path) -> None:
    mine = workspace(tmp_path, 42)
    scored.enter(mine, ONE, "eishil run")
    results = SimpleNamespace(test_seed=42, test_cells_scored_before=scored.earlier(mine, OTHER))
    sentence = scored_before_sentence(results)
    assert "but 1 other model had been scored on them" in sentence and ONE.hex()[:16] in sentence
    results.test_cells_scored_before = []
    assert "no other model had been scored" in scored_before_sentence(results)
    results.test_seed = None
    assert scored_before_sentence(results) == ""


def test_evaluate_is_entered_before_a_test_cell_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "datasets/recipes/first_light.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("[population.test]\n", "[population.test]\nseed = 42\n"))
    model = tmp_path / "build/first_light/model/model.json"
    model.parent.mkdir(parents=True)
    model.write_bytes((ROOT / "datasets/models/first_light/model.json").read_bytes())
    entered: list[list[str]] = []
    monkeypatch.setattr(commands, "_remark_if_stale", lambda *_: None)
    monkeypatch.setattr(commands, "_make", lambda *_: entered.append([one.command for one in scored.load(path)]))
    commands.make("train", path, tmp_path / "build", 1, False)
    commands.make("evaluate", path, tmp_path / "build", 1, False)
    assert entered == [[], ["eishil evaluate"]]
    assert scored.load(path)[0].model_id == Model.load(model).model_id.hex()
