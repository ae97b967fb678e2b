"""A PyBaMM model as casadi functions of one parameter vector: initial state, residual, Jacobian, dV/dy.

The vector's order is that of `parameters.INPUTS` and is applied by name on both sides: PyBaMM's expressions receive
`inputs={name: p[i]}`, and `CellInputs` stacks its fields by the same table. There is no dict whose order could matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from eishil.cell.batch_function import BatchFunction
from eishil.cell.mesh import Mesh
from eishil.cell.parameters import INPUTS, discretised
from eishil.cell.schedule import Pattern

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class CellInputs:
    """What the linearised model is a function of; every field (S,), S samples.

    `factors` multiply constants of the parameter set (`constants.CONSTANTS`); the model has to be built for them.
    """

    temperature_K: Floats
    active_fraction_n: Floats
    active_fraction_p: Floats
    concentration_n_mol_m3: Floats
    concentration_p_mol_m3: Floats
    sei_thickness_m: Floats
    contact_resistance_ohm: Floats
    factors: Mapping[str, Floats] = field(default_factory=dict)

    def stacked(self, constants: tuple[str, ...] = ()) -> Floats:
        """(S, inputs), columns in the order of `INPUTS` and then the factors of `constants`, 1 where there is none."""
        assert set(self.factors) <= set(constants), "the model was not built for these factors"
        columns = [getattr(self, name) for name in INPUTS]
        columns += [self.factors.get(name, np.ones(len(self))) for name in constants]
        return np.stack([np.asarray(column, float) for column in columns], axis=1)

    def __len__(self) -> int:
        return len(self.temperature_K)

    def take(self, index: Any) -> CellInputs:
        """Some of the samples."""
        factors = {name: values[index] for name, values in self.factors.items()}
        return replace(self, factors=factors, **{name: getattr(self, name)[index] for name in INPUTS})


@dataclass(frozen=True)
class Local:
    """What is linear about S samples.

    Attributes
    ----------
    F
        (S, n), right-hand side and algebraic residual in PyBaMM's scaled units.
    voltage_V
        (S, 1).
    J
        (S, nnz), values of dF/dy in the order of the pattern.
    dV
        (S, n), dV/dy per ampere that a unit of the current's state stands for: V/A times the scale of y.
    """

    F: Floats
    voltage_V: Floats
    J: Floats
    dV: Floats


@dataclass(frozen=True)
class Linearisation:
    """Two casadi functions, y0(p) and (F, V, J, dV/dy)(y, p), and the pattern of J; all of it pickles."""

    initial_state_function: BatchFunction
    local_function: BatchFunction
    pattern: Pattern
    constants: tuple[str, ...] = ()

    def initial_state(self, p: Floats) -> Floats:
        """PyBaMM's initial conditions y0 (S, n) for the parameters p (S, inputs)."""
        return self.initial_state_function(p)[0]

    def local(self, y: Floats, p: Floats) -> Local:
        """Residual, voltage and derivatives at the states y (S, n)."""
        return Local(*self.local_function(y, p))

    def compiled(self) -> Linearisation:
        """The same with machine code for both functions, where they can be compiled.

        Compiling DFN on the default mesh takes half a minute and makes `local` two to three times as fast: it pays for
        large data sets. What was compiled is kept (see `compiler.cache_directory`).
        """
        return replace(
            self,
            initial_state_function=self.initial_state_function.compiled(),
            local_function=self.local_function.compiled(),
        )


@cache
def linearise(parameter_set: str, model: str, mesh: str | Mesh, constants: tuple[str, ...] = ()) -> Linearisation:
    """Build, discretise and differentiate a model once per process; factors on `constants` are inputs too."""
    discrete = discretised(parameter_set, model, mesh, constants)
    return replace(differentiate(discrete, (*INPUTS.values(), *constants)), constants=constants)


def differentiate(discrete: Any, names: tuple[str, ...], held: Indices | None = None) -> Linearisation:
    """The functions of a discretised model whose current is a state.

    p has its inputs in the order of `names`, and then the states that are `held`: they do not move, and y, F and the
    pattern are without them.
    """
    total = discrete.concatenated_initial_conditions.shape[0]
    held = np.empty(0, np.intp) if held is None else held
    free = np.setdiff1d(np.arange(total), held)
    p, y = casadi.MX.sym("p", len(names) + len(held)), casadi.MX.sym("y", len(free))
    states = casadi.vertcat(y, p[len(names) :])[np.argsort(np.concatenate([free, held])).tolist()]
    inputs = {name: p[i] for i, name in enumerate(names)}
    start = discrete.concatenated_initial_conditions.to_casadi(inputs=inputs)[free.tolist()]
    F = casadi.vertcat(
        discrete.concatenated_rhs.to_casadi(t=0, y=states, inputs=inputs),
        discrete.concatenated_algebraic.to_casadi(t=0, y=states, inputs=inputs),
    )[free.tolist()]
    V, current_A = (
        discrete.get_processed_variable(name).to_casadi(t=0, y=states, inputs=inputs)
        for name in ("Voltage [V]", "Current [A]")
    )
    local, sparsity, observed = _local(casadi.Function("model", [y, p], [F, V]), _current_scale_A(y, current_A))
    pattern = Pattern(
        n=len(free),
        row=np.array(sparsity.row(), np.int32),
        column_start=np.array(sparsity.colind(), np.int32),
        mass=_mass(discrete)[free],
        current=int(np.searchsorted(free, _current(discrete))),
        observed=observed,
    )
    initial_state = _expanded(casadi.Function("initial_state", [p], [casadi.densify(start)]))
    return Linearisation(BatchFunction(initial_state), BatchFunction(local), pattern)


def _local(model: Any, current_scale_A: float) -> tuple[Any, Any, NDArray[np.int32]]:
    """The function, the sparsity of J, and the states that the voltage depends on."""
    expanded = _expanded(model)
    kind: Any = casadi.SX if expanded.is_a("SXFunction") else casadi.MX
    y, p = kind.sym("y", model.size1_in(0)), kind.sym("p", model.size1_in(1))
    F, V = expanded(y, p)
    J, dV = casadi.jacobian(F, y), casadi.jacobian(V, y)
    results = [casadi.densify(F), V, J.nz[:], casadi.densify(dV) / current_scale_A]
    observed = np.flatnonzero(np.diff(dV.sparsity().colind())).astype(np.int32)
    return casadi.Function("local", [y, p], results, {"cse": True}), J.sparsity(), observed


def _current_scale_A(y: Any, current_A: Any) -> float:
    """Ampere per unit of the current's state: PyBaMM scales it."""
    gradient = casadi.Function("gradient", [y], [casadi.jacobian(current_A, y)])(0)
    assert gradient.nnz() == 1, "the current is expected to be one state"
    return float(gradient.nonzeros()[0])


def _expanded(function: Any) -> Any:
    """As a scalar graph, which evaluates about ten times as fast as PyBaMM's matrix graph; splines have none."""
    try:
        return function.expand()
    except RuntimeError:
        return function


def _mass(discrete: Any) -> Floats:
    matrix = discrete.mass_matrix.entries
    diagonal = np.asarray(matrix.diagonal(), float)
    assert matrix.nnz == np.count_nonzero(diagonal), "PyBaMM's mass matrix is expected to be diagonal"
    return diagonal


def _current(discrete: Any) -> int:
    starts = {variable.name: slices[0].start for variable, slices in discrete.y_slices.items()}
    return int(starts["Current variable [A]"])
