"""A stage is made when something that it depends on changed, and only then."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from eishil.errors import EishilError
from eishil.progress import silent
from eishil_bench.stamps import Stage, bring_up_to_date, reason_to_make


class Copier:
    """A stage that copies `in.txt` to `out.txt` and remembers how often."""

    def __init__(self, root: Path) -> None:
        self.root, self.made = root, 0
        (root / "in.txt").write_text("one")

    def __call__(self, progress):
        self.made += 1
        (self.root / "out.txt").write_bytes((self.root / "in.txt").read_bytes())
        return {"bytes": 3}

    def stage(self, **depends: str) -> Stage:
        inputs = {self.root / "in.txt": "eishil before recipe.toml"}
        return Stage("copy", self.root, inputs, (self.root / "out.txt",), {"recipe [a]": "x"} | depends, self)


@pytest.fixture
def copier(tmp_path):
    return Copier(tmp_path)


def test_first_time_makes_and_second_time_reuses(copier):
    first = bring_up_to_date(copier.stage(), silent)
    second = bring_up_to_date(copier.stage(), silent)
    assert (first.reason, first.figures) == ("there is no out.txt yet", {"bytes": 3})
    assert (second.reason, copier.made) == ("", 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: (c.root / "in.txt").write_text("two"), "in.txt changed"),
        (lambda c: (c.root / "out.txt").write_text("mine"), "out.txt was changed afterwards"),
        (lambda c: (c.root / "out.txt").unlink(), "there is no out.txt yet"),
        (lambda c: c.stage().stamp_path.unlink(), "what its files were made from is not on record"),
        (lambda c: c.stage().stamp_path.write_text("{"), "what its files were made from is not on record"),
        (lambda c: c.stage().stamp_path.write_text('{"inputs": 3}'), "what its files were made from is not on record"),
    ],
    ids=["input", "output edited", "output gone", "stamp gone", "stamp cut", "stamp odd"],
)
def test_what_changed_is_the_reason(copier, change, reason):
    bring_up_to_date(copier.stage(), silent)
    change(copier)
    assert bring_up_to_date(copier.stage(), silent).reason == reason
    assert copier.made == 2 and reason_to_make(copier.stage()) == ""


def test_recipe_code_and_versions_count(copier):
    bring_up_to_date(copier.stage(code="1"), silent)
    assert reason_to_make(copier.stage(code="2")) == "code changed"
    assert reason_to_make(copier.stage(code="1", pybamm="27")) == "pybamm changed"
    assert reason_to_make(replace(copier.stage(code="1"), depends={"recipe [a]": "y", "code": "1"})) == (
        "recipe [a] changed"
    )


def test_touching_a_file_remakes_nothing(copier):
    bring_up_to_date(copier.stage(), silent)
    os.utime(copier.root / "in.txt", (0, 0))
    (copier.root / "in.txt").write_text("one")
    assert bring_up_to_date(copier.stage(), silent).reason == ""


def test_force_makes_again(copier):
    bring_up_to_date(copier.stage(), silent)
    assert bring_up_to_date(copier.stage(), silent, force=True).reason == "asked for"
    assert copier.made == 2


def test_missing_input_names_the_command_that_makes_it(copier):
    (copier.root / "in.txt").unlink()
    with pytest.raises(EishilError, match=r"in\.txt is missing; `eishil before recipe\.toml` makes it"):
        bring_up_to_date(copier.stage(), silent)


def test_interrupted_stage_is_not_up_to_date(copier):
    bring_up_to_date(copier.stage(), silent)
    (copier.root / "in.txt").write_text("two")

    def interrupted(progress):
        (copier.root / "out.txt").write_text("two")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(replace(copier.stage(), make=interrupted), silent)
    (copier.root / "in.txt").write_text("one")
    assert reason_to_make(copier.stage()) == "what its files were made from is not on record"
