"""Which stage depends on what: a change of the recipe makes again what it touches, and nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from eishil.errors import EishilError, RecipeError
from eishil_bench import pipeline
from eishil_bench.pipeline import STAGES, Workspace
from support.prepared_workspace import FIRST_LIGHT


def workspace(folder: Path, text: str) -> Workspace:
    path = folder / "recipe.toml"
    path.write_text(text)
    return Workspace.open(path, folder / "build")


@pytest.mark.parametrize(
    ("pattern", "replacement", "touched"),
    [
        (r'description = ".*"', 'description = "another text"', {"quantize"}),
        (r'name = ".*"', 'name = "another"', {"quantize"}),
        (r"epochs = \d+", "epochs = 1", {"train", "quantize"}),
        (r"walk_std = \[.*\]", "walk_std = [0.5]", {"quantize"}),
        (r"z_relative_std = \S+", "z_relative_std = 0.5", {"quantize"}),
        (r"knee_probability = \S+", "knee_probability = 0.5", {"dataset"}),
        (r"\nseed = \d+", "\nseed = 3", {"dataset", "train", "quantize"}),
    ],
)
def test_a_changed_section_touches_the_stages_that_read_it(tmp_path, pattern, replacement, touched):
    text = FIRST_LIGHT.read_text()
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    before = {name: pipeline.stage(workspace(tmp_path, text), name).depends for name in STAGES}
    after = {name: pipeline.stage(workspace(tmp_path, changed), name).depends for name in STAGES}
    assert {name for name in STAGES if before[name] != after[name]} == touched


def test_a_stage_reads_only_what_an_earlier_one_writes(tmp_path):
    here = workspace(tmp_path, FIRST_LIGHT.read_text())
    written: set[Path] = set()
    for name in STAGES:
        stage = pipeline.stage(here, name)
        assert set(stage.inputs) <= written
        written |= set(stage.outputs)
    names = {path.relative_to(here.root).as_posix() for path in written}
    assert names == {
        "dataset/samples.parquet", "dataset/spectra.parquet", "dataset/manifest.json",
        "model/network_float.onnx", "model/training.json", "model/network_int8.onnx", "model/model.json",
        "generated/wire.h", "generated/model_size.h", "generated/model.c",
    }  # fmt: skip


def test_code_of_a_stage_is_part_of_what_it_depends_on(tmp_path, monkeypatch):
    here = workspace(tmp_path, FIRST_LIGHT.read_text())
    for folder in ("cell", "dataset", "network", "filters"):
        (tmp_path / "sources" / folder).mkdir(parents=True)
    (tmp_path / "sources" / "cell" / "impedance.py").write_text("one")
    (tmp_path / "sources" / "dataset" / "measurement.py").write_text("one")
    monkeypatch.setattr(pipeline, "SOURCES", tmp_path / "sources")
    before = {name: pipeline.stage(here, name).depends["code"] for name in STAGES}
    (tmp_path / "sources" / "cell" / "impedance.py").write_text("two")
    after = {name: pipeline.stage(here, name).depends["code"] for name in STAGES}
    assert {name for name in STAGES if before[name] != after[name]} == {"dataset"}
    (tmp_path / "sources" / "cell" / "static_lu.c").write_text("one")
    before, after = after, {name: pipeline.stage(here, name).depends["code"] for name in STAGES}
    assert {name for name in STAGES if before[name] != after[name]} == {"dataset"}
    (tmp_path / "sources" / "dataset" / "measurement.py").write_text("two")
    last = {name: pipeline.stage(here, name).depends["code"] for name in STAGES}
    assert {name for name in STAGES if last[name] != after[name]} == {"quantize"}


@pytest.mark.parametrize(
    ("library", "touched"),
    [
        ("pybamm", {"dataset"}),
        ("pyarrow", {"dataset"}),
        ("numpy", {"dataset", "train", "quantize"}),
        ("scipy", {"dataset", "train", "quantize"}),
        ("scikit-learn", {"train", "quantize"}),
        ("threadpoolctl", {"train"}),
        ("onnx", {"train", "quantize"}),
    ],
)
def test_another_version_of_a_library_touches_the_stages_that_compute_with_it(tmp_path, monkeypatch, library, touched):
    here = workspace(tmp_path, FIRST_LIGHT.read_text())
    before = {name: pipeline.stage(here, name).depends for name in STAGES}
    found = pipeline.versions
    monkeypatch.setattr(pipeline, "versions", lambda packages: found(packages) | {library: "0.0.0"})
    after = {name: pipeline.stage(here, name).depends for name in STAGES}
    assert {name for name in STAGES if before[name] != after[name]} == touched


def test_commands_that_are_named_run_as_they_are(tmp_path):
    here = workspace(tmp_path, FIRST_LIGHT.read_text())
    assert here.command("train") == f"eishil train {tmp_path}/recipe.toml --out {tmp_path}/build"
    spaced = Workspace(here.recipe, Path("my recipe.toml"), Path("my build") / here.recipe.name)
    assert shlex.split(spaced.command("run")) == ["eishil", "run", "my recipe.toml", "--out", "my build"]
    assert Workspace(here.recipe, Path("a.toml"), Path("build/first_light")).command("run") == "eishil run a.toml"


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_population_without_cells_is_told_before_any_stage(tmp_path, split):
    changed, count = re.subn(
        rf"(\[population\.{split}\][^\[]*?trajectories = )\d+", r"\g<1>0", FIRST_LIGHT.read_text(), count=1
    )
    assert count == 1
    with pytest.raises(RecipeError, match=rf"recipe\.toml: population\.{split}\.trajectories: . or more .*, not 0"):
        pipeline.require_cells(workspace(tmp_path, changed))
    pipeline.require_cells(workspace(tmp_path, FIRST_LIGHT.read_text()))


def test_one_command_at_a_time_and_the_lock_ends_with_it(tmp_path):
    here = workspace(tmp_path, FIRST_LIGHT.read_text())
    with here.locked(), pytest.raises(EishilError, match="another eishil command is at work"), here.locked():
        pass
    with here.locked():
        pass
