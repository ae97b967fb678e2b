"""How far SPMe is from DFN at low frequencies, and why: the table of docs/dataset.md.

python -m eishil.cell.spme_error [--parameter-sets Chen2020 Marquis2019 ORegan2022] [--mesh default fine]

SPMe is an expansion for fast transport through the electrolyte (Marquis et al., J. Electrochem. Soc. 166, 2019, A3693;
Brosa Planella et al., Prog. Energy 4, 2022, 042003): it takes the reaction for uniform over an electrode. If the
difference is that and no fault of ours, a finer mesh leaves it as it is, and `k` times the conductivity and diffusivity
of the electrolyte divide it by k or more. Fresh cells at 25 degC, largest relative deviation from 1 mHz to 10 Hz.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.impedance import solver
from eishil.cell.mesh import MESHES

FREQUENCY_HZ = np.geomspace(1e-3, 10.0, 13)
SOC = (0.2, 0.5, 0.8)
TRANSPORT = (1.0, 3.0, 10.0)  # factors on what carries charge and salt
CONSTANTS = ("negative_conductivity", "positive_conductivity", "electrolyte_conductivity", "electrolyte_diffusivity")


@dataclass(frozen=True)
class Deviation:
    """Largest relative deviation of SPMe from DFN, for each SOC and factor on the transport."""

    parameter_set: str
    mesh: str
    soc: float
    deviations: tuple[float, ...]


def measure(parameter_set: str, mesh: str) -> Iterator[Deviation]:
    """One line for each state of charge."""
    k, soc = (grid.ravel() for grid in np.meshgrid(TRANSPORT, SOC))
    bare, warm = AgedState(sei_thickness_nm=0.0), np.full(len(k), 25.0)
    cells = snapshot(parameter_set, bare, soc, warm, dict.fromkeys(CONSTANTS, k)).inputs
    spme, dfn = (solver(parameter_set, m, mesh, CONSTANTS).solve(cells, FREQUENCY_HZ).z_ohm for m in ("SPMe", "DFN"))
    worst = np.abs(spme / dfn - 1).max(axis=1).reshape(len(SOC), len(TRANSPORT))
    for one, row in zip(SOC, worst, strict=True):
        yield Deviation(parameter_set, mesh, one, tuple(row.tolist()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="SPMe against DFN from 1 mHz to 10 Hz.")
    parser.add_argument("--parameter-sets", nargs="+", default=["Chen2020", "Marquis2019", "ORegan2022"])
    parser.add_argument("--mesh", nargs="+", default=["default", "fine"], choices=list(MESHES))
    arguments = parser.parse_args()
    print(f"{'parameter set':15}{'mesh':9}{'SOC':>5}" + "".join(f"{f'transport x {k:g}':>16}" for k in TRANSPORT))
    for parameter_set in arguments.parameter_sets:
        for mesh in arguments.mesh:
            for row in measure(parameter_set, mesh):
                figures = "".join(f"{value:16.2%}" for value in row.deviations)
                print(f"{row.parameter_set:15}{row.mesh:9}{row.soc:5.1f}{figures}", flush=True)


if __name__ == "__main__":
    main()
