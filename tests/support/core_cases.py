"""Random models that between them reach every path of the C core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eishil import codegen
from eishil.ccore import CoreLibrary
from eishil.model import Gate, Model
from eishil.network.mlp import FloatNetwork
from support.random_models import random_estimator, with_linear_context

GATE = Gate(probability=1e-6, patience=2, probation=1)
CASES: dict[str, dict[str, Any]] = {
    "random_walk": {},
    "latent": {"n_latents": 12, "n_readouts": 2, "gate": GATE},
    "bank": {"n_priors": 3, "n_series_terms": 2, "gate": GATE},
    "largest": {"n_modes": 8, "n_latents": 16, "n_priors": 8, "n_frequencies": 32, "hidden": (64, 64, 64)},
    "unscented": {"filter": "ukf"},
    "unscented_bank": {
        "filter": "ukf",
        "gate": GATE,
        "n_latents": 4,
        "n_priors": 2,
        "n_frequencies": 8,
        "hidden": (15, 9),
    },
    "linear_context": {"linear_context": True, "n_priors": 2},
    "unscented_linear_context": {"linear_context": True, "filter": "ukf", "hidden": (15, 9)},
    "smallest": {"n_modes": 1, "n_series_terms": 0, "n_frequencies": 1, "hidden": (3,)},
}


@dataclass(frozen=True)
class Case:
    """A model, the float network behind it, and the core that was generated from it."""

    name: str
    model: Model
    network: FloatNetwork
    core: CoreLibrary


def make_model(name: str) -> tuple[Model, FloatNetwork]:
    shape = dict(CASES[name])
    update = {"filter": shape.pop("filter", "ekf"), "gate": shape.pop("gate", None)}
    linear_context = shape.pop("linear_context", False)
    rng = np.random.default_rng(list(CASES).index(name))
    model, network = random_estimator(rng, **shape)
    model = with_linear_context(rng, model) if linear_context else model
    return model.model_copy(update=update), network


def make_case(name: str, generated_dir: Path, sanitize: bool) -> Case:
    model, network = make_model(name)
    codegen.generate(model, generated_dir)
    return Case(name, model, network, CoreLibrary.build(generated_dir, sanitize=sanitize))
