"""Worst-case stack of an image, from what GCC wrote beside its objects (`-fcallgraph-info=su`, VCG text)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

# Functions without a frame size come from newlib and libgcc (memcpy, memset): a few registers each.
LIBRARY_FRAME_bytes = 64
# What a Cortex-M4F stores on entering an interrupt with FPU state, with its alignment (PM0214 2.3.7).
EXCEPTION_FRAME_bytes = 108

_NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \((\w+)\)"')
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_INDIRECT = "__indirect_call"


@dataclass
class CallGraph:
    """Frame sizes and calls by function; a static function is named `file:function`."""

    frame_bytes: dict[str, int] = field(default_factory=dict)
    calls: dict[str, set[str]] = field(default_factory=dict)
    unbounded: set[str] = field(default_factory=set)  # frames of variable size
    entries: frozenset[str] = frozenset()  # what the hardware calls, and no program

    @classmethod
    def load(cls, folder: Path, entries: Iterable[str] = ()) -> CallGraph:
        """All `.ci` files below a folder."""
        graph = cls(entries=frozenset(entries))
        for path in sorted(folder.rglob("*.ci")):
            graph._add(path.read_text(encoding="utf-8").splitlines())
        return graph

    def _add(self, lines: Iterable[str]) -> None:
        for line in lines:
            if node := _NODE.match(line):
                self.frame_bytes[node[1]] = int(node[2])
                if node[3] == "dynamic":
                    self.unbounded.add(node[1])
            elif edge := _EDGE.match(line):
                self.calls.setdefault(edge[1], set()).add(edge[2])

    def depth_bytes(self, function: str, callers: tuple[str, ...] = ()) -> int | None:
        """Deepest stack below and with a function; None where recursion or a variable frame leaves it open."""
        if function in callers or function in self.unbounded:
            return None
        below = [self.depth_bytes(callee, (*callers, function)) for callee in self._callees(function)]
        known = [depth for depth in below if depth is not None]
        if len(known) < len(below):
            return None
        return self.frame_bytes.get(function, LIBRARY_FRAME_bytes) + max(known, default=0)

    def _callees(self, function: str) -> set[str]:
        """Direct callees; an indirect call may reach any function that nobody calls by name."""
        callees = self.calls.get(function, set())
        if _INDIRECT not in callees:
            return callees
        called = set().union(*self.calls.values())
        return (callees - {_INDIRECT}) | (self.frame_bytes.keys() - called - self.entries)


def worst_case_bytes(folder: Path, entry: str, interrupts: Iterable[str]) -> int | None:
    """Deepest stack of `entry` with the deepest interrupt on top; None where it has no bound or nothing was written.

    Interrupts do not nest: all have the same priority.
    """
    interrupts = tuple(interrupts)
    graph = CallGraph.load(folder, entries=(entry, *interrupts))
    depth = graph.depth_bytes(entry) if entry in graph.frame_bytes else None
    handlers = [graph.depth_bytes(name) for name in interrupts]
    known = [handler for handler in handlers if handler is not None]
    if depth is None or len(known) < len(handlers):
        return None
    return depth + EXCEPTION_FRAME_bytes + max(known, default=0)
