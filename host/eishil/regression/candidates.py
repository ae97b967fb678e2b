"""The regressors that users know, each with the few settings that are tried; scikit-learn's, scaled inside."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

MEAN = "mean"
BACKENDS = ("random_forest", "gaussian_process", "mlp")
RIDGE_ALPHAS = tuple(10.0 ** (k / 2) for k in range(-4, 9))
# A Gaussian process takes the cube of its points; more rows than this are thinned evenly.
MOST_ROWS = {"gaussian_process": 1500}


@dataclass(frozen=True)
class Candidate:
    """One backend with one choice of settings."""

    backend: str
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.settings.items()) or "none"

    def regressor(self, seed: int) -> Any:
        """An estimator that is not fitted; inputs and label are standardised on whatever it is fitted on.

        Where a row lacks an input, it gets the mean of the fitted rows, and a further column says so.
        """
        lacking = SimpleImputer(add_indicator=True, keep_empty_features=True)
        inner = _BUILDERS[self.backend](dict(self.settings), seed)
        return TransformedTargetRegressor(make_pipeline(lacking, StandardScaler(), inner), transformer=StandardScaler())


def candidates(backend: str) -> list[Candidate]:
    """What is tried of a backend."""
    return [Candidate(backend, settings) for settings in _GRID[backend]]


@contextmanager
def quiet_fit() -> Iterator[None]:
    """One BLAS thread, and no warnings that a budget of iterations was spent."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _forest(settings: dict[str, Any], seed: int) -> Any:
    return RandomForestRegressor(n_estimators=100, random_state=seed, **settings)


def _process(settings: dict[str, Any], seed: int) -> Any:
    # The search starts from a good deal of noise: from little it ends where everything is noise.
    kernel = ConstantKernel(1.0) * Matern(3.0, (0.1, 1e3), **settings) + WhiteKernel(0.3, (1e-6, 2.0))
    return GaussianProcessRegressor(kernel, random_state=seed)


def _mlp(settings: dict[str, Any], seed: int) -> Any:
    return MLPRegressor(max_iter=300, random_state=seed, **settings)


def _ridge(settings: dict[str, Any], seed: int) -> Any:
    return RidgeCV(RIDGE_ALPHAS, **settings)  # by leaving one row out


def _mean(settings: dict[str, Any], seed: int) -> Any:
    return DummyRegressor()


_BUILDERS = {"random_forest": _forest, "gaussian_process": _process, "mlp": _mlp, "ridge": _ridge, MEAN: _mean}
_GRID: dict[str, list[dict[str, Any]]] = {
    MEAN: [{}],
    "random_forest": [{"max_features": 0.33, "min_samples_leaf": leaf} for leaf in (1, 4)],
    "gaussian_process": [{"nu": 1.5}, {"nu": float("inf")}],  # once differentiable, and smooth
    "mlp": [{"hidden_layer_sizes": (64, 64), "alpha": alpha} for alpha in (1e-4, 1e-1)],
}
