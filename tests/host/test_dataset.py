"""Data sets: design, generation, gates, tables, sample."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import eishil
from eishil.cell.ageing import AgedState
from eishil.cell.impedance import ImpedanceSolver
from eishil.dataset import factory, quality
from eishil.dataset.design import MODES, design
from eishil.dataset.factory import generate
from eishil.dataset.measurement import measure
from eishil.dataset.recipe import MeasurementRecipe, Recipe
from eishil.dataset.sample import extract
from eishil.dataset.schema import COLUMNS
from eishil.dataset.tables import MANIFEST, SAMPLES, SPECTRA, Dataset
from eishil.dataset.writer import DatasetWriter, write_dataset
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file
from eishil.progress import silent

ROOT = Path(__file__).resolve().parents[2]
WriteRecipe = Callable[..., Path]
FILES = (SAMPLES, SPECTRA, MANIFEST)


def make(recipe_path: Path, out_dir: Path, workers: int = 1, chunk_samples: int = 16) -> dict[str, Any]:
    return generate(Recipe.load(recipe_path), recipe_path, out_dir, workers, silent, chunk_samples)


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


@pytest.fixture
def tiny(write_recipe: WriteRecipe, tmp_path: Path) -> Path:
    make(write_recipe(), tmp_path / "tiny")
    return tmp_path / "tiny"


# --- design ---


def test_ageing_paths_only_go_on(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe()))
    for _, cell in samples[samples["population"] == "trajectory"].groupby("cell_id"):
        assert (np.diff(cell[list(MODES)], axis=0) >= 0).all()
        assert cell["cycles"].tolist() == [0.0, 300.0, 600.0, 900.0]


def test_ranges_of_the_recipe_are_kept_and_filled(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe("snapshots = 40", "snapshots = 500")))
    snapshots = samples[samples["population"] == "snapshot"]
    ranges = {"lli": (0, 0.3), "lam_ne": (0, 0.25), "sei_thickness_nm": (3, 250), "soc": (0.1, 0.9)}
    for name, (low, high) in ranges.items():
        values = snapshots[name]
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
    held_out = samples[samples["split"] != "train"]
    assert held_out["soc"].between(0.2, 0.8).all()
    assert held_out["temperature_degC"].between(15, 35).all()


def test_a_cell_stays_the_same_when_the_population_grows(write_recipe: WriteRecipe) -> None:
    few = design(Recipe.load(write_recipe()))
    many = design(Recipe.load(write_recipe("trajectories = 2,", "trajectories = 5,")))
    for cell in ("train-t00002", "validation-t00001", "test-t00001"):
        same = [part[part["cell_id"] == cell].reset_index(drop=True) for part in (few, many)]
        pd.testing.assert_frame_equal(*same)


def test_splits_and_cells_differ(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe()))
    ends = samples[(samples["population"] == "trajectory") & (samples["step"] == 3)]
    assert ends["lli"].nunique() == len(ends) == 7


# --- generation ---


def test_every_row_has_its_place_its_verdict_and_its_unit(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    samples = dataset.samples
    assert list(samples.columns) == list(COLUMNS)
    assert len(samples) == 3 * 4 + 40 + 2 * 4 + 2 * 4
    masked = (samples["reason"] != "").to_numpy()
    assert masked.sum() > 0
    assert set(samples["reason"][masked]) == {"x_100"}
    np.testing.assert_array_equal(np.isnan(dataset.z_ohm).all(axis=1), masked)
    assert np.isfinite(dataset.z_ohm[~masked]).all()
    assert (samples["solver_status"] == np.where(masked, "not_solved", "static")).all()
    assert samples["soh"].notna().all()
    schema = pq.read_schema(tiny / SAMPLES)
    assert schema.field("temperature_degC").metadata[b"unit"] == b"degC"
    assert schema.field("contact_resistance_mOhm").metadata[b"unit"] == b"mOhm"
    assert samples["plating_loss"].isna().all() and samples["protocol_id"].isna().all()
    assert set(samples["parameter_set"]) == {"Chen2020"} and set(samples["model"]) == {"SPM"}


def test_spectra_have_their_magnitude_phase_and_origin(tiny: Path) -> None:
    spectra, dataset = pq.read_table(tiny / SPECTRA).to_pandas(), Dataset.open(tiny)
    solved = (dataset.samples["reason"] == "").to_numpy()
    assert spectra["z_phase_deg"].isna().tolist() == (~solved).tolist()
    magnitude, phase = (np.stack(spectra[name][solved]) for name in ("z_magnitude_ohm", "z_phase_deg"))
    np.testing.assert_allclose(magnitude * np.exp(1j * np.radians(phase)), dataset.z_ohm[solved], rtol=1e-14)
    assert (phase < 0).all()
    np.testing.assert_array_equal(np.stack(spectra["frequency_Hz"]), np.tile(dataset.frequency_Hz, (len(dataset), 1)))
    assert set(spectra["backend"][solved]) <= {"compiled", "numpy"} and spectra["backend"][~solved].isna().all()
    assert spectra["solver_status"].tolist() == dataset.samples["solver_status"].tolist()


@pytest.mark.parametrize("rows", [[7, 1000], [1000, 7]])
def test_bytes_do_not_depend_on_how_rows_are_appended(tiny: Path, tmp_path: Path, rows: list[int]) -> None:
    whole = Dataset.open(tiny)
    many = whole.select(np.tile(np.arange(len(whole)), 200))  # more rows than a row group has
    many.samples["sample_id"] = [f"s{k}" for k in range(len(many))]
    write_dataset(tmp_path / "once", many.samples, many.frequency_Hz, many.z_ohm, {})
    with DatasetWriter(tmp_path / "pieces", list(many.samples.columns), many.frequency_Hz.tolist()) as writer:
        for start, stop in itertools.pairwise([0, *np.cumsum(rows), len(many)]):
            part = many.select(slice(start, stop))
            writer.append(part.samples, part.z_ohm)
        writer.finish({})
    assert contents(tmp_path / "once") == contents(tmp_path / "pieces")


def test_a_writer_that_does_not_finish_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    whole = Dataset.open(tiny)
    with (
        pytest.raises(KeyboardInterrupt),
        DatasetWriter(tmp_path / "out", list(whole.samples.columns), whole.frequency_Hz.tolist()) as writer,
    ):
        writer.append(whole.samples, whole.z_ohm)
        raise KeyboardInterrupt
    assert not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (SAMPLES, "temperature_degC", {"unit": "K"}, "column temperature_degC is in 'K', not in 'degC'"),
        (SAMPLES, "temperature_degC", {}, "column temperature_degC is in '', not in 'degC'"),
        (SPECTRA, "z_real_ohm", {"unit": "mOhm"}, "column z_real_ohm is in 'mOhm', not in 'Ohm'"),
    ],
)
def test_a_table_with_other_units_is_refused(tiny: Path, name: str, old: str, new: dict[str, str], words: str) -> None:
    table = pq.read_table(tiny / name)
    place = table.schema.get_field_index(old)
    field = table.schema.field(place).with_metadata(new)
    pq.write_table(table.cast(table.schema.set(place, field)), tiny / name)
    name_again(tiny, name)
    with pytest.raises(EishilError, match=re.escape(f"{tiny / name}: {words}; make the data set again")):
        Dataset.open(tiny)


def test_a_table_of_other_columns_is_refused(tiny: Path) -> None:
    table = pq.read_table(tiny / SAMPLES)
    for changed, words in (
        (table.rename_columns({"soc": "soc_percent"}), "column soc_percent is unknown"),
        (table.drop_columns(["soc"]), "column soc is missing"),
        (table.set_column(0, "sample_id", table["step"]), "column sample_id is int32, not string"),
    ):
        pq.write_table(changed, tiny / SAMPLES)
        name_again(tiny, SAMPLES)
        with pytest.raises(EishilError, match=f"{SAMPLES}: {words}"):
            Dataset.open(tiny)
    (tiny / SAMPLES).write_bytes(b"PAR1 is no table")
    name_again(tiny, SAMPLES)
    with pytest.raises(EishilError, match=f"{SAMPLES}: this is not a Parquet table") as caught:
        Dataset.open(tiny)
    assert "\n" not in str(caught.value)


def name_again(directory: Path, name: str) -> None:
    """Put the SHA-256 of a table that was changed on purpose into the manifest."""
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["tables_sha256"][name] = sha256_file(directory / name)
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_a_spread_constant_has_a_column(tiny: Path, tmp_path: Path) -> None:
    whole = Dataset.open(tiny)
    samples = whole.samples.assign(spread_diffusivity_n=1.03)
    write_dataset(tmp_path / "out", samples, whole.frequency_Hz, whole.z_ohm, {})
    assert set(Dataset.open(tmp_path / "out").samples["spread_diffusivity_n"]) == {1.03}
    with pytest.raises(EishilError, match="column colour is unknown"):
        write_dataset(tmp_path / "out", samples.assign(colour="red"), whole.frequency_Hz, whole.z_ohm, {})
    with pytest.raises(EishilError, match="column soh is missing"):
        write_dataset(tmp_path / "out", samples.drop(columns="soh"), whole.frequency_Hz, whole.z_ohm, {})


def test_spectra_are_those_of_the_public_function(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    for k in np.flatnonzero(dataset.samples["reason"] == "")[::20]:
        row = dataset.samples.iloc[k]
        spectrum = eishil.impedance(
            "Chen2020",
            "SPM",
            soc=row["soc"],
            temperature_degC=row["temperature_degC"],
            frequency_Hz=dataset.frequency_Hz,
            mesh="pybamm",
            aged=AgedState(**{mode: row[mode] for mode in MODES}),
        )
        np.testing.assert_array_equal(dataset.z_ohm[k], spectrum.z_ohm)
        assert row["voltage_V"] == spectrum.voltage_V


def test_masked_values_are_null_in_the_file(tiny: Path) -> None:
    spectra, samples = pq.read_table(tiny / SPECTRA), pq.read_table(tiny / SAMPLES)
    masked = sum(reason != "" for reason in samples["reason"].to_pylist())
    assert spectra["z_real_ohm"].null_count == spectra["z_imag_ohm"].null_count == masked
    assert samples["voltage_V"].null_count == masked


def test_manifest_counts_what_is_there(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    manifest = json.loads((tiny / MANIFEST).read_text())
    train = dataset.split("train").samples
    counts = manifest["counts"]["train"]
    assert counts["cells"] == 43
    assert counts["spectra"] == len(train)
    assert counts["masked"] == sum(counts["masked_by_reason"].values()) == (train["reason"] != "").sum()
    assert manifest["seed"] == 7
    assert manifest["versions"]["pybamm"]
    assert manifest["frequency_Hz"] == [0.01, 1.0, 100.0]
    assert "network" not in manifest["recipe"]


def test_trajectories_are_ordered_and_alone(tiny: Path) -> None:
    trajectories = list(Dataset.open(tiny).trajectories())
    assert len(trajectories) == 7
    for cell, part in trajectories:
        assert set(part.samples["cell_id"]) == {cell}
        assert part.samples["step"].tolist() == [0, 1, 2, 3]


def test_one_worker_or_two_same_bytes(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    make(write_recipe(), tmp_path / "one", workers=1, chunk_samples=7)
    make(write_recipe(), tmp_path / "two", workers=2, chunk_samples=30)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, solved = tmp_path / "again", []
    solve_chunk = factory._solve_chunk

    def interrupted_at_third(*arguments: Any) -> int:
        if len(solved) == 2:
            raise KeyboardInterrupt
        solved.append(arguments[-1])
        return solve_chunk(*arguments)

    monkeypatch.setattr(factory, "_solve_chunk", interrupted_at_third)
    with pytest.raises(KeyboardInterrupt):
        make(write_recipe(), out)
    assert not (out / MANIFEST).exists()
    finished = sorted((out / "work").glob("*.chunk"))
    assert finished == sorted(solved)

    monkeypatch.setattr(factory, "_solve_chunk", lambda *a: solved.append(a[-1]) or solve_chunk(*a))
    solved.clear()
    make(write_recipe(), out)
    assert not set(solved) & set(finished)
    assert contents(out) == contents(tiny)
    assert not (out / "work").exists()


def test_chunks_of_another_recipe_are_not_picked_up(
    write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(factory, "_finished_chunk", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(write_recipe(), out)
    assert any((out / "work").glob("*.chunk"))
    make(write_recipe("seed = 7", "seed = 8"), out)
    make(write_recipe("seed = 7", "seed = 8"), tmp_path / "clean")
    assert contents(out) == contents(tmp_path / "clean")


@pytest.mark.parametrize("damage", ["shortened", "changed", "emptied"])
def test_a_damaged_chunk_is_solved_again(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(factory, "_finished_chunk", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(write_recipe(), tmp_path / "out")
    chunk = min((tmp_path / "out" / "work").iterdir())
    written = chunk.read_bytes()
    middle = len(written) // 2
    changed = written[:middle] + bytes([written[middle] ^ 1]) + written[middle + 1 :]
    chunk.write_bytes({"shortened": written[:100], "changed": changed, "emptied": b""}[damage])
    make(write_recipe(), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny)


def test_chunks_of_other_code_are_not_picked_up(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve, other = ImpedanceSolver.solve, tmp_path / "other" / "cell"
    shutil.copytree(factory.SOURCES / "cell", other)
    (other / "static_lu.c").write_text("/* another */")
    with monkeypatch.context() as patch:
        patch.setattr(factory, "_finished_chunk", interrupt)
        patch.setattr(factory, "SOURCES", tmp_path / "other")
        patch.setattr(ImpedanceSolver, "solve", lambda *a: replace(solved := solve(*a), z_ohm=2 * solved.z_ohm))
        with pytest.raises(KeyboardInterrupt):
            make(write_recipe(), tmp_path / "out")
    make(write_recipe(), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny)


@pytest.mark.parametrize("name", ["cell/static_lu.c", "cell/esoh.py", "dataset/design.py"])
def test_every_source_counts(tmp_path: Path, name: str) -> None:
    for part in ("cell", "dataset"):
        shutil.copytree(factory.SOURCES / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    before = factory._code_sha256(tmp_path)
    assert before == factory._code_sha256(factory.SOURCES)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    assert factory._code_sha256(tmp_path) != before


def test_workers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        workers = {int(owner.stdout.readline()) for _ in range(2)}
        assert len(workers) == 2 and owner.pid not in workers
        owner.kill()
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


OWNER = """
import os, time, joblib
from eishil.dataset.factory import _parallel

def work():
    os.write(1, b"%d" % os.getpid() + bytes([10]))  # in one piece: both workers write
    time.sleep(60)

list(_parallel(2, (joblib.delayed(work)() for _ in range(2))))
"""


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("parameter_set", "words"),
    [("Foo", "'Foo' is unknown; use one of"), ("Prada2013", "it has no 'SEI partial molar volume [m3.mol-1]'; use")],
)
def test_a_parameter_set_that_cannot_be_used_is_told_with_its_key(
    write_recipe: WriteRecipe, tmp_path: Path, parameter_set: str, words: str
) -> None:
    path = write_recipe("[cell]", f'[cell]\nparameter_set = "{parameter_set}"')
    with pytest.raises(RecipeError, match=re.escape(words)) as caught:
        make(path, tmp_path / "out")
    assert str(caught.value).startswith(f"{path}: cell.parameter_set: ")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_no_data_set_and_the_next_run_ends_it(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def full_at_fourth(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_at_fourth)
        with pytest.raises(EishilError, match="cannot be written: No space left on device"):
            make(write_recipe(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["work"]
    assert {path.suffix for path in (tmp_path / "out" / "work").iterdir()} == {".chunk"}
    make(write_recipe(), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny)


def interrupt(_: Path) -> None:
    raise KeyboardInterrupt


def test_a_recipe_without_cells_is_told(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    path = write_recipe("trajectories = 3, snapshots = 40, ", "", "trajectories = 2, ", "")
    with pytest.raises(EishilError, match="population: there are no cells"):
        make(path, tmp_path / "out")


# --- gates ---


def test_each_gate_masks_what_it_is_for() -> None:
    frequency = np.array([0.1, 1.0, 10.0])
    good = np.array([3 - 1j, 2 - 2j, 1 - 1j])
    cases = {
        "": good,
        "not_finite": good * [1, np.nan, 1],
        "active": good - 1.5,
        "inductive": np.array([3 - 1j, 2 - 2j, 1 + 0j]),
        "not_relaxing": good[::-1],
    }
    z = np.array(list(cases.values()))
    fine = np.zeros(len(z))
    assert quality.judge(z, frequency, fine, fine).tolist() == list(cases)
    assert quality.judge(z[:, ::-1], frequency[::-1], fine, fine).tolist() == list(cases)
    for name in ("consistency_residual", "solve_residual"):
        for bad in (1e-3, np.nan):
            residuals = {"consistency_residual": np.zeros(1), "solve_residual": np.zeros(1)} | {name: np.array([bad])}
            assert quality.judge(good[None], frequency, **residuals).tolist() == [name]
    assert set(cases) | {"consistency_residual", "solve_residual"} <= {"", *quality.REASONS}


def test_a_cell_in_two_splits_is_refused(tiny: Path) -> None:
    samples = Dataset.open(tiny).samples
    leaking = samples.copy()
    leaking.loc[leaking["sample_id"] == "test-t00000-02", "cell_id"] = "train-t00001"
    quality.check_identities(samples)
    with pytest.raises(EishilError, match="cell train-t00001 is in more than one split"):
        quality.check_identities(leaking)


def test_a_sample_that_is_there_twice_is_refused(tiny: Path) -> None:
    samples = Dataset.open(tiny).samples
    with pytest.raises(EishilError, match=f"sample {samples['sample_id'][0]} is there more than once"):
        quality.check_identities(pd.concat([samples, samples.iloc[:1]]))


# --- reading ---


@pytest.mark.parametrize("name", [SAMPLES, SPECTRA])
def test_a_changed_table_is_refused(tiny: Path, name: str) -> None:
    (tiny / name).write_bytes((tiny / name).read_bytes()[:-1] + b"!")
    with pytest.raises(EishilError, match=f"{name}: differs from what manifest.json names"):
        Dataset.open(tiny)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]", "has to be a table of keys and values"),
        (b"1", "has to be a table of keys and values"),
        (b"{", "this is not JSON"),
        (b'{"name": "\xff"}', "this is not JSON"),
        (b"[" * 100_000, "this is not JSON"),
        (b'{"frequency_Hz": [1.0], "tables_sha256": []}', "tables_sha256: has to be a table of keys"),
        (b'{"frequency_Hz": [1.0], "tables_sha256": {}}', "tables_sha256.samples.parquet: this key is missing"),
        (b'{"tables_sha256": {}}', "frequency_Hz: this key is missing"),
        (b'{"frequency_Hz": [NaN], "tables_sha256": {}}', "frequency_Hz.0: Input should be"),
        (b'{"frequency_Hz": ["1"], "tables_sha256": {}}', "frequency_Hz.0: Input should be a valid number, not '1'"),
    ],
)
def test_a_damaged_manifest_is_told(tiny: Path, content: bytes, words: str) -> None:
    (tiny / MANIFEST).write_bytes(content)
    with pytest.raises(RecipeError, match=re.escape(f"{tiny / MANIFEST}: {words}")) as caught:
        Dataset.open(tiny)
    assert "\n" not in str(caught.value)


def test_a_manifest_with_other_frequencies_than_its_spectra_is_refused(tiny: Path) -> None:
    manifest = json.loads((tiny / MANIFEST).read_text())
    (tiny / MANIFEST).write_text(json.dumps(manifest | {"frequency_Hz": [0.02, 1.0, 100.0]}))
    with pytest.raises(RecipeError, match=r"frequency_Hz: differs from the frequencies of spectra\.parquet"):
        Dataset.open(tiny)


def test_a_missing_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(EishilError, match="there is no data set; `eishil dataset RECIPE` makes one"):
        Dataset.open(tmp_path)


# --- measurement ---


def test_noise_has_its_size_and_belongs_to_the_sample(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    make(write_recipe("snapshots = 40", "snapshots = 1500"), tmp_path / "many", chunk_samples=2000)
    dataset = Dataset.open(tmp_path / "many")
    dataset = dataset.select((dataset.samples["reason"] == "").to_numpy())
    recipe = MeasurementRecipe(z_relative_std=0.01, voltage_std_V=0.002, temperature_std_K=0.5)
    measured = measure(dataset, recipe, seed=3)
    relative = (measured.z_ohm - dataset.z_ohm) / np.abs(dataset.z_ohm)
    for noise, std in [
        (relative.real, 0.01),
        (relative.imag, 0.01),
        (measured.voltage_V - dataset.samples["voltage_V"], 0.002),
        (measured.temperature_degC - dataset.samples["temperature_degC"], 0.5),
    ]:
        # Five standard errors of a mean and of a standard deviation of independent normal numbers.
        assert abs(np.mean(noise)) < 5 * std / np.sqrt(np.size(noise))
        assert np.std(noise) == pytest.approx(std, rel=5 / np.sqrt(2 * np.size(noise)))
    backwards = measure(dataset.select(np.arange(len(dataset))[::-1]), recipe, seed=3)
    np.testing.assert_array_equal(backwards.z_ohm[::-1], measured.z_ohm)
    assert not np.array_equal(measure(dataset, recipe, seed=4).z_ohm, measured.z_ohm)


def test_masked_spectra_stay_masked_when_measured(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    recipe = MeasurementRecipe(z_relative_std=0.0, voltage_std_V=0.0, temperature_std_K=0.0)
    np.testing.assert_array_equal(measure(dataset, recipe, seed=1).z_ohm, dataset.z_ohm)


# --- sample ---


def test_a_sample_is_a_data_set_of_whole_test_trajectories(tiny: Path, tmp_path: Path) -> None:
    extract(tiny, tmp_path / "sample", cells=2)
    whole, sample = Dataset.open(tiny).split("test"), Dataset.open(tmp_path / "sample")
    pd.testing.assert_frame_equal(sample.samples, whole.samples)
    np.testing.assert_array_equal(sample.z_ohm, whole.z_ohm)
    assert list(sample.manifest["counts"]) == ["test"]
    with pytest.raises(EishilError, match="has 2 test trajectories; a sample needs 4"):
        extract(tiny, tmp_path / "more")


def test_committed_sample_is_what_the_committed_recipe_gives() -> None:
    sample = Dataset.open(ROOT / "datasets" / "sample")
    recipe = Recipe.load(ROOT / "datasets" / "recipes" / "first_light.toml")
    expected = design(recipe)
    expected = expected[expected["cell_id"].isin(sample.samples["cell_id"])].reset_index(drop=True)
    assert sample.samples["cell_id"].nunique() == 4
    for column in ("sample_id", "split", "cycles", "soc", "temperature_degC", *MODES):
        assert sample.samples[column].tolist() == expected[column].tolist(), column
    row = sample.samples.iloc[-1]
    spectrum = eishil.impedance(
        recipe.cell.parameter_set,
        recipe.cell.model,
        soc=row["soc"],
        temperature_degC=row["temperature_degC"],
        frequency_Hz=recipe.impedance.frequency_Hz,
        mesh=recipe.cell.mesh,
        aged=AgedState(**{mode: row[mode] for mode in MODES}),
    )
    np.testing.assert_allclose(sample.z_ohm[-1], spectrum.z_ohm, rtol=1e-8)
    assert row["voltage_V"] == pytest.approx(spectrum.voltage_V, rel=1e-9)
