"""A data set that is in memory as a whole, written at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eishil.dataset.writer import DatasetWriter


def write_dataset(
    directory: Path, samples: pd.DataFrame, frequency_Hz: np.ndarray, z_ohm: np.ndarray, manifest: dict[str, Any]
) -> dict[str, Any]:
    with DatasetWriter(directory, list(samples.columns), frequency_Hz.tolist()) as writer:
        writer.append(samples, z_ohm)
        return writer.finish(manifest)
