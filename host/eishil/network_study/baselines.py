"""Observation models that are no networks: polynomials by ridge regression, and a Gaussian process."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.preprocessing import PolynomialFeatures
from threadpoolctl import threadpool_limits

from eishil.network.mlp import Array
from eishil.network.samples import NetworkSamples
from eishil.network.train import BLAS_THREADS, Scaling

RIDGE = 1e-8  # of the largest eigenvalue; there are many spectra for each coefficient
HYPERPARAMETER_POINTS = 400


@dataclass(frozen=True)
class Polynomial:
    """ln ohm as a polynomial of standardised inputs: `powers` (K, n_inputs), `coefficients` (K, m)."""

    scaling: Scaling
    powers: NDArray[np.int64]
    coefficients: Array

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the outputs, the monomials not counted."""
        return int(self.coefficients.size)

    def evaluate(self, v: Array) -> tuple[Array, Array]:
        """Outputs (..., m) in ln ohm and Jacobian (..., m, n_inputs) at physical inputs v (..., n_inputs)."""
        x = (v - self.scaling.input_mean) / self.scaling.input_std
        value, gradient = monomials(x, self.powers)
        y = self.scaling.output_mean + value @ self.coefficients
        return y, (self.coefficients.T @ gradient) / self.scaling.input_std


def monomials(x: Array, powers: NDArray[np.int64]) -> tuple[Array, Array]:
    """Products of powers of x (..., n), (..., K), and their derivatives, (..., K, n)."""
    factors = x[..., None, :] ** powers
    slopes = powers * x[..., None, :] ** np.maximum(powers - 1, 0)
    gradient = np.empty_like(factors)
    for j in range(x.shape[-1]):
        others = np.delete(factors, j, axis=-1).prod(axis=-1)
        gradient[..., j] = slopes[..., j] * others
    return factors.prod(axis=-1), gradient


def fit_polynomial(samples: NetworkSamples, degree: int) -> Polynomial:
    """All monomials up to `degree`, by least squares with a trace of ridge."""
    scaling = Scaling.of(samples)
    x = (samples.v - scaling.input_mean) / scaling.input_std
    features = PolynomialFeatures(degree)
    with threadpool_limits(BLAS_THREADS):
        design = features.fit_transform(x)
        normal = design.T @ design
        normal += RIDGE * np.linalg.eigvalsh(normal)[-1] * np.eye(len(normal))
        coefficients = np.linalg.solve(normal, design.T @ (samples.ln_ohm - scaling.output_mean))
    return Polynomial(scaling, features.powers_, coefficients)


@dataclass(frozen=True)
class GaussianProcess:
    """Mean of a Gaussian process with a squared-exponential kernel, a length scale for each standardised input.

    `centres` (N, n_inputs), in length scales; `weights` (N, m), in ln ohm.
    """

    scaling: Scaling
    length_scale: Array
    centres: Array
    weights: Array

    @property
    def macs(self) -> int:
        """Multiply-accumulates of distances and outputs, the exponentials not counted."""
        return int(self.centres.size + self.weights.size)

    def evaluate(self, v: Array) -> tuple[Array, Array]:
        """Outputs (..., m) in ln ohm and Jacobian (..., m, n_inputs) at physical inputs v (..., n_inputs)."""
        x = (v - self.scaling.input_mean) / self.scaling.input_std / self.length_scale
        squared = np.sum(x**2, axis=-1)[..., None] + np.sum(self.centres**2, axis=1) - 2 * x @ self.centres.T
        kernel = np.exp(-squared / 2)
        value = kernel @ self.weights
        # dk/dx = k (centre - x), input by input: the table of all of them at once would be large.
        columns = [(kernel * centre) @ self.weights - x[..., [j]] * value for j, centre in enumerate(self.centres.T)]
        slope = np.stack(columns, axis=-1) / (self.scaling.input_std * self.length_scale)
        return self.scaling.output_mean + value, slope


def fit_gaussian_process(samples: NetworkSamples, points: int, seed: int) -> GaussianProcess:
    """Of `points` training samples drawn at random; hyperparameters by marginal likelihood on the first of them."""
    scaling = Scaling.of(samples)
    drawn = np.random.default_rng(seed).permutation(len(samples.v))[:points]
    x = (samples.v[drawn] - scaling.input_mean) / scaling.input_std
    y = (samples.ln_ohm[drawn] - scaling.output_mean) / scaling.output_std
    kernel = RBF(np.full(x.shape[1], 3.0), (0.1, 1e3)) + WhiteKernel(1e-4, (1e-9, 1.0))
    with warnings.catch_warnings(), threadpool_limits(BLAS_THREADS):
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its end: an input that hardly counts
        few = slice(0, HYPERPARAMETER_POINTS)
        found = GaussianProcessRegressor(kernel).fit(x[few], y[few]).kernel_
        fitted = GaussianProcessRegressor(found, optimizer=None).fit(x, y)
    length_scale = np.asarray(found.k1.length_scale)
    return GaussianProcess(scaling, length_scale, x / length_scale, scaling.output_std * fitted.alpha_)
