"""Many lives at once against one after the other, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eishil.filters.batch import replay_many
from eishil.filters.observation import Network
from eishil.filters.replay import MeasuredCell, replay
from eishil.filters.ukf import reference_filter
from eishil.model import Gate, Model
from support.estimates import life_of_spectra
from support.random_models import random_estimator, with_refinements


def cells(model: Model, lengths: list[int]) -> list[MeasuredCell]:
    """Lives that end early, with points that are masked or of a wrong sign."""
    lives = [life_of_spectra(model, 30 + 3 * k)[-length:] if length else [] for k, length in enumerate(lengths)]
    return [
        MeasuredCell(f"cell_{k}", tuple(life), pd.DataFrame({"soh": np.linspace(1, 0.8, len(life))}), 0)
        for k, life in enumerate(lives)
    ]


def assert_as_step_by_step(model: Model, network: Network, some: list[MeasuredCell]) -> None:
    estimates, filter_ = replay(model, network, some), reference_filter(model, network)
    outputs = []
    for cell in some:
        filter_.reset()
        outputs += [filter_.step(step) for step in cell.steps]
    np.testing.assert_allclose(estimates.soh, [output.readout[0] for output in outputs], rtol=1e-9)
    np.testing.assert_allclose(estimates.sigma, [output.readout_sigma[0] for output in outputs], rtol=1e-9)
    np.testing.assert_allclose(estimates.nis, [output.nis for output in outputs], rtol=1e-9)
    np.testing.assert_array_equal(estimates.n_used, [output.n_used for output in outputs])
    np.testing.assert_array_equal(estimates.label, np.concatenate([cell.soh for cell in some]))


def at_once(model: Model, network: Network, some: list[MeasuredCell]) -> list[bool]:
    return [one is not None for one in replay_many(model, network, [cell.steps for cell in some])]


@pytest.mark.parametrize("latents", [0, 5])
@pytest.mark.parametrize("refined", [False, True])
def test_many_lives_at_once_are_filtered_as_each_of_them(latents: int, refined: bool) -> None:
    rng = np.random.default_rng(5)
    model, network = random_estimator(rng, n_latents=latents)
    if refined:
        model = with_refinements(rng, model, temperature_effect=True)
    some = cells(model, [20, 7, 0, 30])
    assert at_once(model, network, some) == [True] * 4
    assert_as_step_by_step(model, network, some)


def test_a_life_with_a_step_that_is_refused_goes_step_by_step_and_the_others_do_not() -> None:
    model, network = random_estimator(np.random.default_rng(6))
    sane, life = cells(model, [10, 12])
    mad = replace(life, steps=(*life.steps[:5], replace(life.steps[5], voltage_V=np.nan), *life.steps[6:]))
    assert at_once(model, network, [sane, mad]) == [True, False]
    assert_as_step_by_step(model, network, [sane, mad])


def test_a_life_with_an_outlier_goes_by_the_gates_rules() -> None:
    model, network = random_estimator(np.random.default_rng(8))
    model = model.model_copy(update={"gate": Gate(probability=1e-20, patience=2, probation=3)})
    sane, life = cells(model, [10, 30])
    wrong = replace(life.steps[10], z_ohm=10 * life.steps[10].z_ohm)
    mad = replace(life, steps=(*life.steps[:10], wrong, *life.steps[11:]))
    assert at_once(model, network, [sane, mad]) == [True, False]
    assert_as_step_by_step(model, network, [sane, mad])
    ungated = replay(model.model_copy(update={"gate": None}), network, [mad])
    assert abs(replay(model, network, [mad]).soh[10] - ungated.soh[10]) > 0.01


def test_banks_and_unscented_filters_go_step_by_step() -> None:
    bank, network = random_estimator(np.random.default_rng(7), n_priors=2)
    single, own = random_estimator(np.random.default_rng(7))
    for model, h in ((bank, network), (single.model_copy(update={"filter": "ukf"}), own)):
        some = cells(model, [6])
        assert at_once(model, h, some) == [False]
        assert_as_step_by_step(model, h, some)
