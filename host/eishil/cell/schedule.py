"""Symbolic elimination of j omega M - J: one order and one pattern of L + U for all samples and frequencies.

The order is minimum degree on the pattern of A + A^T (SuperLU's). `static_lu` runs the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

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
