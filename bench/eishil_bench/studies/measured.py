"""`eishil measured`: the classical regressions on measured cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from eishil.files import sha256_file, write_atomic
from eishil.regression.measured_cells import MeasuredRow, load, study
from eishil.versions import versions
from eishil_bench import terminal
from eishil_bench.report.study import Rows, Section, tell_study, write_study
from eishil_bench.report.style import DEVICE, PRIOR, REFERENCE, dots, plain
from eishil_bench.runs.bootstrap import cell_means, interval

COLOURS = (REFERENCE, DEVICE, PRIOR)


def command(table: Path, out: Path) -> None:
    """Run every regression, write figures and page, and show the table."""
    spectra = load(table)
    with terminal.progress_bars() as progress:
        rows = study(spectra, progress)
    lead = (
        f"RMS error of SOH over {len(spectra.cells)} measured cells ({len(spectra.soh)} spectra up to 1 kHz); a cell's "
        "estimate is the mean of those from its spectra. Labels are measured capacities."
    )
    content = {"table_sha256": sha256_file(table), "rows": [asdict(row) for row in rows], "versions": versions()}
    write_atomic(out / "measured.json", json.dumps(content, indent=1) + "\n")
    write_study(out / "measured.html", "Regressions on measured cells", lead, sections(rows))
    tell_study(lead, sections(rows), out / "measured.html")


def sections(rows: Sequence[MeasuredRow]) -> list[Section]:
    """The table and its plot."""
    figure = plain("rms error of SOH", "")
    for left_out, colour in zip(dict.fromkeys(row.left_out for row in rows), COLOURS, strict=False):
        mine = [row for row in rows if row.left_out == left_out]
        names = [f"{row.regression}, {row.inputs}" if row.inputs else row.regression for row in mine]
        x = [row.rmse for row in mine]
        figure.add_trace(go.Scatter(x=x, y=names, name=f"left out: {left_out}", **dots(colour, 9)))
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    texts = [[row.regression, row.inputs, row.left_out, f"{row.rmse:.2%}", _scatter(row)] for row in rows]
    return [
        Section(
            "SOH of cells that the regression has not seen",
            table=Rows(["regression", "inputs", "left out", "rms", "over draws"], texts),
            plots=[(figure, "One level of SOH left out asks for more than recognising the levels that there are.")],
            remark="Over draws: the middle 95 % over cells drawn again with replacement. Random folds put spectra of "
            "one cell on both sides: that row shows what such a split pretends.",
        )
    ]


def _scatter(row: MeasuredRow) -> str:
    table = pd.DataFrame({"cell_id": list(row.errors)})
    between = interval(np.sqrt(cell_means(table, np.square(list(row.errors.values())))))
    return f"{between.low:.2%} to {between.high:.2%}"
