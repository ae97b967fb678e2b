"""What the study compares, and how each of it is fitted to the training spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.filters.observation import Network
from eishil.filters.scores import rms
from eishil.network.conversion import convert
from eishil.network.integer import IntegerReference
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.onnx_files import load_float_network, write_float_network
from eishil.network.samples import NetworkSamples, network_samples
from eishil.network.train import fit_network
from eishil.network_study.baselines import GaussianProcess, Polynomial, fit_gaussian_process, fit_polynomial
from eishil.network_study.points import unsolved_points
from eishil.network_study.refinement import refine
from eishil.network_study.teacher import Teacher, fit_teacher
from eishil.progress import Progress

DEGREES = (1, 3, 5)
GAUSSIAN_PROCESS_POINTS = 1500
TEACHER_HIDDEN = (128, 128)
SIZES = ((16, 16), (32, 32), (64, 64))
TEACHERS, SEEDS = 2, 3
POINTS_PER_SPECTRUM = 3
POLYNOMIAL, GAUSSIAN, TEACHER, DIRECT = "polynomial", "Gaussian process", "teacher", "direct"
INT8, REFINED = "int8", "int8, refined"
DISTILLED, DISTILLED_FROM_LARGE = "distilled from the teacher", "distilled from the largest"


@dataclass(frozen=True)
class Case:
    """One row: a kind, its size (degree, points or units of hidden layers), and what seed it is drawn with."""

    kind: str
    size: tuple[int, ...]
    seed: int

    @property
    def group(self) -> str:
        """What rows that differ by their seed only have in common."""
        if self.kind == POLYNOMIAL:
            return "linear" if self.size == (1,) else f"polynomial, degree {self.size[0]}"
        if self.kind == GAUSSIAN:
            return f"Gaussian process, {self.size[0]} spectra"
        name = "Kramers-Kronig teacher" if self.kind == TEACHER else f"MLP, {self.kind}"
        return f"{name} {self.size}"

    @property
    def file_name(self) -> str:
        return "-".join(
            [*self.kind.lower().replace(",", "").split(), "x".join(map(str, self.size)), f"seed{self.seed}"]
        )


def cases(recipe: Recipe) -> list[Case]:
    """All rows in an order in which teachers come before their students."""
    first, own = recipe.network.seed, tuple(recipe.network.hidden)
    seeds = range(first, first + SEEDS)
    made = [Case(POLYNOMIAL, (degree,), first) for degree in DEGREES]
    made.append(Case(GAUSSIAN, (GAUSSIAN_PROCESS_POINTS,), first))
    made += [Case(DIRECT, size, seed) for size in sorted({*SIZES, own}) for seed in seeds]
    made += [Case(TEACHER, TEACHER_HIDDEN, seed) for seed in range(first, first + TEACHERS)]
    return made + [Case(kind, own, seed) for kind in (INT8, REFINED, DISTILLED, DISTILLED_FROM_LARGE) for seed in seeds]


@dataclass
class Fitter:
    """Fits cases one after the other and keeps those that students ask; `folder` gets networks as ONNX files."""

    recipe: Recipe
    dataset: Dataset
    folder: Path
    progress: Progress
    _teachers: dict[Case, Teacher] = field(default_factory=dict)

    def __post_init__(self) -> None:
        train, frequency_Hz = self.dataset.split("train"), self.recipe.network.frequency_Hz
        self.train = network_samples(train, frequency_Hz)
        self.train_everywhere = network_samples(train, self.dataset.frequency_Hz)
        self.validation = network_samples(self.dataset.split("validation"), frequency_Hz)

    def fit(self, case: Case) -> Network:
        """The model of a case; MLPs are read from their file where it is there."""
        return self._fits()[case.kind](case)

    def residual(self, network: Network) -> Array:
        """Errors (S, m) of ln Z on validation spectra."""
        return network.evaluate(self.validation.v)[0] - self.validation.ln_ohm

    def _fits(self) -> dict[str, Callable[[Case], Network]]:
        return {
            POLYNOMIAL: lambda case: fit_polynomial(self.train, case.size[0]),
            GAUSSIAN: lambda case: fit_gaussian_process(self.train, case.size[0], case.seed),
            DIRECT: lambda case: self._mlp(case, self.train),
            INT8: lambda case: self._integer(self._direct(case)),
            REFINED: lambda case: self._integer(self._refined(case)),
            TEACHER: self._teacher,
            DISTILLED: lambda case: self._student(case, TEACHER),
            DISTILLED_FROM_LARGE: lambda case: self._student(case, DIRECT),
        }

    def _mlp(self, case: Case, samples: NetworkSamples) -> FloatNetwork:
        """As many steps of the optimiser as the recipe takes on its spectra, however many samples there are."""
        epochs = max(1, round(self.recipe.network.epochs * len(self.train.v) / len(samples.v)))
        changes = {"hidden": list(case.size), "seed": case.seed, "epochs": epochs}
        network, _ = fit_network(self.recipe.network.model_copy(update=changes), samples, self.progress)
        write_float_network(network, network_file(self.folder, case))
        return load_float_network(network_file(self.folder, case))  # rounded to float32, as everyone has it

    def _direct(self, case: Case) -> FloatNetwork:
        """The direct network of the same size and seed."""
        direct = replace(case, kind=DIRECT)
        path = network_file(self.folder, direct)
        return load_float_network(path) if path.is_file() else self._mlp(direct, self.train)

    def _refined(self, case: Case) -> FloatNetwork:
        settings = self.recipe.network.model_copy(update={"seed": case.seed})
        return refine(self._direct(case), settings, self.train, self.progress)

    def _integer(self, network: FloatNetwork) -> IntegerReference:
        """As `eishil quantize` makes it."""
        return IntegerReference(convert(network, self.train.v))

    def _teacher(self, case: Case) -> Teacher:
        if case not in self._teachers:
            frequency_Hz = [float(one) for one in self.dataset.frequency_Hz]
            changes = {"hidden": list(case.size), "seed": case.seed, "frequency_Hz": frequency_Hz}
            settings = self.recipe.network.model_copy(update=changes)
            found = fit_teacher(settings, self.train_everywhere, self.progress)
            self._teachers[case] = found.at(np.array(self.recipe.network.frequency_Hz))
        return self._teachers[case]

    def _student(self, case: Case, kind: str) -> FloatNetwork:
        """Training spectra with their own labels, and more points of the box with those of the best teacher."""
        points = unsolved_points(self.recipe, POINTS_PER_SPECTRUM * len(self.train.v))
        answers = self._best(kind).evaluate(points)[0]
        samples = NetworkSamples(np.concatenate([self.train.v, points]), np.concatenate([self.train.ln_ohm, answers]))
        return self._mlp(case, samples)

    def _best(self, kind: str) -> Network:
        """Of the largest of a kind the one with the smallest residual on validation spectra."""
        found = [case for case in cases(self.recipe) if case.kind == kind]
        largest = max(case.size for case in found)
        again = self._direct if kind == DIRECT else self.fit
        networks = [again(case) for case in found if case.size == largest]
        return min(networks, key=lambda network: rms(self.residual(network)))


def network_file(folder: Path, case: Case) -> Path:
    """Where an MLP lies."""
    return folder / f"{case.file_name}.onnx"


def macs(network: Network) -> int:
    """Multiply-accumulates of one evaluation without Jacobian."""
    if isinstance(network, Teacher):
        return macs(network.network) + network.basis.n_weights * 2 * len(network.frequency_Hz)
    if isinstance(network, IntegerReference):
        return sum(np.size(layer.weight) for layer in network.network.layers)
    if isinstance(network, Polynomial | GaussianProcess):
        return network.macs
    if isinstance(network, FloatNetwork):
        return sum(n_in * n_out for n_in, n_out in pairwise([network.n_inputs, *map(len, network.weights)]))
    raise TypeError(f"{type(network).__name__} is none of the study's")
