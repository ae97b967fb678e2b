"""One page over several targets of a run: their verdicts, figures and costs side by side, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eishil.files import write_atomic
from eishil_bench.report.words import CLOCK_WORDS
from eishil_bench.runs.results import Results
from eishil_bench.runs.run_table import matrix


def write_combined(runs: Sequence[Results], tables: Sequence[pd.DataFrame], path: Path) -> None:
    """Write the page whole or not at all; the targets' own pages stand beside it, in their folders."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("combined.html.j2").render(
        runs=list(zip(runs, [same_bits(tables[0], table) for table in tables], strict=True)), clock_words=CLOCK_WORDS
    )
    write_atomic(path, text)


def same_bits(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two runs gave the same states and covariances bit for bit."""
    return all(
        np.array_equal(matrix(one, column), matrix(other, column), equal_nan=True)
        for column in ("device_x", "device_P")
    ) and list(one["cell_id"]) == list(other["cell_id"])
