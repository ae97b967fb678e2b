"""Gates and identities."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from impedance.models.circuits.elements import circuit_elements
from impedance.validation import linKK

import eishil
from eishil.dataset import kramers_kronig, quality
from eishil.dataset.audit import audit
from eishil.dataset.design import MODES
from eishil.dataset.schema import COLUMNS
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError
from support.whole_dataset import write_dataset

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("model", ["DFN", "SPM"])
def test_kramers_kronig_tells_a_fault_from_a_cell(model: str) -> None:
    frequency = np.logspace(-2, 3, 18)
    spectra = [
        eishil.impedance("Chen2020", model, soc=soc, temperature_degC=t, frequency_Hz=frequency, mesh="pybamm").z_ohm
        for soc, t in ((0.1, 5.0), (0.5, 25.0), (0.9, 45.0))
    ]
    z = np.array(spectra)
    fine = np.zeros(len(z))
    assert kramers_kronig.applies(frequency)
    assert (quality.judge(z, frequency, fine, fine) == "").all()
    for point in range(1, 14):
        faulty = z.copy()
        faulty[:, point] *= 1.25
        assert (kramers_kronig.residual(faulty, frequency) > quality.KRAMERS_KRONIG_LIMIT).all(), point
    # Imaginary parts a tenth too small pass every other gate, and no causal system has such a spectrum.
    unlike = z.real + 0.5j * z.imag
    assert (quality.judge(unlike, frequency, fine, fine) == "kramers_kronig").all()


def test_kramers_kronig_equals_the_package_of_that_name() -> None:
    # The package builds an expression from numbers whose text numpy 2 begins with np.
    circuit_elements["np"] = np
    frequency = np.logspace(-2, 3, 31)
    omega = 2 * np.pi * frequency
    z = 0.01 + 0.02 / (1 + 0.2j * omega) + 0.01 / (1 + 20j * omega)
    broken = np.where(np.arange(31) == 12, 1.05, 1.0) * z
    ours = kramers_kronig.residual(np.array([z, broken]), frequency)
    for mine, one in zip(ours, (z, broken), strict=True):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints on the way
            *_, real, imag = linKK(frequency, one, c=None, max_M=20, fit_type="complex", add_cap=True)
        theirs = np.hypot(real, imag).max()
        assert mine == pytest.approx(theirs, rel=0.3, abs=2e-3)  # theirs is weighted by 1 / |Z|
    assert ours[0] < 1e-3 < quality.KRAMERS_KRONIG_LIMIT < ours[1]


@pytest.mark.parametrize("frequency", [[1.0], np.logspace(0, 2, 30), np.logspace(-2, 3, 11)])
def test_kramers_kronig_is_left_where_it_cannot_tell(frequency: Any) -> None:
    assert not kramers_kronig.applies(np.array(frequency))


def test_the_audit_finds_what_was_put_in(tiny: Path, tmp_path: Path) -> None:
    clean = json.loads((tiny / "quality.json").read_text())
    whole = Dataset.open(tiny)
    masked = whole.samples["reason"] != ""
    assert clean["samples"] == 68 and clean["duplicate_samples"] == clean["duplicate_spectra"] == 0
    assert clean["masked"]["by_reason"] == {"x_100": masked.sum()}
    by_hand = np.histogram2d(
        whole.samples["soc"][masked],
        whole.samples["temperature_degC"][masked],
        [clean["masked"]["soc_edges"], clean["masked"]["temperature_edges_degC"]],
    )[0]
    assert clean["masked"]["counts"]["x_100"] == by_hand.tolist()
    assert clean["backends"].get("none") == masked.sum()
    assert clean["leakage"]["test"]["near_duplicates"] == 0

    samples, z = whole.samples.copy(), whole.z_ohm.copy()
    training = np.flatnonzero((samples["split"] == "train") & ~masked)
    test = np.flatnonzero(samples["split"] == "test")
    state = [*MODES, "soc", "temperature_degC"]
    samples.loc[training[1], state] = samples.loc[training[0], state].to_numpy()
    z[training[1]] = z[training[0]]
    samples.loc[test[0], state] = samples.loc[training[3], state].to_numpy() * (1 + 1e-6)
    z[training[2], 1] = z[training[2], 0]
    samples.loc[training[4], "soh"] = np.nan
    write_dataset(tmp_path / "bad", samples, whole.frequency_Hz, z, whole.manifest)
    found = audit(tmp_path / "bad")
    assert found["duplicate_samples"] == found["duplicate_spectra"] == found["repeated_spectrum_points"] == 1
    assert found["leakage"]["test"]["near_duplicates"] == 1 and found["leakage"]["validation"]["near_duplicates"] == 0
    assert found["missing_labels"]["soh"] == 1
    assert found == json.loads((tmp_path / "bad" / "quality.json").read_text())


def test_the_card_says_what_the_tables_hold(tiny: Path) -> None:
    card = (tiny / "datacard.md").read_text()
    for words in ("68 simulated samples of Chen2020, model SPM", "3 frequencies", "| test | 2 | 8 | 0 |", "Seed 7"):
        assert words in card
    for name, one in COLUMNS.items():
        assert f"| `{name}` | {one.unit} | {one.meaning.replace('|', chr(92) + '|')} |" in card


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
