"""How a long stage tells how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from the stage's own process, often or seldom; it must be cheap and must not raise."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units of `stage`; `note` is a few words for the same line."""


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """A listener that does nothing."""
