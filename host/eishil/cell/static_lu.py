"""Sparse linear systems (j omega M - J) x = b: one elimination order for all samples and frequencies.

The order is minimum degree on the pattern of A + A^T (SuperLU's), the symbolic elimination is done once, and
`static_lu.c` runs its schedule over eight frequencies side by side. Without a C compiler, and for an answer whose
residual is too large, SuperLU with pivoting solves one system at a time.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from eishil.cell.compiler import shared_library

LANES = 8  # as in static_lu.c
BACKWARD_ERROR_LIMIT = 1e-11  # above it an answer is solved again with pivoting

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Pattern:
    """Sparsity of the Jacobian by columns, the diagonal mass matrix (n,) and which state is the current."""

    n: int
    row: Ints
    column_start: Ints
    mass: Floats
    current: int

    def matrix(self, jacobian: Floats, omega: float) -> sp.csc_matrix:
        """The system j omega M - J from the values (nnz,) of J."""
        J = sp.csc_matrix((jacobian, self.row, self.column_start), shape=(self.n, self.n))
        return (1j * omega * sp.diags(self.mass) - J).tocsc()


@dataclass(frozen=True)
class Schedule:
    """What static_lu.c executes; `order[i]` is the state that is eliminated as number i."""

    order: Ints
    row: Ints
    column: Ints
    diagonal: Ints
    source: Ints
    target: Ints
    mass: Floats
    current: int


class _Struct(ctypes.Structure):
    _fields_ = (
        ("n", ctypes.c_int32),
        ("current", ctypes.c_int32),
        *((name, ctypes.c_void_p) for name in ("row", "column", "diagonal", "source", "target", "mass")),
    )


def schedule(pattern: Pattern, jacobian: Floats, omega: float) -> Schedule:
    """Order and symbolic elimination, from one representative matrix.

    Parameters
    ----------
    jacobian
        Values (nnz,) of one Jacobian; the numbers matter only where a diagonal element is exactly zero.
    """
    # A + A^T has a symmetric pattern, so the pattern of L is that of U^T.
    order = np.argsort(
        splu(
            pattern.matrix(jacobian, omega),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        ).perm_c
    ).astype(np.int32)
    place = np.argsort(order)
    entries = _entries(pattern, place)
    upper = _eliminate(pattern.n, entries)
    columns = _rows(pattern.n, upper)
    start = np.cumsum([0, *(len(row) for row in columns)])
    index = {(i, j): start[i] + k for i, row in enumerate(columns) for k, j in enumerate(row)}
    target = [index[i, j] for i, row in enumerate(columns) for k in row if k < i for j in sorted(upper[k]) if j != k]
    return Schedule(
        order=order,
        row=start.astype(np.int32),
        column=np.array([j for row in columns for j in row], np.int32),
        diagonal=np.array([index[i, i] for i in range(pattern.n)], np.int32),
        source=np.array([entries.get((i, j), -1) for i, row in enumerate(columns) for j in row], np.int32),
        target=np.array(target, np.int32),
        mass=pattern.mass[order],
        current=int(place[pattern.current]),
    )


def _entries(pattern: Pattern, place: NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """(row, column) after ordering -> position among the Jacobian's values."""
    column = np.repeat(np.arange(pattern.n), np.diff(pattern.column_start))
    return {(int(i), int(j)): k for k, (i, j) in enumerate(zip(place[pattern.row], place[column], strict=True))}


def _eliminate(n: int, entries: dict[tuple[int, int], int]) -> list[set[int]]:
    """Columns j >= i of each row of U, with fill, for the symmetrised pattern (by the elimination tree)."""
    upper = [{i} for i in range(n)]
    for i, j in entries:
        upper[min(i, j)].add(max(i, j))
    for row in upper:
        later = sorted(row)[1:]
        if later:
            upper[later[0]].update(later)
    return upper


def _rows(n: int, upper: list[set[int]]) -> list[list[int]]:
    """Columns of each row of L + U, ascending."""
    rows: list[list[int]] = [[] for _ in range(n)]
    for i, row in enumerate(upper):
        for j in sorted(row):
            if j != i:
                rows[j].append(i)
    return [lower + sorted(row) for lower, row in zip(rows, upper, strict=True)]


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
    """The compiled schedule of one pattern. Pickles as the schedule; the library is found or compiled on arrival."""

    def __init__(self, plan: Schedule) -> None:
        self.plan = plan
        self._function = _load()

    def __reduce__(self) -> tuple[Any, ...]:
        return (StaticSolver, (self.plan,))

    @property
    def available(self) -> bool:
        """Whether this machine could compile it."""
        return self._function is not None

    def impedance(self, jacobian: Floats, voltage: Floats, omega: Floats) -> tuple[NDArray[np.complex128], Floats]:
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
        assert self._function is not None, "there is no compiled library; ask `available` first"
        plan, samples = self.plan, len(jacobian)
        groups = -(-len(omega) // LANES)
        padded = np.pad(omega, (0, groups * LANES - len(omega)), mode="edge")
        jacobian = np.ascontiguousarray(jacobian)
        ordered = np.ascontiguousarray(voltage[:, plan.order])
        work = _aligned((len(plan.column) + 3 * len(plan.order)) * 2 * LANES)
        re, im, error = (np.empty((samples, groups * LANES)) for _ in range(3))
        arrays = (plan.row, plan.column, plan.diagonal, plan.source, plan.target, plan.mass)
        struct = _Struct(len(plan.order), plan.current, *(array.ctypes.data for array in arrays))
        self._function(
            ctypes.byref(struct), samples, jacobian.shape[1], jacobian.ctypes.data, ordered.ctypes.data,
            groups, padded.ctypes.data, work.ctypes.data, re.ctypes.data, im.ctypes.data, error.ctypes.data,
        )  # fmt: skip
        n = len(omega)
        return re[:, :n] + 1j * im[:, :n], error[:, :n]


def checked_impedance(
    pattern: Pattern, solver: StaticSolver, jacobian: Floats, voltage: Floats, omega: Floats
) -> tuple[NDArray[np.complex128], Floats, NDArray[np.bool_]]:
    """Z in ohm (samples, F), its componentwise backward error (samples, F) and which samples needed pivoting.

    Arguments are those of `StaticSolver.impedance`. What pivoting cannot solve either is NaN.
    """
    if solver.available:
        z, error = solver.impedance(jacobian, voltage, omega)
    else:
        error = np.full((len(jacobian), len(omega)), np.nan)
        z = error.astype(np.complex128)
    again = np.logical_not(error <= BACKWARD_ERROR_LIMIT)
    for k, f in np.argwhere(again):
        z[k, f], error[k, f] = pivoted_impedance(pattern, jacobian[k], voltage[k], omega[f])
    return z, error, np.any(again, axis=1)


def _aligned(count: int) -> Floats:
    """Doubles on a 64-byte boundary, as the C side's vectors need them."""
    raw = np.empty(count + LANES)
    first = -raw.ctypes.data // raw.itemsize % LANES
    return raw[first : first + count]


def _load() -> Any:
    library = shared_library(Path(__file__).with_suffix(".c").read_text(encoding="utf-8"), "-O3", "-Wno-psabi")
    if library is None:
        return None
    function = ctypes.CDLL(str(library)).static_lu_impedance
    pointer, count = ctypes.c_void_p, ctypes.c_int32
    function.argtypes = [pointer, count, count, pointer, pointer, count, *([pointer] * 5)]
    function.restype = None
    return function
