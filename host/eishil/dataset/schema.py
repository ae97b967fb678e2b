"""Columns of the tables: types, units, meanings. They stand in the Parquet schemas as well, field by field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from eishil.cell.constants import SPREAD_PREFIX

SCHEMA_VERSION = 2
TEXT, FLAG, INTEGER, REAL = pa.string(), pa.bool_(), pa.int32(), pa.float64()
Precision = Literal["float64", "float32"]
STORED_AS = {"float64": pa.float64(), "float32": pa.float32()}


@dataclass(frozen=True)
class Column:
    """One column; an `optional` one may be null where the sample's origin has no such thing."""

    kind: pa.DataType
    unit: str
    meaning: str
    optional: bool = False

    def field(self, name: str) -> pa.Field:
        """The column in a Parquet schema."""
        metadata = {"unit": self.unit, "meaning": self.meaning}
        return pa.field(name, self.kind, metadata={key: text for key, text in metadata.items() if text})


COLUMNS: dict[str, Column] = {
    "sample_id": Column(TEXT, "", "unique"),
    "cell_id": Column(TEXT, "", "one cell is in one split"),
    "split": Column(TEXT, "", "train, validation or test"),
    "population": Column(TEXT, "", "trajectory: a cell measured along its life; snapshot: a cell measured once"),
    "model": Column(TEXT, "", "SPM, SPMe or DFN"),
    "parameter_set": Column(TEXT, "", "the fresh cell's"),
    "protocol_id": Column(TEXT, "", "load that aged the cell; null where none did", optional=True),
    "rate_scaling": Column(REAL, "1", "factor on the ageing rates, to skip cycles; 1 skips none", optional=True),
    "step": Column(INTEGER, "1", "number within the trajectory"),
    "cycles": Column(REAL, "equivalent full cycles", "since the cell was new; null for snapshots", optional=True),
    "soc": Column(REAL, "1", "state of charge, 0..1 of the present capacity (capacity_Ah), not of the fresh one"),
    "temperature_degC": Column(REAL, "degC", "of the whole cell"),
    "voltage_V": Column(REAL, "V", "at rest; null where nothing was solved"),
    "lli": Column(REAL, "1", "loss of lithium inventory, 1 - Q_Li / Q_Li0"),
    "lam_ne": Column(REAL, "1", "loss of active material, negative electrode, 1 - Q_n / Q_n0"),
    "lam_pe": Column(REAL, "1", "loss of active material, positive electrode, 1 - Q_p / Q_p0"),
    "plating_loss": Column(REAL, "1", "part of lli that is plated lithium", optional=True),
    "sei_thickness_nm": Column(REAL, "nm", "film on the negative particles"),
    "porosity_ne": Column(REAL, "1", "mean porosity of the negative electrode", optional=True),
    "contact_resistance_mOhm": Column(REAL, "mOhm", "in series with the cell"),
    "local_resistance_mOhm": Column(
        REAL, "mOhm", "equivalent-circuit resistance under load, (OCV - V) / I", optional=True
    ),
    "capacity_Ah": Column(REAL, "Ah", "between the voltage limits, at equilibrium; null where infeasible"),
    "soh": Column(REAL, "1", "state of health, capacity over that of the fresh cell; null where infeasible"),
    "rul_cycles": Column(
        REAL, "equivalent full cycles", "left until SOH 0.8; at least that many where rul_censored", optional=True
    ),
    "rul_censored": Column(FLAG, "", "the trajectory stops before SOH 0.8; null for snapshots", optional=True),
    "theta_n": Column(REAL, "1", "stoichiometry of the negative electrode"),
    "theta_p": Column(REAL, "1", "stoichiometry of the positive electrode"),
    "label_source": Column(TEXT, "", "snapshot: modes drawn, eSOH; simulation: cell cycled, eSOH of its state"),
    "solver_status": Column(TEXT, "", "static, pivoted, failed or not_solved"),
    "reason": Column(TEXT, "", "why the spectrum is masked; empty where it is not"),
    "consistency_residual": Column(REAL, "1", "largest |F(y0)| in PyBaMM's scaled units"),
    "solve_residual": Column(REAL, "1", "largest componentwise backward error of the linear systems"),
}
# A cell's own factor on a constant of its parameter set: a column for each constant that the recipe spreads.
SPREAD = Column(REAL, "1", "factor on this constant of the parameter set")


def column(name: str) -> Column | None:
    """What a column of `samples` is; None where there is no such column."""
    return SPREAD if name.startswith(SPREAD_PREFIX) else COLUMNS.get(name)


def sample_schema(names: Sequence[str]) -> pa.Schema:
    """Schema of `samples`: all `COLUMNS`, then the spread constants among `names`."""
    spread = {name: SPREAD for name in names if name.startswith(SPREAD_PREFIX)}
    return pa.schema([one.field(name) for name, one in (COLUMNS | spread).items()])


def spectra_columns(n_frequencies: int, precision: Precision = "float64") -> dict[str, Column]:
    """Columns of `spectra`; the lists have one value for each frequency."""
    frequencies = pa.list_(REAL, n_frequencies)
    values = pa.list_(STORED_AS[precision], n_frequencies)
    return {
        "sample_id": Column(TEXT, "", "as in samples, in the same order"),
        "frequency_Hz": Column(frequencies, "Hz", "rising, the same in every row"),
        "z_real_ohm": Column(values, "Ohm", "null where the spectrum is masked"),
        "z_imag_ohm": Column(values, "Ohm", "capacitive is negative"),
        "z_magnitude_ohm": Column(values, "Ohm", "of z_real_ohm + i z_imag_ohm"),
        "z_phase_deg": Column(values, "deg", "of z_real_ohm + i z_imag_ohm; capacitive is negative"),
        "backend": Column(TEXT, "", "what solved it: compiled or numpy; null where nothing was solved", optional=True),
        "solver_status": Column(TEXT, "", "as in samples"),
    }


def spectra_schema(frequency_Hz: Sequence[float], precision: Precision = "float64") -> pa.Schema:
    """Schema of `spectra`, with the frequencies as metadata."""
    fields = [one.field(name) for name, one in spectra_columns(len(frequency_Hz), precision).items()]
    return pa.schema(fields, metadata={"frequency_Hz": json.dumps(list(frequency_Hz))})
