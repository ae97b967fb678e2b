"""Gates and identities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.dataset import quality
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError

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
