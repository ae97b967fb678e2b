"""What scaling the rates costs: the second table of docs/ageing.md.

python -m eishil.cell.acceleration [--cycles 400] [--scalings 1 10 20 40] [--model SPM]

The same cell of OKane2022 ages through the same number of cycles, each simulated one standing for `scaling` of them,
and is compared with the first scaling, which should be 1.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from eishil.cell.mechanisms import Mechanisms, Rates
from eishil.cell.mesh import Mesh
from eishil.cell.protocols import Load
from eishil.cell.simulation import AgeingSetup, Conditions, Inventory, ageing_cell, fresh_capacity_Ah
from eishil.errors import EishilError

RATES = Rates(sei=3.0, lam_ne=10.0, lam_pe=10.0)
MESH = Mesh(10, 5, 10, 20, 6.0)


@dataclass(frozen=True)
class Aged:
    """A cell after a number of cycles."""

    soh: float
    lli: float
    lam_ne: float
    cpu_s: float


def age(setup: AgeingSetup, cycles: int, scaling: int) -> Aged:
    """Age a fresh cell through `cycles`, a multiple of `scaling`, at 25 degC.

    Raises
    ------
    EishilError
        It is no multiple.
    """
    if cycles % scaling:
        raise EishilError(f"{cycles} cycles are no multiple of the scaling {scaling}")
    cell, conditions = ageing_cell(setup), Conditions(25.0, 0.0, RATES.accelerated(scaling))
    start_s = time.process_time()
    start = state = cell.fresh(conditions)
    for _ in range(cycles // scaling):
        state = cell.repeat(state, conditions)
    left, fresh = Inventory.of(state), Inventory.of(start)
    return Aged(
        soh=float(left.electrodes(setup.parameter_set).capacity_Ah[0]) / fresh_capacity_Ah(setup.parameter_set),
        lli=1 - left.Q_Li_Ah / fresh.Q_Li_Ah,
        lam_ne=1 - left.Q_n_Ah / fresh.Q_n_Ah,
        cpu_s=time.process_time() - start_s,
    )


def main() -> None:
    """Print one line for each scaling."""
    parser = argparse.ArgumentParser(description="Error of scaled ageing rates against the first scaling.")
    parser.add_argument("--cycles", type=int, default=400)
    parser.add_argument("--scalings", nargs="+", type=int, default=[1, 10, 20, 40])
    parser.add_argument("--model", default="SPM", choices=["SPM", "SPMe", "DFN"])
    arguments = parser.parse_args()
    setup = AgeingSetup("OKane2022", arguments.model, MESH, Mechanisms(), Load("cc_cycling"))
    print(f"{arguments.model}, {arguments.cycles} cycles")
    print(f"{'scaling':>7}{'SOH':>9}{'LLI':>9}{'LAM_ne':>9}{'SOH error':>11}{'CPU s':>8}")
    reference = None
    for scaling in arguments.scalings:
        try:
            aged = age(setup, arguments.cycles, scaling)
        except EishilError as error:
            parser.exit(error.exit_code, f"{error}\n")
        reference = reference or aged
        modes = f"{aged.soh:9.4f}{aged.lli:9.4f}{aged.lam_ne:9.4f}"
        print(f"{scaling:7d}{modes}{aged.soh - reference.soh:11.2%}{aged.cpu_s:8.1f}", flush=True)


if __name__ == "__main__":
    main()
