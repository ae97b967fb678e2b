"""How much of its offsets a commissioned cell's life changes: `commissioning.CHANGE` among others, on cells of a seed.

    python -m eishil.robustness.commissioning_choice RECIPE MODEL --std 0.03 --seed 991101 --cells 100

The cells are none of the recipe's: a seed that nothing else is drawn from. Where their figures choose the share, those
of another seed judge it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.dataset.variants import fresh_cells
from eishil.errors import EishilError
from eishil.filters.commissioning import CHANGE, commission
from eishil.filters.replay import Estimates, fresh_steps, measured_cells
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil.network.samples import frequency_columns
from eishil.progress import silent
from eishil.robustness.replay import replay_commissioned
from eishil.robustness.scenarios import FRESH_SPECTRA, spread_cells

CHANGES = (0.0, 0.1, 0.15, 0.2, CHANGE, 0.3, 0.4)


def cells_of(recipe: Recipe, std: float, seed: int, cells: int) -> Recipe:
    """So many test cells of a seed of their own, with constants off by `std`."""
    test = recipe.population.test.model_copy(update={"trajectories": cells, "seed": seed})
    population = recipe.population.model_copy(update={"test": test})
    return spread_cells(std)(recipe.model_copy(update={"population": population}))


def estimates(
    recipe: Recipe, model: Model, life: Dataset, fresh: Dataset, changes: Sequence[float]
) -> Iterator[Estimates]:
    """For each share the estimates along the lives of the test cells, commissioned with their fresh spectra."""
    network = IntegerReference(model.network)
    columns = frequency_columns(life.frequency_Hz, model.frequency_Hz)
    cells = measured_cells(life.split("test"), columns, recipe.measurement, recipe.seed)
    before = fresh_steps(fresh, columns, recipe.measurement, recipe.seed)
    for change in changes:
        found = [
            replay_commissioned(commission(model, network, before.get(cell.cell_id, ()), change), model, network, cell)
            for cell in cells
        ]
        names = Estimates.__dataclass_fields__
        yield Estimates(**{name: np.concatenate([getattr(one, name) for one in found]) for name in names})


def main() -> None:
    """Make the cells, and print a row for each share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--std", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cells", type=int, required=True)
    given = parser.parse_args()
    varied = cells_of(Recipe.load(given.recipe), given.std, given.seed, given.cells)
    model = Model.load(given.model)
    with TemporaryDirectory() as folder:
        life, fresh = Path(folder) / "life", Path(folder) / "fresh"
        for made, wanted in ((life, varied), (fresh, fresh_cells(varied, FRESH_SPECTRA))):
            generate(wanted, given.recipe, made, Options(), silent)
        found = estimates(varied, model, Dataset.open(life), Dataset.open(fresh), CHANGES)
        print(f"model {model.model_id.hex()[:16]}, {given.cells} cells of seed {given.seed}, {given.std:.0%}")
        print("| a | SOH error, rms | within 1 sigma | 2 sigma | -ln likelihood | NIS |\n|---|---|---|---|---|---|")
        for change, one in zip(CHANGES, found, strict=True):
            print(
                f"| {change:g} | {one.rmse:.3%} | {one.coverage(1.0):.1%} | {one.coverage(2.0):.1%} "
                f"| {one.negative_log_likelihood:.3f} | {one.nis_mean:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    try:
        main()
    except EishilError as mistake:
        print(mistake, file=sys.stderr)
        sys.exit(2)
