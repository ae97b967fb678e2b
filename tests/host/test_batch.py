"""Many lives at once against one after the other, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eishil.filters.batch import NotForBatchesError, replay_many
from eishil.filters.replay import Estimates, MeasuredCell, replay, replay_each
from eishil.model import Model
from support.estimates import life_of_spectra
from support.random_models import random_estimator


def cells(model: Model, lengths: list[int]) -> list[MeasuredCell]:
    """Lives that end early, with points that are masked or of a wrong sign."""
    lives = [life_of_spectra(model, 30 + 3 * k)[-length:] if length else [] for k, length in enumerate(lengths)]
    return [
        MeasuredCell(f"cell_{k}", tuple(life), pd.DataFrame({"soh": np.linspace(1, 0.8, len(life))}), 0)
        for k, life in enumerate(lives)
    ]


def assert_same(one: Estimates, other: Estimates) -> None:
    for name in ("soh", "sigma", "nis"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(one.n_used, other.n_used)
    np.testing.assert_array_equal(one.label, other.label)


@pytest.mark.parametrize("latents", [0, 5])
def test_many_lives_at_once_are_filtered_as_each_of_them(latents: int) -> None:
    model, network = random_estimator(np.random.default_rng(5), n_latents=latents, n_priors=1)
    some = cells(model, [20, 7, 0, 30])
    replay_many(model, network, [cell.steps for cell in some])  # is not left to the steps
    assert_same(replay(model, network, some), replay_each(model, network, some))


def test_what_a_filter_refuses_is_left_to_its_steps() -> None:
    model, network = random_estimator(np.random.default_rng(6), n_priors=1)
    (life,) = cells(model, [12])
    mad = replace(life, steps=(*life.steps[:5], replace(life.steps[5], voltage_V=np.nan), *life.steps[6:]))
    with pytest.raises(NotForBatchesError):
        replay_many(model, network, [mad.steps])
    estimates = replay(model, network, [mad])
    assert estimates.n_used[5] == 0 and estimates.soh[5] == estimates.soh[4]
    assert_same(estimates, replay_each(model, network, [mad]))


def test_banks_and_unscented_filters_go_step_by_step() -> None:
    bank, network = random_estimator(np.random.default_rng(7), n_priors=2)
    single, own = random_estimator(np.random.default_rng(7), n_priors=1)
    for model, h in ((bank, network), (single.model_copy(update={"filter": "ukf"}), own)):
        some = cells(model, [6])
        with pytest.raises(NotForBatchesError):
            replay_many(model, h, [cell.steps for cell in some])
        assert_same(replay(model, h, some), replay_each(model, h, some))
