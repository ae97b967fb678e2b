"""Random streams by name: what is drawn for one thing never moves because another was added."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *place: str | int) -> np.random.Generator:
    """The stream of one place, for instance (seed, "train", "trajectory", 7)."""
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in place]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
