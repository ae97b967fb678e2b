"""The study of observation networks: rows, what is kept of them, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from eishil.dataset.tables import Dataset
from eishil.errors import EishilError
from eishil.model import Model
from eishil.network.onnx_files import load_float_network
from eishil.network.samples import NETWORK_INPUTS, network_samples
from eishil.network_study import study as host_study
from eishil.network_study.cases import TEACHER, Case, Fitter, cases
from eishil.network_study.study import study
from eishil.progress import silent
from eishil_bench.pipeline import Workspace
from eishil_bench.studies import network
from support.network_study import small_study


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One for all tests: what one of them has fitted, the others find."""
    with pytest.MonkeyPatch.context() as patch:
        yield small_study(tmp_path_factory.mktemp("study"), patch)


def test_the_command_tells_the_same_to_terminal_page_and_file(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def count(model: Model, steps: object) -> tuple[int, int]:
        counted.append([len(layer.bias) for layer in model.network.layers])
        return 4321, 1234

    monkeypatch.setattr(network, "_count", count)
    network.command(workspace.recipe_path, workspace.root.parent, tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    rows = {(row["kind"], tuple(row["size"]), row["seed"]): row for row in found["rows"]}
    assert len(rows) == len(found["rows"]) == 2 + 1 + 2 * 2 + 1 + 4 * 2
    assert sorted(counted) == [[4, 4, 8], [10, 10, 8]]  # each size once, direct or distilled
    first, small = rows["direct", (10, 10), 1], rows["direct", (4, 4), 1]
    assert (first["macs"], small["macs"]) == (6 * 10 + 100 + 80, 6 * 4 + 16 + 32)
    assert first["step_instructions"] == 4321 and rows["polynomial", (1,), 1]["step_instructions"] is None
    assert rows["polynomial", (3,), 1]["residual_ln_ohm"] < rows["polynomial", (1,), 1]["residual_ln_ohm"]
    halves = np.array([first["residual_real_ln_ohm"], first["residual_imaginary_ln_ohm"]])
    assert first["residual_ln_ohm"] == pytest.approx(np.sqrt(np.mean(halves**2)))
    page = (workspace.root / "network_study" / "network_study.html").read_text("utf-8")
    shown = capsys.readouterr().out
    for text in ("4,321", f"{1e3 * rows['polynomial', (1,), 1]['residual_ln_ohm']:.2f}", "MLP, direct (4, 4)"):
        assert text in page and text in shown


def test_the_residual_is_that_of_the_network_on_validation_spectra(workspace: Workspace) -> None:
    folder = workspace.root / "network_study"
    dataset, model = Dataset.open(workspace.dataset), Model.load(workspace.model / "model.json")
    found = study(workspace.recipe, dataset, model, folder, silent)
    row = next(row for row in found.rows if row.group == "MLP, direct (10, 10)")
    mlp = load_float_network(host_study.network_files(found, folder)[row.group])
    held_out = network_samples(dataset.split("validation"), workspace.recipe.network.frequency_Hz)
    expected = np.sqrt(np.mean((mlp.evaluate(held_out.v)[0] - held_out.ln_ohm) ** 2))
    assert row.residual_ln_ohm == pytest.approx(expected, rel=1e-6)
    own = load_float_network(workspace.model / "network_float.onnx")  # the recipe's own is the direct one
    for one, other in zip(own.weights, mlp.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_are_kept_until_something_changes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = workspace.root / "network_study"
    dataset, model = Dataset.open(workspace.dataset), Model.load(workspace.model / "model.json")
    recipe = workspace.recipe
    first = study(recipe, dataset, model, folder, silent)
    whole = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    (folder / "polynomial-1-seed1.json").write_bytes(b'{"inputs": "half')
    fitted: list[Case] = []
    fit = Fitter.fit

    def noted(self: Fitter, case: Case) -> object:
        fitted.append(case)
        return fit(self, case)

    monkeypatch.setattr(Fitter, "fit", noted)
    assert study(recipe, dataset, model, folder, silent) == first
    assert [case.file_name for case in fitted] == ["polynomial-1-seed1"]
    assert {path.name: path.read_bytes() for path in folder.glob("*.json")} == whole
    other = model.model_copy(update={"filter": "ukf"})
    assert host_study.fingerprint(recipe, dataset, other) != host_study.fingerprint(recipe, dataset, model)


def test_test_cells_are_not_read(workspace: Workspace) -> None:
    dataset = Dataset.open(workspace.dataset)
    held_out = (dataset.samples["split"] == "test").to_numpy()
    without = dataset.select(~held_out)
    some = [case for case in cases(workspace.recipe) if case.kind in ("polynomial", TEACHER)]
    for case in some:
        pair = [Fitter(workspace.recipe, one, workspace.root / "x", silent) for one in (dataset, without)]
        one, other = (rms_of(fitter, case) for fitter in pair)
        np.testing.assert_array_equal(one, other)


def rms_of(fitter: Fitter, case: Case) -> np.ndarray:
    return fitter.residual(fitter.fit(case))


def test_signs_are_those_of_the_derivatives_that_always_rise() -> None:
    """Of 2 spectra at 2 frequencies one of four is wrong for Re Z by lam_ne, and none for -Im Z by the film."""
    J = np.full((2, 4, len(NETWORK_INPUTS)), -1.0)
    J[:, :2, NETWORK_INPUTS.index("lam_ne")] = [[1.0, 1.0], [1.0, -1.0]]
    J[:, 2:, NETWORK_INPUTS.index("log10_sei_thickness")] = 1.0

    class Stub:
        def evaluate(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros((2, 4)), J

    assert host_study.physical_signs(Stub(), np.zeros((2, len(NETWORK_INPUTS)))) == 7 / 8


def test_a_difference_within_the_spread_is_none() -> None:
    assert network.verdict([1.0, 1.1], [1.2, 1.3]) == "better"
    assert network.verdict([1.0, 1.25], [1.2, 1.3]) == "no"
    assert network.verdict([1.4, 1.5], [1.2, 1.3]) == "worse"


def test_without_a_model_the_command_says_what_makes_one(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(EishilError, match=r"model\.json is missing; `eishil quantize"):
        network.command(workspace.recipe_path, tmp_path / "elsewhere", None)
