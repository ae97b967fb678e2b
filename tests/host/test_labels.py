"""Remaining useful life: straight lines whose end can be told by hand, censored lives, cells measured once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eishil.dataset.labels import remaining_cycles, with_remaining_life


def test_life_ends_where_the_line_between_two_points_crosses_the_limit() -> None:
    rul, censored = remaining_cycles(np.array([0.0, 100.0, 200.0, 300.0]), np.array([1.0, 0.9, 0.75, 0.7]))
    assert not censored
    # From 0.9 to 0.75 in 100 cycles: 0.8 is two thirds of the way.
    assert rul == pytest.approx([500 / 3, 200 / 3, 0.0, 0.0])


def test_a_life_that_outlasts_its_trajectory_is_censored_at_what_was_seen() -> None:
    rul, censored = remaining_cycles(np.array([0.0, 100.0, 200.0]), np.array([1.0, 0.9, 0.8]))
    assert censored
    assert rul.tolist() == [200.0, 100.0, 0.0]


def test_the_first_crossing_counts_although_capacity_comes_back() -> None:
    rul, censored = remaining_cycles(np.array([0.0, 10.0, 20.0, 30.0]), np.array([0.9, 0.7, 0.9, 0.7]))
    assert not censored
    assert rul == pytest.approx([5.0, 0.0, 0.0, 0.0])


def test_points_without_a_label_are_passed_over_and_do_not_prolong_a_censored_life() -> None:
    rul, censored = remaining_cycles(np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, np.nan, 0.9, np.nan]))
    assert censored
    assert rul.tolist() == [20.0, 10.0, 0.0, 0.0]
    rul, censored = remaining_cycles(np.array([0.0, 10.0, 20.0]), np.array([0.9, np.nan, 0.7]))
    assert not censored
    assert rul == pytest.approx([10.0, 0.0, 0.0])


def test_a_cell_without_any_label_has_no_remaining_life() -> None:
    rul, censored = remaining_cycles(np.array([0.0, 10.0]), np.array([np.nan, np.nan]))
    assert censored
    assert np.isnan(rul).all()


def test_a_table_is_labelled_by_cell_in_any_order_and_with_any_index() -> None:
    samples = pd.DataFrame(
        {
            "cell_id": ["b", "a", "once", "b", "a", "stored"],
            "population": ["trajectory", "trajectory", "snapshot", "trajectory", "trajectory", "trajectory"],
            "cycles": [100.0, 0.0, np.nan, 0.0, 50.0, np.nan],
            "soh": [0.7, 1.0, 0.9, 0.9, 0.9, 0.9],
        },
        index=[7, 3, 3, 9, 1, 2],
    )
    labelled = with_remaining_life(samples)
    assert labelled["rul_cycles"].to_numpy() == pytest.approx([0.0, 50.0, np.nan, 50.0, 0.0, np.nan], nan_ok=True)
    assert labelled["rul_censored"].tolist() == [False, True, pd.NA, False, True, pd.NA]
    assert labelled.index.tolist() == samples.index.tolist()
