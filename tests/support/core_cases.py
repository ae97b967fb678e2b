"""Random models that between them reach every path of the C core."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eishil import codegen
from eishil.ccore import CoreLibrary
from eishil.filters.step import StepInput
from eishil.model import Gate, Model
from eishil.network.mlp import FloatNetwork
from support.random_models import random_estimator, random_steps, with_refinements

GATE = Gate(probability=1e-6, patience=2, probation=1)
# What a model has of `with_refinements`: shapes and refinements are spread over the cases, not multiplied.
NOISE = {"instrument": True, "curvature": False}
CURVED = {"instrument": False, "curvature": True}
LINEAR = {"instrument": False, "curvature": False, "temperature_effect": True}
NOISE_CURVED = {"instrument": True, "curvature": True}
ALL = {"instrument": True, "curvature": True, "temperature_effect": True}
CASES: dict[str, dict[str, Any]] = {
    "random_walk": {"refinements": NOISE},
    "latent": {"n_latents": 12, "n_readouts": 2, "gate": GATE, "refinements": NOISE_CURVED},
    "bank": {"n_priors": 3, "n_series_terms": 2, "gate": GATE, "refinements": NOISE_CURVED},
    "largest": {"n_modes": 8, "n_latents": 16, "n_priors": 8, "n_frequencies": 32, "hidden": (64, 64, 64)},
    "unscented": {"filter": "ukf"},
    "unscented_bank": {
        "filter": "ukf",
        "gate": GATE,
        "n_latents": 4,
        "n_priors": 2,
        "n_frequencies": 8,
        "hidden": (15, 9),
        "refinements": NOISE,
    },
    "linear_context": {"n_priors": 2, "refinements": ALL},
    "unscented_linear_context": {"filter": "ukf", "hidden": (15, 9), "refinements": LINEAR},
    "smallest": {"n_modes": 1, "n_series_terms": 0, "n_frequencies": 1, "hidden": (3,), "refinements": CURVED},
}

# Under the sanitizers, where another run has shown that the numbers are right, what the code touches is looked at.
N_STEPS = 10 if os.environ.get("EISHIL_CORE_SANITIZE") == "1" else 30


@dataclass(frozen=True)
class Case:
    """A model, the float network behind it, and the core that was generated from it."""

    name: str
    model: Model = field(repr=False)
    network: FloatNetwork = field(repr=False)
    core: CoreLibrary = field(repr=False)


def make_model(name: str) -> tuple[Model, FloatNetwork]:
    shape = dict(CASES[name])
    update = {"filter": shape.pop("filter", "ekf"), "gate": shape.pop("gate", None)}
    refinements = shape.pop("refinements", None)
    rng = np.random.default_rng(list(CASES).index(name))
    model, network = random_estimator(rng, **shape)
    model = with_refinements(rng, model, **refinements) if refinements else model
    return model.model_copy(update=update), network


def make_case(name: str, generated_dir: Path, sanitize: bool) -> Case:
    model, network = make_model(name)
    codegen.generate(model, generated_dir)
    return Case(name, model, network, CoreLibrary.build(generated_dir, sanitize=sanitize))


def steps(case: Case, seed: int, n_steps: int = N_STEPS, spoiled: float = 0.05) -> list[StepInput]:
    """Spectra that the model finds plausible, but for the points that are `spoiled`."""
    return list(random_steps(np.random.default_rng(seed), case.model, case.network, n_steps, spoiled=spoiled))


def new_filter(core: CoreLibrary, x: np.ndarray, P: np.ndarray) -> Any:
    """`gaussian_t *`."""
    return core.ffi.new("gaussian_t *", {"x": x.tolist(), "P": P[np.triu_indices(len(x))].tolist()})
