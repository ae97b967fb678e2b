"""Tables on disk: columns, units, null values, and what is refused."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from eishil.dataset.schema import COLUMNS
from eishil.dataset.tables import MANIFEST, SAMPLES, SPECTRA, Dataset
from eishil.dataset.writer import DatasetWriter
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file
from support.tiny_dataset import contents
from support.whole_dataset import write_dataset

ROOT = Path(__file__).resolve().parents[2]


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


def test_masked_values_are_null_in_the_file(tiny: Path) -> None:
    spectra, samples = pq.read_table(tiny / SPECTRA), pq.read_table(tiny / SAMPLES)
    masked = sum(reason != "" for reason in samples["reason"].to_pylist())
    assert spectra["z_real_ohm"].null_count == spectra["z_imag_ohm"].null_count == masked
    assert samples["voltage_V"].null_count == masked


def test_trajectories_are_ordered_and_alone(tiny: Path) -> None:
    trajectories = list(Dataset.open(tiny).trajectories())
    assert len(trajectories) == 7
    for cell, part in trajectories:
        assert set(part.samples["cell_id"]) == {cell}
        assert part.samples["step"].tolist() == [0, 1, 2, 3]


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
