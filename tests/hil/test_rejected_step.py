"""A spectrum that the device refuses: the estimate stays, on the device as in the reference, and so do the figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eishil import wire
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.filters.ekf import Ekf
from eishil.network.onnx_files import load_float_network
from eishil.progress import silent
from eishil_bench.dut import open_dut
from eishil_bench.runs.limits import load_limits
from eishil_bench.runs.measure import judge, measure
from eishil_bench.runs.stimulus import held_out_trajectories

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
REJECTED, OUTLIER = (wire.ENUMS["status"][name] for name in ("REJECTED_INPUT", "OUTLIER"))
IMPOSSIBLE_V = 11.0
ABOUT = {"recipe": "r", "description": "", "run_table": "run.parquet", "provenance": {}}


@pytest.mark.parametrize(("target", "image_name"), [("native", "native_image"), ("qemu", "qemu_image")])
def test_rejected_and_outlying_spectra_leave_the_estimate(target, image_name, first_light_model, request):
    image = request.getfixturevalue(image_name)
    sample, recipe = Dataset.open(DATASETS / "sample"), Recipe.load(DATASETS / "recipes" / "first_light.toml")
    trajectory = held_out_trajectories(sample, recipe, first_light_model)[0]
    spectra = list(trajectory.spectra[:6])
    spectra[3] = replace(spectra[3], measured=replace(spectra[3].measured, voltage_V=IMPOSSIBLE_V))
    spectra[4] = replace(spectra[4], measured=replace(spectra[4].measured, z_ohm=1.3 * spectra[4].measured.z_ohm))
    network = load_float_network(DATASETS / "models" / "first_light" / "network_float.onnx")
    with open_dut(target, image) as dut:
        spoiled = [replace(trajectory, spectra=tuple(spectra))]
        measurement = measure(dut, first_light_model, image, Ekf(first_light_model, network), spoiled, silent)
    table = measurement.table
    assert list(table["device_status"] == REJECTED) == [False, False, False, True, False, False]
    assert list(table["device_status"] == OUTLIER) == [False, False, False, False, True, False]
    assert table["device_nis"][4] > 1000.0
    for column in ("device_soh", "device_soh_sigma", "reference_soh"):
        assert table[column][3] == table[column][2], column
    for column in ("device_x", "device_P"):
        assert np.array_equal(table[column][3], table[column][2]), column
    assert (table["device_nis"][3], table["device_n_used"][3]) == (0.0, 0)
    results = judge(measurement, first_light_model, image, 0, {}, target=target, target_kind=target, **ABOUT)
    assert results.max_abs_soh_difference <= load_limits()["max_abs_soh_difference"].at_most
    assert results.status_mismatches == 0
    assert (results.device.steps_rejected, results.device.outliers) == (1, 1)
