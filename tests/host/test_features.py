"""Features of circuits whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from eishil.dataset import circuits
from eishil.dataset.features import COLUMNS, features

F_HZ = np.logspace(-3, 4, 71)
OMEGA = 2 * np.pi * F_HZ
R0, R1, C1, SIGMA = 0.010, 0.020, 0.5, 0.001
RANDLES = R0 + R1 / (1 + 1j * OMEGA * R1 * C1) + SIGMA * (1 - 1j) / np.sqrt(OMEGA)


def test_features_of_a_circuit_are_its_values() -> None:
    found = features(RANDLES, F_HZ)
    assert {found[name] for name in COLUMNS if name.endswith("_quality")} == {"good"}
    assert found["ohmic_intercept_ohm"] == pytest.approx(R0, rel=0.01)
    assert found["arc_peak_ohm"] == pytest.approx(R1 / 2, rel=0.03)  # the tail adds a little
    assert found["arc_frequency_Hz"] == pytest.approx(1 / (2 * np.pi * R1 * C1), rel=0.03)
    assert found["r_ct_ohm"] == pytest.approx(R1, rel=0.05)
    assert found["c_dl_F"] == pytest.approx(C1, rel=0.07)
    assert found["warburg_ohm_s05"] == pytest.approx(SIGMA, rel=0.01)


def test_an_inductance_is_passed_at_the_axis() -> None:
    found = features(RANDLES + 1j * OMEGA * 1e-7, F_HZ)
    assert found["ohmic_quality"] == "good"
    assert found["ohmic_intercept_ohm"] == pytest.approx(R0, rel=0.02)


def test_what_is_not_there_is_not_given() -> None:
    line = R0 + 1.0 / (1j * OMEGA)
    assert features(line, F_HZ)["arc_quality"] == "no_arc" and np.isnan(features(line, F_HZ)["r_ct_ohm"])
    assert features(line, F_HZ)["warburg_quality"] == "not_semi_infinite"
    low = F_HZ < 1
    assert features(RANDLES[low], F_HZ[low])["ohmic_quality"] == "good"  # the arc is over, and looks like ohms
    assert features(RANDLES[F_HZ < 20], F_HZ[F_HZ < 20])["ohmic_quality"] == "not_reached"
    wide = F_HZ[::10]
    assert features(RANDLES[::10], wide)["warburg_quality"] == "too_few"
    masked = features(np.full(71, np.nan, complex), F_HZ)
    assert {masked[name] for name in COLUMNS if name.endswith("_quality")} == {"masked"}
    assert all(np.isnan(value) for value in masked.values() if isinstance(value, float))


@pytest.mark.parametrize("n_rc", [1, 2])
def test_a_fitted_circuit_has_its_values(n_rc: int) -> None:
    second = 0.015 / (1 + 1j * OMEGA * 0.015 * 20.0) if n_rc == 2 else 0.0
    found = circuits.fit(RANDLES + second, F_HZ, n_rc)
    expected = {"circuit_r0_ohm": R0, "circuit_r1_ohm": R1, "circuit_c1_F": C1, "circuit_warburg_ohm_s05": SIGMA}
    expected |= {"circuit_r2_ohm": 0.015, "circuit_c2_F": 20.0} if n_rc == 2 else {}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name
    assert found["circuit_quality"] == "good" and float(found["circuit_error"]) < 1e-5
    assert set(found) == set(circuits.columns(n_rc))


def test_a_circuit_that_does_not_fit_says_so() -> None:
    found = circuits.fit(RANDLES + 1j * OMEGA * 1e-3, F_HZ, 1)
    assert found["circuit_quality"] == "poor" and float(found["circuit_error"]) > circuits.POOR_FIT
    assert circuits.fit(np.full(71, np.nan, complex), F_HZ, 1)["circuit_quality"] == "masked"
