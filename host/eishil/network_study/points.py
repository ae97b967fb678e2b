"""Points of the recipe's box that nobody solved: what a student asks its teacher."""

from __future__ import annotations

import numpy as np

from eishil.cell import esoh
from eishil.cell.ageing import snapshot
from eishil.dataset.design import Block, rows
from eishil.dataset.recipe import Recipe
from eishil.dataset.spread import factors
from eishil.dataset.states import aged_state
from eishil.network.mlp import Array
from eishil.network.samples import network_inputs


def unsolved_points(recipe: Recipe, count: int) -> Array:
    """Physical inputs (n, n_inputs) of training snapshots beyond those of the data set, n <= `count`.

    They go on with the sequence that fills the box, so that none is one of the data set's. Modes that no cell can have
    are left out, which needs eSOH only; the rest voltage is its open-circuit voltage.
    """
    first = recipe.population.train.snapshots
    samples = rows(recipe, Block("train", "snapshot", first, first + count, steps=1))
    aged = aged_state(recipe.cell.parameter_set, samples)
    soc, temperature_degC = samples["soc"].to_numpy(), samples["temperature_degC"].to_numpy()
    state = snapshot(recipe.cell.parameter_set, aged, soc, temperature_degC, factors(samples))
    possible = state.reason == ""
    cell = esoh.fresh_cell(recipe.cell.parameter_set)
    voltage_V = cell.open_circuit_voltage_V(state.theta_n[possible], state.theta_p[possible])
    return np.asarray(network_inputs(samples[possible].assign(voltage_V=voltage_V)))
