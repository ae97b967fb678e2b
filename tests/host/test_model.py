"""A model file is checked before anything is generated from it: every edit by hand is accepted whole or refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from eishil.errors import RecipeError
from eishil.model import Model

COMMITTED = Path(__file__).resolve().parents[2] / "datasets" / "models" / "first_light" / "model.json"


def edited(tmp_path: Path, place: tuple[str | int, ...], value: Any) -> Path:
    """The committed model with one value put in another's place; `...` removes the last element of a list."""
    document = json.loads(COMMITTED.read_text("utf-8"))
    part = document
    for key in place[:-1]:
        part = part[key]
    if value is ...:
        part[place[-1]].pop()
    else:
        part[place[-1]] = value
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_the_committed_model_loads_and_is_canonical() -> None:
    model = Model.load(COMMITTED)
    assert model.to_json() == COMMITTED.read_text("utf-8")
    assert model.dimensions()["n_observations"] == model.n_observations == len(model.noise.variance)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("readouts", 0, "input_mean"), ..., "readout soh.input_mean has shape"),
        (("readouts", 0, "input_scale"), ..., "readout soh.input_scale has shape"),
        (("readouts", 0, "w1", 0), ..., "readout soh.w1 has rows of different lengths"),
        (("readouts", 0, "inputs", 0), "capacity", "'capacity' is no mode; there are lli, lam_ne"),
        (("network", "inputs", 0), "capacity", "'capacity' is no mode"),
        (("series_terms", 0, "mode"), "contact", "'contact' is no mode"),
        (("noise", "variance", 3), -1.0, "noise.variance.3: Input should be greater than 0"),
        (("noise", "variance", 3), math.nan, "noise.variance.3: Input should be a finite number"),
        (("noise", "temperature_effect"), [[0.0, 0.0]], "noise.temperature_effect has shape"),
        (("noise", "temperature_effect"), [[0.0, 0.0]] * 22, "noise.voltage_std_V is 0 beside"),
        (("noise", "instrument_std"), -0.1, "noise.instrument_std: Input should be greater than or equal to 0"),
        (("curvature",), {"gradient": [1.0]}, "curvature.gradient has shape"),
        (("frequency_Hz", 0), -1.0, "frequency_Hz.0: Input should be greater than 0"),
        (("network", "input_scale", 0), 0.0, "network.input_scale.0: Input should be greater than 0"),
        (("network", "tangent", 0, 0), 50000, "network.tangent: 16-bit values"),
        (("network", "layers", 0, "weight", 0, 0), 128, "int8 weights between -127 and 127"),
        (("network", "layers", 0, "bias", 0), 2**31 - 1, "the accumulator of row 0 could leave int32"),
        (("network", "layers", 1, "multiplier"), ..., "layer 1.multiplier has 31 values"),
        (("states", 0, "process_variance_per_cycle"), math.inf, "process_variance_per_cycle: Input should be a finite"),
        (("priors", 0, "covariance", 0, 0), -1.0, "symmetric and positive definite"),
        (("schema_version",), 1, "schema_version: Input should be 2"),
        (("surplus",), 1, "surplus: this key is unknown"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], value: Any, words: str
) -> None:
    path = edited(tmp_path, place, value)
    with pytest.raises(RecipeError) as told:
        Model.load(path)
    assert str(told.value).startswith(f"{path}: ") and words in str(told.value)


def test_the_model_id_names_what_is_computed_and_nothing_else(tmp_path: Path) -> None:
    committed = Model.load(COMMITTED).model_id
    retold = edited(tmp_path, ("provenance", "version_python"), "3.99")
    assert Model.load(retold).model_id == committed
    changed = edited(tmp_path, ("noise", "voltage_std_V"), 0.003)
    assert Model.load(changed).model_id != committed


@pytest.mark.parametrize("text", ["", "[]", "{", "\0", '{"name": "x"}'])
def test_what_is_no_model_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text, "utf-8")
    with pytest.raises(RecipeError, match=r"model\.json"):
        Model.load(path)


def test_a_missing_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="eishil quantize"):
        Model.load(tmp_path / "model.json")
