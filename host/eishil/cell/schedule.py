"""Symbolic elimination of j omega M - J: which updates, in which order, for all samples and frequencies.

What makes PyBaMM's matrices cheap is found in their pattern. A particle's cells below its surface are a *chain*: each
touches its two neighbours and nothing else, so that a chain is eliminated as a continued fraction and leaves one number
on the diagonal of its root. The rest is ordered by Markowitz's rule (Management Science 3, 1957, 255-269), pivots on
the diagonal, on the pattern as it is: columns of a mean are full where rows are not. The current comes last; it drives
the others and is not eliminated.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Sets = list[set[int]]


@dataclass(frozen=True)
class Pattern:
    """Sparsity of the Jacobian by columns, the diagonal mass matrix (n,) and which state is the current.

    `observed` are the states that the voltage depends on; None stands for all.
    """

    n: int
    row: Ints
    column_start: Ints
    mass: Floats
    current: int
    observed: Ints | None = None

    def matrix(self, jacobian: Floats, omega: float) -> sp.csc_matrix:
        """The system j omega M - J from the values (nnz,) of J."""
        J = sp.csc_matrix((jacobian, self.row, self.column_start), shape=(self.n, self.n))
        return (1j * omega * sp.diags(self.mass) - J).tocsc()


@dataclass(frozen=True)
class Schedule:
    """What static_lu.c executes; `order[i]` is the state that is eliminated as number i, the current being the last.

    The fields up to `beside_source` are described there. Chains have one length, from a particle's centre outwards:
    `root` (K,), `link` (K, length, 3), `link_mass` (K, length). `root` and `observed` are numbers in the order.
    """

    order: Ints
    row: Ints
    column: Ints
    diagonal: Ints
    source: Ints
    target: Ints
    mass: Floats
    beside: Ints
    beside_column: Ints
    beside_source: Ints
    root: Ints
    link: Ints
    link_mass: Floats
    observed: Ints


def schedule(pattern: Pattern) -> Schedule:
    """Order and symbolic elimination."""
    source = _sources(pattern)
    chains = _chains(pattern, source)
    inner = {state for chain in chains for state in chain[:-1]}
    order, upper, lower = _eliminate(pattern, source, [state for state in range(pattern.n) if state not in inner])
    place = {state: i for i, state in enumerate(order)}
    rows = [[*sorted(place[k] for k in lower[s]), i, *sorted(place[k] for k in upper[s])] for i, s in enumerate(order)]
    start = np.cumsum([0, *(len(row) for row in rows)])
    index = {(i, j): start[i] + k for i, row in enumerate(rows) for k, j in enumerate(row)}
    updates = [index[i, j] for i, row in enumerate(rows) for k in row if k < i for j in rows[k] if j > k]
    links = [[(source[a, a], source[a, b], source[b, a]) for a, b in itertools.pairwise(chain)] for chain in chains]
    length = len(links[0]) if links else 0
    beside = [
        [(j, source[order[i], order[j]]) for j in row if j != i and (order[i], order[j]) in source]
        for i, row in enumerate(rows)
    ]
    observed = range(pattern.n) if pattern.observed is None else pattern.observed
    return Schedule(
        order=np.array(order, np.int32),
        row=start.astype(np.int32),
        column=np.array([j for row in rows for j in row], np.int32),
        diagonal=np.array([index[i, i] for i in range(len(order))], np.int32),
        source=np.array([source.get((order[i], order[j]), -1) for i, row in enumerate(rows) for j in row], np.int32),
        target=np.array(updates, np.int32),
        mass=pattern.mass[order],
        beside=np.cumsum([0, *(len(row) for row in beside)]).astype(np.int32),
        beside_column=np.array([j for row in beside for j, _ in row], np.int32),
        beside_source=np.array([k for row in beside for _, k in row], np.int32),
        root=np.array([place[chain[-1]] for chain in chains], np.int32),
        link=np.array(links, np.int32).reshape(len(chains), length, 3),
        link_mass=pattern.mass[np.array([chain[:-1] for chain in chains], int).reshape(len(chains), length)],
        observed=np.array([place[int(state)] for state in observed], np.int32),
    )


def _sources(pattern: Pattern) -> dict[tuple[int, int], int]:
    """(row, column) -> position among the Jacobian's values."""
    column = np.repeat(np.arange(pattern.n), np.diff(pattern.column_start))
    return {(int(i), int(j)): k for k, (i, j) in enumerate(zip(pattern.row, column, strict=True))}


def _neighbours(source: dict[tuple[int, int], int], n: int) -> tuple[Sets, Sets]:
    """Columns of each row and rows of each column, without the diagonal."""
    columns: Sets = [set() for _ in range(n)]
    rows: Sets = [set() for _ in range(n)]
    for i, j in source:
        if i != j:
            columns[i].add(j)
            rows[j].add(i)
    return columns, rows


def _chains(pattern: Pattern, source: dict[tuple[int, int], int]) -> list[list[int]]:
    """Paths from a state with one neighbour through states with two, the root at the end; all of the usual length."""
    if pattern.observed is None:
        return []
    columns, rows = _neighbours(source, pattern.n)
    touches = [a | b for a, b in zip(columns, rows, strict=True)]
    kept = {pattern.current, *(int(state) for state in pattern.observed)}
    paths = [_path(state, touches, kept) for state in range(pattern.n) if len(touches[state]) == 1]
    paths = [path for path in paths if all((a, a) in source for a in path[:-1])]
    lengths = np.bincount([len(path) for path in paths] or [0])
    usual = int((lengths * np.arange(len(lengths))).argmax())  # the length that takes most states
    return [path[:usual] for path in paths if len(path) >= usual > 1]


def _path(first: int, touches: Sets, kept: set[int]) -> list[int]:
    path = [first]
    while path[-1] not in kept and len(ahead := touches[path[-1]] - set(path[-2:])) == 1:
        path += ahead
    return path


def _eliminate(
    pattern: Pattern, source: dict[tuple[int, int], int], states: list[int]
) -> tuple[list[int], dict[int, set[int]], dict[int, set[int]]]:
    """Order of `states` and, for each, the states of its row that come later (in U) and earlier (in L)."""
    columns, rows = _neighbours(source, pattern.n)
    left = set(states)
    for neighbours in (*columns, *rows):
        neighbours &= left
    diagonal = {i for i, j in source if i == j} | set(np.flatnonzero(pattern.mass).tolist())
    order: list[int] = []
    upper: dict[int, set[int]] = {}
    lower: dict[int, set[int]] = {state: set() for state in states}
    while left:
        # What has no diagonal gets one from others, or stays for the pivoting solver to deal with.
        able = (left & diagonal or left) - {pattern.current} or left
        pivot = min(able, key=lambda s: (len(columns[s]) * len(rows[s]), len(columns[s]) + len(rows[s]), s))
        left.remove(pivot)
        order.append(pivot)
        upper[pivot] = columns[pivot]
        for i in rows[pivot]:
            lower[i].add(pivot)
            columns[i] = (columns[i] | columns[pivot]) - {pivot, i}
        for j in columns[pivot]:
            rows[j] = (rows[j] | rows[pivot]) - {pivot, j}
        diagonal |= rows[pivot] & columns[pivot]
    return order, upper, lower
