"""Load protocols: what a cell goes through, again and again, while it ages.

Every cycle but that of `calendar_rest` charges with constant current to the upper voltage limit, holds it until C/20,
and then draws the protocol's load down to the lower voltage limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from eishil.cell import esoh
from eishil.cell.parameters import scalar
from eishil.cell.vehicle import Vehicle, battery_power_W, wltc_class3b_m_s

Floats = NDArray[np.float64]
HOLD_UNTIL = "C/20"
LONGEST_LOAD_s = 48 * 3600.0
EDGE_s = 1.0  # a step of the load takes this long: PyBaMM joins the knots by lines, and steep ones cost it many steps
DAY_s = 86400.0

# Dynamic Stress Test: seconds and percent of the peak power, discharge negative; 360 s. USABC Electric Vehicle Battery
# Test Procedures Manual, Revision 2, January 1996. The manual's table itself was not read: these steps are those of
# another program that cites it (libquiv_aging, examples/figure7_simulation.py), and the manual's list of changes
# singles out step 15, here that of full power.
DST = (
    (16, 0.0), (28, -12.5), (12, -25.0), (8, 12.5), (16, 0.0), (24, -12.5), (12, -25.0), (8, 12.5), (16, 0.0),
    (24, -12.5), (12, -25.0), (8, 12.5), (16, 0.0), (36, -12.5), (8, -100.0), (24, -62.5), (8, 25.0), (32, -25.0),
    (8, 50.0), (44, 0.0),
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What a protocol leaves open.

    `charge_rate` and `discharge_rate` are C-rates of the nominal capacity, the latter for `cc_cycling`;
    `peak_W_per_Wh` scales `dst`, in W per Wh of the fresh cell; `averaging_s` is over what time the power of
    `wltp_class3b` is averaged; `storage_soc` is where `calendar_rest` begins.
    """

    protocol_id: str
    charge_rate: float = 0.3
    discharge_rate: float = 1.0
    peak_W_per_Wh: float = 1.5
    averaging_s: int = 10
    storage_soc: float = 0.9


@dataclass(frozen=True)
class CellRating:
    """What a load is scaled by."""

    lower_V: float
    upper_V: float
    energy_Wh: float

    @classmethod
    def of(cls, parameter_set: str) -> CellRating:
        """Voltage limits of a parameter set, and the fresh capacity times the voltage at half of it."""
        cell = esoh.fresh_cell(parameter_set)
        fresh = esoh.fresh_state(parameter_set)
        middle = cell.open_circuit_voltage_V(*fresh.stoichiometries(np.array([0.5])))
        lower_V, upper_V = (scalar(parameter_set, f"{end} voltage cut-off [V]") for end in ("Lower", "Upper"))
        return cls(lower_V, upper_V, energy_Wh=float(fresh.capacity_Ah[0] * middle[0]))


def cycle(load: Load, rating: CellRating) -> Any:
    """One repetition of a protocol, as a `pybamm.Experiment`."""
    if load.protocol_id == "calendar_rest":
        return pybamm.Experiment([(pybamm.step.rest(duration=DAY_s, period=DAY_s),)])
    steps = (
        pybamm.step.c_rate(-load.charge_rate, termination=f"> {rating.upper_V} V"),
        pybamm.step.voltage(rating.upper_V, termination=HOLD_UNTIL),
        PROTOCOLS[load.protocol_id](load, rating),
    )
    return pybamm.Experiment([steps])


def starting_soc(load: Load) -> float:
    """Where the first repetition begins."""
    return load.storage_soc if load.protocol_id == "calendar_rest" else 0.0


def _constant_current(load: Load, rating: CellRating) -> Any:
    return pybamm.step.c_rate(load.discharge_rate, termination=f"< {rating.lower_V} V")


def _dst(load: Load, rating: CellRating) -> Any:
    seconds, percent = np.array(DST).T
    return _power_step(seconds, -percent / 100 * load.peak_W_per_Wh * rating.energy_Wh, rating)


def _wltp(load: Load, rating: CellRating) -> Any:
    vehicle = Vehicle()
    power_W = battery_power_W(vehicle, wltc_class3b_m_s(), 1.0).reshape(-1, load.averaging_s).mean(axis=1)
    seconds = np.full(len(power_W), float(load.averaging_s))
    return _power_step(seconds, power_W * rating.energy_Wh / vehicle.battery_Wh, rating)


def _power_step(seconds: Floats, power_W: Floats, rating: CellRating) -> Any:
    """Constant power by intervals, repeated until the lower voltage limit is reached."""
    repetitions = int(LONGEST_LOAD_s // seconds.sum())
    table = power_table(np.tile(seconds, repetitions), np.tile(power_W, repetitions))
    return pybamm.step.power(table, termination=f"< {rating.lower_V} V", period=seconds.sum())


def power_table(seconds: Floats, power_W: Floats) -> Floats:
    """Knots (2 N, 2) in s and W of N intervals of constant power; each ends with a line to the next."""
    ends = np.cumsum(seconds)
    knots = np.stack([ends - seconds, ends - EDGE_s], axis=1).ravel()
    return np.stack([knots, np.repeat(power_W, 2)], axis=1)


PROTOCOLS: dict[str, Callable[[Load, CellRating], Any]] = {
    "cc_cycling": _constant_current,
    "dst": _dst,
    "wltp_class3b": _wltp,
}
