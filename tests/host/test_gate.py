"""The innovation gate: its limit against scipy's chi-square, its memory, and what a filter does with an outlier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from eishil import wire
from eishil.filters.ekf import Ekf
from eishil.filters.gate import OutlierGate, nis_limit
from eishil.filters.ukf import reference_filter
from eishil.model import Gate, Model
from eishil.network.mlp import FloatNetwork
from support.random_models import random_estimator
from support.simulated_cells import expected_life

STATUS = wire.ENUMS["status"]
GATE = Gate(probability=1e-6, patience=2, probation=3)
PLAUSIBLE, WILD, N_USED = 22.0, 1e4, 22


@pytest.mark.parametrize("probability", [1e-12, 1e-6, 1e-3])
@pytest.mark.parametrize("n", [1, 5, 22, 64])
def test_the_limit_is_no_narrower_than_chi_square_and_not_much_wider(probability: float, n: int) -> None:
    quantile = chi2.isf(probability, n)
    assert quantile <= nis_limit(probability, n) < 2 * quantile


@pytest.mark.parametrize(
    ("spectra", "refused"),
    [
        (".x.x", ".r.r"),  # single outliers, once a plausible spectrum has armed the gate
        ("x..x...x", ".......r"),  # a filter that starts wrong believes what it is told
        (".xx.x...x", ".rr.....r"),  # after two in a row there is a probation, which an outlier prolongs
        (".xxxxx...x", ".rr......r"),  # nobody is locked out for ever
    ],
)
def test_when_a_spectrum_is_refused(spectra: str, refused: str) -> None:
    gate = OutlierGate(GATE)
    got = [gate.refuses(WILD if one == "x" else PLAUSIBLE, N_USED) for one in spectra]
    assert "".join("r" if one else "." for one in got) == refused


def test_without_a_gate_everything_is_believed() -> None:
    assert not OutlierGate(None).refuses(1e30, N_USED)


def gated(kind: str) -> tuple[Model, FloatNetwork]:
    shape = {"bank": {"n_priors": 3}, "latents": {"n_latents": 6}, "unscented": {}}[kind]
    model, network = random_estimator(np.random.default_rng(3), **shape)
    update = {"gate": GATE, "filter": "ukf" if kind == "unscented" else "ekf"}
    return model.model_copy(update=update), network


@pytest.mark.parametrize("kind", ["bank", "latents", "unscented"])
def test_an_outlier_is_time_that_passes_and_nothing_else(kind: str) -> None:
    """As if none of its points had been measured; a filter without a gate is led astray."""
    model, network = gated(kind)
    steps = expected_life(np.random.default_rng(4), model, network, 8)
    wild = replace(steps[5], z_ohm=1.5 * steps[5].z_ohm)
    blind = replace(steps[5], valid=np.zeros(model.n_frequencies, bool))
    ungated = model.model_copy(update={"gate": None})
    runs = {
        name: [ekf.step(one) for one in (*steps[:5], spoiled, *steps[6:])]
        for name, ekf, spoiled in (
            ("gate", reference_filter(model, network), wild),
            ("blind", reference_filter(ungated, network), blind),
            ("none", reference_filter(ungated, network), wild),
        )
    }
    assert [one.status for one in runs["gate"]] == [*[STATUS["OK"]] * 5, STATUS["OUTLIER"], *[STATUS["OK"]] * 2]
    for got, expected in zip(runs["gate"], runs["blind"], strict=True):
        for field in ("x", "P", "readout", "readout_sigma"):
            np.testing.assert_array_equal(getattr(got, field), getattr(expected, field))
    outlier, believed = runs["gate"][5], runs["none"][5]
    assert (outlier.nis, outlier.n_used) == (believed.nis, believed.n_used)
    assert np.abs(believed.x - outlier.x).max() > np.sqrt(np.diag(believed.P)).min()


def test_reset_arms_nothing() -> None:
    model, network = gated("latents")
    steps = expected_life(np.random.default_rng(5), model, network, 5)
    ekf = Ekf(model, network)
    for one in steps[:4]:
        ekf.step(one)
    wild = replace(steps[4], z_ohm=1.5 * steps[4].z_ohm)
    ekf.reset()
    assert ekf.step(wild).status == STATUS["OK"]
