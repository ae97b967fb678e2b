"""Symbolic elimination of j omega M - J: which updates, in which order, for all samples and frequencies.

What makes PyBaMM's matrices cheap is found in their pattern. States that the voltage does not hang on, not even through
others, are left out. A particle's cells below its surface are a *chain*: each touches its two neighbours and nothing
else, so that a chain is eliminated as a continued fraction and leaves one number on the diagonal of its root. The rest
is ordered by Markowitz's rule (Management Science 3, 1957, 255-269), pivots on the diagonal, on the pattern as it is:
columns of a mean are full where rows are not. Algebraic states that leave no new entries go before all of them: no
frequency has reached their rows and columns, so that they are eliminated in real numbers, once for all frequencies. The
current comes last; it drives the others and is not eliminated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

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

    Fields are described in static_lu.h; `target` lists the updates by entry. Chains have one length, from a particle's
    centre outwards: `root` (K,), `link` (K, length, 3), `link_mass` (K, length). `root` and `observed` are numbers in
    the order.
    """

    order: Ints
    real: int
    mass: Floats
    row: Ints
    column: Ints
    diagonal: Ints
    source: Ints
    below: Ints
    below_entry: Ints
    below_row: Ints
    real_target: Ints
    target: Ints
    target_slot: Ints
    fresh: Ints
    fresh_entry: Ints
    fresh_diagonal: Ints
    fresh_row: Ints
    slot: Ints
    slots: int
    beside: Ints
    beside_column: Ints
    beside_source: Ints
    root: Ints
    link: Ints
    link_mass: Floats
    observed: Ints


@dataclass(frozen=True)
class _Filled:
    """Order of elimination, the first `real` in real numbers; of each state those of its row that come later (in U)
    and earlier (in L).
    """

    order: list[int]
    real: int
    upper: dict[int, set[int]]
    lower: dict[int, set[int]]


def schedule(pattern: Pattern) -> Schedule:
    """Order and symbolic elimination."""
    source = _sources(pattern)
    chains = _chains(pattern, source)
    inner = {state for chain in chains for state in chain[:-1]}
    states = {pattern.current, *itertools.chain(*source)} - inner
    filled = _eliminate(pattern, source, states, varying={chain[-1] for chain in chains})
    order = filled.order
    place = {state: i for i, state in enumerate(order)}
    links = [[(source[a, a], source[a, b], source[b, a]) for a, b in itertools.pairwise(chain)] for chain in chains]
    length = len(links[0]) if links else 0
    numbered = {(place[i], place[j]): k for (i, j), k in source.items() if i in place and j in place}
    observed = range(pattern.n) if pattern.observed is None else pattern.observed
    return Schedule(
        order=_ints(order),
        real=filled.real,
        mass=pattern.mass[order],
        **_entries(filled, numbered),
        root=_ints(place[chain[-1]] for chain in chains),
        link=np.array(links, np.int32).reshape(len(chains), length, 3),
        link_mass=pattern.mass[np.array([chain[:-1] for chain in chains], int).reshape(len(chains), length)],
        observed=_ints(place[int(state)] for state in observed),
    )


def _entries(filled: _Filled, source: dict[tuple[int, int], int]) -> dict[str, Any]:
    """The fields of a schedule that tell where entries lie and what is done to them."""
    order, real, n = filled.order, filled.real, len(filled.order)
    place = {state: i for i, state in enumerate(order)}
    lower, upper = ([sorted(place[k] for k in side[state]) for state in order] for side in (filled.lower, filled.upper))
    rows = [[*before, i, *after] for i, (before, after) in enumerate(zip(lower, upper, strict=True))]
    entries = [(i, j) for i, row in enumerate(rows) for j in row]
    index = {entry: p for p, entry in enumerate(entries)}
    under: list[list[int]] = [[] for _ in order]
    for i, before in enumerate(lower):
        for k in before:
            under[k].append(i)
    updates = [[(i, j) for i in under[k] for j in upper[k]] for k in range(n)]
    beside = [[(j, source[i, j]) for j in row if j != i and (i, j) in source] for i, row in enumerate(rows)]
    fresh, slot, slots = _front(upper, under, real)
    beside_fresh = [[index[i, j] for i, j in found if i != j] for found in fresh]
    diagonal_fresh = [[i for i, j in found if i == j] for found in fresh]
    return {
        "row": _starts(rows),
        "column": _ints(j for _, j in entries),
        "diagonal": _ints(index[i, i] for i in range(n)),
        "source": _ints(source.get(entry, -1) for entry in entries),
        "below": _starts(under),
        "below_entry": _ints(index[i, k] for k in range(n) for i in under[k]),
        "below_row": _ints(i for rows_under in under for i in rows_under),
        "real_target": _ints(index[entry] for k in range(real) for entry in updates[k]),
        "target": _ints(index[entry] for k in range(real, n) for entry in updates[k]),
        "target_slot": _ints(slot[entry] for k in range(real, n) for entry in updates[k]),
        "fresh": _starts(beside_fresh),
        "fresh_entry": _ints(itertools.chain(*beside_fresh)),
        "fresh_diagonal": _starts(diagonal_fresh),
        "fresh_row": _ints(itertools.chain(*diagonal_fresh)),
        "slot": _ints(slot.get(entry, -1) for entry in entries),
        "slots": slots,
        "beside": _starts(beside),
        "beside_column": _ints(j for row in beside for j, _ in row),
        "beside_source": _ints(k for row in beside for _, k in row),
    }


def _front(
    upper: list[list[int]], under: list[list[int]], real: int
) -> tuple[list[list[tuple[int, int]]], dict[tuple[int, int], int], int]:
    """Which entries each state is the first to need, where each of them waits for its turn, and how many places that
    takes: a place is free again when its row or column has been eliminated.
    """
    fresh: list[list[tuple[int, int]]] = [[] for _ in upper]
    slot: dict[tuple[int, int], int] = {}
    free: list[int] = []
    slots = 0
    for k in range(real, len(upper) - 1):
        own = [(k, k), *((k, j) for j in upper[k]), *((i, k) for i in under[k])]
        for entry in (*own, *((i, j) for i in under[k] for j in upper[k])):
            if entry not in slot:
                fresh[k].append(entry)
                slot[entry] = free.pop() if free else slots
                slots = max(slots, slot[entry] + 1)
        free += [slot[entry] for entry in own]
    return fresh, slot, slots


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int32)


def _starts(lists: list[list[Any]]) -> Ints:
    """Where each list begins, and the last one ends, when they stand one after the other."""
    return np.cumsum([0, *(len(one) for one in lists)]).astype(np.int32)


def _sources(pattern: Pattern) -> dict[tuple[int, int], int]:
    """(row, column) -> position among the Jacobian's values, of all rows that the voltage hangs on.

    The current's row is not among them: the current is given.
    """
    columns = np.repeat(np.arange(pattern.n), np.diff(pattern.column_start)).tolist()
    rows: list[list[tuple[int, int]]] = [[] for _ in range(pattern.n)]
    for k, (i, j) in enumerate(zip(pattern.row.tolist(), columns, strict=True)):
        rows[i].append((j, k))
    needed = {pattern.current, *(range(pattern.n) if pattern.observed is None else pattern.observed.tolist())}
    waiting = list(needed - {pattern.current})
    while waiting:
        found = {j for j, _ in rows[waiting.pop()]} - needed
        needed |= found
        waiting += found
    return {(i, j): k for i in sorted(needed - {pattern.current}) for j, k in rows[i]}


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


def _eliminate(pattern: Pattern, source: dict[tuple[int, int], int], states: set[int], varying: set[int]) -> _Filled:
    """Order of `states`, the current being the last. The frequency is in the diagonals of what has a mass or varies."""
    columns, rows = _neighbours(source, pattern.n)
    left = states - {pattern.current}
    for neighbours in (*columns, *rows):
        neighbours &= states
    massive = set(np.flatnonzero(pattern.mass).tolist())
    diagonal = {i for i, j in source if i == j} | massive
    filled = _Filled([], 0, {pattern.current: set()}, {state: set() for state in states})

    def eliminate(pivot: int) -> None:
        left.remove(pivot)
        filled.order.append(pivot)
        filled.upper[pivot] = columns[pivot]
        for i in rows[pivot]:
            filled.lower[i].add(pivot)
            columns[i] = (columns[i] | columns[pivot]) - {pivot, i}
        for j in columns[pivot]:
            rows[j] = (rows[j] | rows[pivot]) - {pivot, j}
        diagonal.update(rows[pivot] & columns[pivot])

    for state in sorted((left & diagonal) - massive - varying):
        if all(columns[state] <= columns[i] | {i} for i in rows[state]):
            eliminate(state)
    real = len(filled.order)
    while left:
        # What has no diagonal gets one from others, or stays for the pivoting solver to deal with.
        able = left & diagonal or left
        eliminate(min(able, key=lambda s: (len(columns[s]) * len(rows[s]), len(columns[s]) + len(rows[s]), s)))
    return replace(filled, order=[*filled.order, pattern.current], real=real)
