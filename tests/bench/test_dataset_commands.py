"""`eishil dataset RECIPE`, `inspect` and `features` as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from eishil.dataset import feature_table
from eishil.dataset.feature_table import read_features, write_features
from eishil.dataset.tables import SPECTRA
from eishil.errors import EishilError
from eishil.progress import silent
from eishil_bench.cli import app
from eishil_bench.studies import inspect
from support.tiny_dataset import TINY

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the committed sample."""
    return Path(shutil.copytree(ROOT / "datasets" / "sample", tmp_path / "sample"))


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_inspect_tells_and_shows_what_is_there(folder: Path) -> None:
    told = run("dataset", "inspect", folder)
    assert "120 samples of 4 cells, 18 frequencies from 0.01 to 1000 Hz; 0 spectra are masked" in told
    assert re.search(r"test +│ +4 │ +120 │ +0 ", told)
    page = (folder / inspect.PAGE).read_text()
    for words in ("Nyquist plots over temperature", "Bode plots over state of charge", "Labels over life", "theta_n"):
        assert words in page
    assert not re.search(r'(src|href)="', re.sub(r"<script.*?</script>", "", page, flags=re.S))  # it loads nothing


def test_features_are_kept_apart_and_belong_to_their_spectra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / SPECTRA).read_bytes()
    run("dataset", "features", folder, "--workers", 1)
    assert (folder / SPECTRA).read_bytes() == before
    found = read_features(folder)
    assert found is not None and len(found) == 120
    assert found["sample_id"].tolist() == pd.read_parquet(folder / "samples.parquet")["sample_id"].tolist()
    assert pq.read_schema(folder / "features.parquet").field("c_dl_F").metadata[b"unit"] == b"F"
    assert "arc_quality" in (run("dataset", "inspect", folder), (folder / inspect.PAGE).read_text())[1]
    one = (folder / "features.parquet").read_bytes()
    monkeypatch.setattr(feature_table, "CHUNK_SPECTRA", 37)
    write_features(folder, 0, 1, silent)
    assert (folder / "features.parquet").read_bytes() == one
    (folder / SPECTRA).write_bytes(before + b" ")
    assert read_features(folder) is None


def test_a_recipe_needs_no_subcommand(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    run("dataset", recipe, "--out", tmp_path, "--workers", 1, "--precision", "float32", "--csv")
    made = tmp_path / "tiny" / "dataset"
    assert json.loads((made / "manifest.json").read_text())["precision"] == "float32"
    assert (made / "samples.csv").is_file() and (made / "quality.json").is_file()
    assert "up to date" in run("dataset", "--out", tmp_path, "--workers", 1, "--precision", "float32", recipe)


def test_an_interrupted_command_says_how_to_go_on(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.replace("snapshots = 40", "snapshots = 30000"))
    command = [sys.executable, "-c", "from eishil_bench.cli import main; main()", "dataset", str(recipe)]
    command += ["--out", str(tmp_path), "--workers", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        work = tmp_path / "tiny" / "dataset" / "work"
        while not list(work.glob("*.chunk")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what is finished is kept: the same command goes on" in told
    assert list(work.glob("*.chunk")) and not (work.parent / "manifest.json").exists()


def test_a_folder_without_a_data_set_is_told(tmp_path: Path) -> None:
    for command in ("inspect", "features"):
        with pytest.raises(EishilError, match="there is no data set; `eishil dataset RECIPE` makes one"):
            run("dataset", command, tmp_path)
