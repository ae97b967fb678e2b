"""Sparse linear systems (j omega M - J) x = b: one elimination schedule for all samples and frequencies.

`static_lu.c` runs the schedule over sixteen frequencies side by side; without a C compiler numpy runs it over all
frequencies of several samples. Neither pivots, so every answer is judged by its componentwise backward error (Oettli,
Prager: Numerische Mathematik 6, 1964, 405-409), and SuperLU with pivoting solves again what is not good enough.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from eishil.cell.compiler import shared_library
from eishil.cell.schedule import Pattern, Schedule

LANES = 16  # as in lanes.h
BACKWARD_ERROR_LIMIT = 1e-11  # above it an answer is solved again with pivoting

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
NUMPY_SAMPLES = 16  # at once, to stay near the cache

_ARRAYS = (
    *("row", "column", "diagonal", "source", "below", "below_entry", "below_row", "real_target", "target_slot"),
    *("fresh", "fresh_entry", "fresh_diagonal", "fresh_row", "slot", "mass"),
    *("beside", "beside_column", "beside_source", "root", "link", "link_mass", "observed"),
)


class _Struct(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("n", "real", "slots", "chains", "links", "observed_states")),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


def pivoted_impedance(pattern: Pattern, jacobian: Floats, voltage: Floats, omega: float) -> tuple[complex, float]:
    """One sample at one frequency by SuperLU with partial pivoting: Z in ohm and the componentwise backward error."""
    A = pattern.matrix(jacobian, omega)
    b = np.zeros(pattern.n, complex)
    b[pattern.current] = -1.0
    try:
        factors = splu(A)
        x = factors.solve(b)
        # One refinement makes the error small by components (Skeel): deep in a particle x is tiny, and has to be right.
        x += factors.solve(b - A @ x)
    except RuntimeError:  # exactly singular
        return complex(np.nan, np.nan), np.nan
    size = abs(A) @ np.abs(x) + np.abs(b)
    error = float(np.max(np.abs(b - A @ x) / np.where(size > 0, size, 1.0)))
    return complex(-(voltage @ x) / x[pattern.current]), error


class StaticSolver:
    """Executes the schedule of one pattern. Pickles as the schedule; the library is found or compiled on arrival."""

    def __init__(self, plan: Schedule) -> None:
        self.plan = plan
        self._function = _load()

    def __reduce__(self) -> tuple[Any, ...]:
        return (StaticSolver, (self.plan,))

    @property
    def compiled(self) -> bool:
        """Whether this machine could compile it; numpy takes several times as long."""
        return self._function is not None

    def impedance(self, jacobian: Floats, voltage: Floats, omega: Floats) -> tuple[Complexes, Floats]:
        """Z in ohm and the componentwise backward error, both (samples, F).

        Parameters
        ----------
        jacobian
            Values of J, (samples, nnz).
        voltage
            dV/dy, (samples, n).
        omega
            2 pi f in rad/s, (F,).
        """
        if self._function is None:
            parts = range(0, len(jacobian), NUMPY_SAMPLES)
            solved = [
                _numpy_impedance(self.plan, jacobian[k : k + NUMPY_SAMPLES], voltage[k : k + NUMPY_SAMPLES], omega)
                for k in parts
            ]
            z, error = (np.concatenate(part) for part in zip(*solved, strict=True))
            return z, error
        return self._compiled_impedance(jacobian, voltage, omega)

    def _compiled_impedance(self, jacobian: Floats, voltage: Floats, omega: Floats) -> tuple[Complexes, Floats]:
        plan, samples = self.plan, len(jacobian)
        groups = -(-len(omega) // LANES)
        padded = np.pad(omega, (0, groups * LANES - len(omega)), mode="edge")
        jacobian = np.ascontiguousarray(jacobian)
        observed = np.ascontiguousarray(voltage[:, plan.order[plan.observed]])
        chains, links = plan.link_mass.shape
        entries, n = len(plan.column), len(plan.order)
        lanes = _aligned((plan.slots + entries + 4 * n + links + 1) * 2 * LANES)
        numbers, same = np.empty(entries + n + len(plan.beside_column) + plan.link.size), np.empty(chains, np.int32)
        re, im, error = (np.empty((samples, groups * LANES)) for _ in range(3))
        arrays = (getattr(plan, name).ctypes.data for name in _ARRAYS)
        struct = _Struct(n, plan.real, plan.slots, chains, links, len(plan.observed), *arrays)
        self._function(
            ctypes.byref(struct), samples, jacobian.shape[1], jacobian.ctypes.data, observed.ctypes.data,
            groups, *(array.ctypes.data for array in (padded, lanes, numbers, same, re, im, error)),
        )  # fmt: skip
        count = len(omega)
        return re[:, :count] + 1j * im[:, :count], error[:, :count]


def checked_impedance(
    pattern: Pattern, solver: StaticSolver, jacobian: Floats, voltage: Floats, omega: Floats
) -> tuple[Complexes, Floats, NDArray[np.bool_]]:
    """Z in ohm (samples, F), its componentwise backward error (samples, F) and which samples needed pivoting.

    Arguments are those of `StaticSolver.impedance`. What pivoting cannot solve either is NaN.
    """
    z, error = solver.impedance(jacobian, voltage, omega)
    again = np.logical_not(error <= BACKWARD_ERROR_LIMIT)
    for k, f in np.argwhere(again):
        z[k, f], error[k, f] = pivoted_impedance(pattern, jacobian[k], voltage[k], omega[f])
    return z, error, np.any(again, axis=1)


def _aligned(count: int) -> Floats:
    """Doubles on a 64-byte boundary, as the C side's vectors need them."""
    raw = np.empty(count + 8)
    first = -raw.ctypes.data // raw.itemsize % 8
    return raw[first : first + count]


def _source(name: str) -> str:
    """A C file of this folder with its own headers in it: one text, which tells whether it was compiled before."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return re.sub(r'^#include "(.+)"\n', lambda found: _source(found[1]), text, flags=re.MULTILINE)


def _load() -> Any:
    library = shared_library(_source("static_lu.c"), "-O3", "-Wno-psabi")
    if library is None:
        return None
    function = ctypes.CDLL(str(library)).static_lu_impedance
    pointer, count = ctypes.c_void_p, ctypes.c_int32
    function.argtypes = [pointer, count, count, pointer, pointer, count, *([pointer] * 7)]
    function.restype = None
    return function


def _numpy_impedance(plan: Schedule, jacobian: Floats, voltage: Floats, omega: Floats) -> tuple[Complexes, Floats]:
    """What static_lu.c does, over arrays (..., samples, F)."""
    with np.errstate(all="ignore"):  # what went wrong shows in the error
        reaction, inner = _eliminate_chains(plan, jacobian, omega)
        A = np.where(plan.source[:, None] < 0, 0.0, -jacobian.T[plan.source])[:, :, None] + np.zeros(
            len(omega), complex
        )
        A[plan.diagonal] += 1j * plan.mass[:, None, None] * omega
        np.subtract.at(A, plan.diagonal[plan.root], reaction)
        x = np.zeros((len(plan.order), *A.shape[1:]), complex)
        x[-1] = 1.0
        lu, inverse = _factorise(plan, A)
        _substitute(plan, lu, inverse, x)
        _, r = _residual(plan, A, x)
        x += _substitute(plan, lu, inverse, r)
        error, _ = _residual(plan, A, x)
    z = -np.einsum("sn,nsf->sf", voltage[:, plan.order[plan.observed]], x[plan.observed])
    return z, np.maximum(error, inner)


def _eliminate_chains(plan: Schedule, jacobian: Floats, omega: Floats) -> tuple[Complexes, Floats]:
    """What chains leave on their roots' diagonals (K, samples, F); the backward error of their rows (samples, F)."""
    chains, links = plan.link_mass.shape
    values = jacobian.T[plan.link][..., None]  # (K, links, 3, samples, 1)
    mass = plan.link_mass[:, :, None, None]
    diagonal = 1j * mass * omega - values[:, :, 0]
    d = np.empty_like(diagonal)
    reaction = np.zeros((chains, len(jacobian), len(omega)), complex)
    for i in range(links):
        d[:, i] = diagonal[:, i] - reaction
        reaction = values[:, i, 1] * values[:, i, 2] / d[:, i]
    x = np.ones((chains, links + 1, *reaction.shape[1:]), complex)
    for i in reversed(range(links)):
        x[:, i] = values[:, i, 1] / d[:, i] * x[:, i + 1]
    terms = [diagonal * x[:, :-1], -values[:, :, 1] * x[:, 1:]]
    terms.append(np.concatenate([np.zeros_like(x[:, :1]), -values[:, :-1, 2] * x[:, :-2]], axis=1))
    error = np.abs(sum(terms)) / (sum(np.abs(term) for term in terms) + 1e-300)
    return reaction, error.max(axis=(0, 1), initial=0.0)


def _factorise(plan: Schedule, A: Complexes) -> tuple[Complexes, Complexes]:
    lu, inverse = A.copy(), np.empty((len(plan.order), *A.shape[1:]), complex)
    row, diagonal, below, done = plan.row.tolist(), plan.diagonal.tolist(), plan.below.tolist(), 0
    target = np.concatenate([plan.real_target, plan.target])
    for k in range(len(diagonal) - 1):
        np.divide(1.0, lu[diagonal[k]], out=inverse[k])
        upper = slice(diagonal[k] + 1, row[k + 1])
        for p in plan.below_entry[below[k] : below[k + 1]].tolist():
            lu[p] *= inverse[k]
            lu[target[done : done + upper.stop - upper.start]] -= lu[p] * lu[upper]
            done += upper.stop - upper.start
    return lu, inverse


def _substitute(plan: Schedule, lu: Complexes, inverse: Complexes, x: Complexes) -> Complexes:
    """Solve in place for all states but the current, which is given."""
    row, diagonal = plan.row.tolist(), plan.diagonal.tolist()
    for i in range(len(diagonal) - 1):
        lower = slice(row[i], diagonal[i])
        x[i] -= (lu[lower] * x[plan.column[lower]]).sum(axis=0)
    for i in reversed(range(len(diagonal) - 1)):
        upper = slice(diagonal[i] + 1, row[i + 1])
        x[i] = (x[i] - (lu[upper] * x[plan.column[upper]]).sum(axis=0)) * inverse[i]
    return x


def _residual(plan: Schedule, A: Complexes, x: Complexes) -> tuple[Floats, Complexes]:
    """Largest backward error (samples, F) and -A x, both without the current's row."""
    products = A * x[plan.column]
    r = -np.add.reduceat(products, plan.row[:-1], axis=0)
    size = np.add.reduceat(np.abs(products), plan.row[:-1], axis=0)
    r[-1] = 0.0
    return (np.abs(r) / (size + 1e-300)).max(axis=0), r
