"""The sections of a recipe that only runs read: they shape neither data set nor model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eishil.dataset.recipe_types import Section


class EvaluationRecipe(Section):
    """What `eishil run` computes on this machine besides: the bound, an unscented filter, and more seeds.

    Each of `seeds` starts the training of another network and draws other noise.
    """

    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class CommissioningRecipe(Section):
    """How often `eishil run` measures every held-out cell before it ages, to learn its constants; 0 is not at all."""

    spectra: Annotated[int, Field(ge=0, le=99)]

    def check(self, *, ages: bool, evaluated: bool) -> None:
        """ValueError where the recipe's other sections do not go with it."""
        if self.spectra == 1:
            raise ValueError("commissioning.spectra: one does not tell how much an offset varies; take 2 or more, or 0")
        if self.spectra and not ages:
            raise ValueError("commissioning: cells that age by simulation cannot be commissioned; leave it out")
        if self.spectra and evaluated:
            raise ValueError(
                "commissioning: [evaluation] computes figures of cells that were not commissioned, which cannot stand"
                " beside those of a run that does; leave out one of them"
            )
