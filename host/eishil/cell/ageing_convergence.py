"""Measure what shortcuts in an ageing simulation cost: remakes `ageing_error.csv` and prints tables of docs/ageing.md.

python -m eishil.cell.ageing_convergence [STUDY ...]        all of them: half an hour

A cell of OKane2022 ages through the same number of cycles with each setting of a study and is compared with its first,
the reference. Studies that are not named keep their rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

from eishil.cell.ageing_error import TABLE, KnownError, measured_errors
from eishil.cell.mechanisms import Mechanisms, Rates
from eishil.cell.mesh import Mesh
from eishil.cell.protocols import Load
from eishil.cell.simulation import AgeingSetup, Conditions, Inventory, ageing_cell, fresh_capacity_Ah
from eishil.files import write_atomic

PARAMETER_SET, TEMPERATURE_degC = "OKane2022", 25.0
RATES = Rates(sei=3.0, lam_ne=10.0, lam_pe=10.0)
FINEST, THROUGH = Mesh(20, 10, 20, 120, None), Mesh(10, 5, 10, 20, None)


@dataclass(frozen=True)
class Variant:
    """One way to simulate: `scaling` cycles in one."""

    model: str = "SPMe"
    mesh: str | Mesh = "radial"
    protocol: str = "cc_cycling"
    averaging_s: int = 10
    scaling: int = 40

    def setup(self) -> AgeingSetup:
        """What `ageing_cell` builds."""
        load = Load(self.protocol, averaging_s=self.averaging_s)
        return AgeingSetup(PARAMETER_SET, self.model, self.mesh, Mechanisms(), load)


@dataclass(frozen=True)
class Study:
    """Settings by name, the reference first, and after how many cycles they are compared."""

    measured_on: str
    cycles: int
    variants: dict[str, Variant]


STUDIES = {
    "rate_scaling": Study(
        "OKane2022, SPM, cc_cycling", 1600, {str(k): Variant("SPM", scaling=k) for k in (1, 10, 20, 40, 80)}
    ),
    "mesh": Study(
        "OKane2022, SPMe, cc_cycling, rate_scaling 40",
        1600,
        {"finest": Variant(mesh=FINEST)} | {name: Variant(mesh=name) for name in ("radial", "pybamm", "default")},
    ),
    "model": Study(
        "OKane2022, cc_cycling, rate_scaling 40",
        1600,
        {name: Variant(name, THROUGH) for name in ("DFN", "SPMe", "SPM")},
    ),
    "averaging_s": Study(
        "OKane2022, SPMe, wltp_class3b, rate_scaling 40",
        80,
        {str(n): Variant(protocol="wltp_class3b", averaging_s=n) for n in (5, 10, 30, 60)},
    ),
}


@dataclass(frozen=True)
class Aged:
    """A cell after a number of cycles."""

    soh: float
    lli: float
    lam_ne: float
    cpu_s: float


def age(variant: Variant, cycles: int) -> Aged:
    """Age a fresh cell through `cycles`, a multiple of the variant's scaling, at 25 degC."""
    assert cycles % variant.scaling == 0, "a study's cycles are a multiple of its scalings"
    cell, conditions = (
        ageing_cell(variant.setup()),
        Conditions(TEMPERATURE_degC, 0.0, RATES.accelerated(variant.scaling)),
    )
    start_s = time.process_time()
    start = state = cell.fresh(conditions)
    for _ in range(cycles // variant.scaling):
        state = cell.repeat(state, conditions)
    left, fresh = Inventory.of(state), Inventory.of(start)
    return Aged(
        soh=float(left.electrodes(PARAMETER_SET).capacity_Ah[0]) / fresh_capacity_Ah(PARAMETER_SET),
        lli=1 - left.Q_Li_Ah / fresh.Q_Li_Ah,
        lam_ne=1 - left.Q_n_Ah / fresh.Q_n_Ah,
        cpu_s=time.process_time() - start_s,
    )


def measure(name: str, study: Study) -> Iterator[tuple[KnownError, Aged]]:
    """A row for each setting."""
    (reference, first), *others = study.variants.items()
    expected = age(first, study.cycles)
    for setting, aged in ((reference, expected), *((s, age(v, study.cycles)) for s, v in others)):
        rounded = round(aged.soh, 6), float(f"{aged.soh - expected.soh:.2e}")
        yield KnownError(name, setting, reference, study.measured_on, study.cycles, *rounded), aged


def _write(rows: list[KnownError]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(KnownError)])
    writer.writerows(astuple(row) for row in rows)
    write_atomic(TABLE, text.getvalue())


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description="Errors of shortcuts in ageing simulations.")
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(STUDIES)}; left out: all")
    chosen = parser.parse_args().studies or list(STUDIES)
    if unknown := set(chosen) - set(STUDIES):
        parser.error(f"there is no study {min(unknown)}; there are {', '.join(STUDIES)}")
    rows = {name: [row for row in measured_errors() if row.study == name] for name in STUDIES}
    for name in chosen:
        print(f"\n{name}: after {STUDIES[name].cycles} cycles, {STUDIES[name].measured_on}")
        print(f"| {'setting':>8} | {'SOH':>7} | {'LLI':>7} | {'LAM_ne':>7} | {'error of SOH':>12} | {'CPU time':>9} |")
        rows[name] = []
        for row, aged in measure(name, STUDIES[name]):
            rows[name].append(row)
            modes = f"{aged.soh:7.4f} | {aged.lli:7.4f} | {aged.lam_ne:7.4f}"
            print(f"| {row.setting:>8} | {modes} | {row.soh_error:12.3%} | {aged.cpu_s:7.1f} s |", flush=True)
    _write([row for found in rows.values() for row in found])


if __name__ == "__main__":
    main()
