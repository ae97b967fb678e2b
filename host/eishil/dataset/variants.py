"""Recipes of a recipe's held-out cells under other circumstances: other cells, or the same ones while they are fresh.

Random streams hang on seed, split and number, so that the cells of a variant are those of the recipe, changed.
"""

from __future__ import annotations

from typing import Any

from eishil.dataset.recipe import PopulationRecipe, Recipe

STANDING_STILL = (1e-9, 1e-9)  # speed of ageing


def other_cells(recipe: Recipe, name: str, **sections: Any) -> Recipe:
    """The recipe's held-out trajectories with other sections, and no other cells."""
    none = PopulationRecipe(soc=recipe.population.test.soc, temperature_degC=recipe.population.test.temperature_degC)
    population = recipe.population.model_copy(update={"train": none, "validation": none})
    return recipe.model_copy(update={"name": f"{recipe.name}-{name}", "population": population, **sections})


def fresh_cells(recipe: Recipe, spectra: int) -> Recipe:
    """The recipe's held-out cells before they age, at so many charges and temperatures.

    Raises
    ------
    RecipeError
        The recipe has no paths of ageing, and no cells that could be taken before they age.
    """
    still = {"steps": spectra, "speed": STANDING_STILL, "knee_probability": 0.0}
    return other_cells(recipe, "fresh", ageing=recipe.ageing_paths().model_copy(update=still))
