"""What stands beside the observation network: the same function h(x) as a polynomial and as a Gaussian process.

All of them get the network's inputs and targets, fitted on the same training cells; the residual is that on validation
cells, root mean square over all outputs in ln ohm, the scale of a relative error of the impedance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from eishil.dataset.tables import Dataset
from eishil.filters.scores import rms
from eishil.network.samples import NetworkSamples, network_samples
from eishil.progress import Progress
from eishil.regression.candidates import quiet_fit

Floats = NDArray[np.float64]
DEGREES = {1: "linear", 2: "quadratic", 3: "cubic"}
ALPHA = 1e-6
PROCESS_POINTS = 1000


@dataclass(frozen=True)
class ObservationRow:
    """Residual of one form of h on validation cells, in ln ohm, over all outputs and of the worst one.

    `numbers` have to be kept to evaluate it: coefficients, or for a process its points and their weights.
    """

    name: str
    numbers: int
    residual: float
    worst_output: float


def observation_baselines(dataset: Dataset, frequency_Hz: ArrayLike, progress: Progress) -> list[ObservationRow]:
    """Polynomials of degree 1 to 3 and a Gaussian process."""
    train, held_out = (network_samples(dataset.split(split), frequency_Hz) for split in ("train", "validation"))
    total = len(DEGREES) + 1
    rows = []
    with quiet_fit():
        for done, (degree, name) in enumerate(DEGREES.items()):
            progress("h(x)", done, total, name)
            scaler, powers = StandardScaler(), PolynomialFeatures(degree)
            fitted = make_pipeline(scaler, powers, Ridge(ALPHA)).fit(train.v, train.ln_ohm)
            numbers = powers.n_output_features_ * train.ln_ohm.shape[1]
            rows.append(row(name, numbers, fitted.predict(held_out.v), held_out))
        progress("h(x)", len(DEGREES), total, "Gaussian process")
        rows.append(_process(train, held_out))
    progress("h(x)", total, total)
    return rows


def row(name: str, numbers: int, predicted: Floats, held_out: NetworkSamples) -> ObservationRow:
    """The residual of predictions (S, m) in ln ohm."""
    error = predicted - held_out.ln_ohm
    return ObservationRow(name, numbers, rms(error), float(np.sqrt((error**2).mean(axis=0)).max()))


def _process(train: NetworkSamples, held_out: NetworkSamples) -> ObservationRow:
    every = max(1, -(-len(train.v) // PROCESS_POINTS))
    v, y = train.v[::every], train.ln_ohm[::every]
    centre = y.mean(axis=0)
    scale = float(np.sqrt(y.var(axis=0).mean()))  # one for all outputs, as the network has it
    kernel = ConstantKernel(10.0) * RBF(np.full(v.shape[1], 3.0), (0.1, 1e3)) + WhiteKernel(1e-4, (1e-10, 1.0))
    fitted: Any = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel)).fit(v, (y - centre) / scale)
    predicted = fitted.predict(held_out.v) * scale + centre
    return row(f"Gaussian process of {len(v)} points", v.size + y.size, predicted, held_out)
