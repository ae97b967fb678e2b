"""From a speed trace to the power of one cell: the WLTC class 3b driven by a small electric car.

    P_wheel = v (m (1 + e) dv/dt + m g c_r [v > 0] + rho/2 c_d A v^2)
    P_battery = P_aux + P_wheel / efficiency when driving, max(P_wheel efficiency, -P_recuperation) when braking

The road is level. A cell delivers the share of the battery's power that it has of the battery's energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GRAVITY_m_s2 = 9.81
AIR_DENSITY_kg_m3 = 1.2


@dataclass(frozen=True)
class Vehicle:
    """A BMW i3, as published with Koch et al., "Accurate physics-based modeling of electric vehicle energy consumption
    in the SUMO traffic microsimulator", IEEE ITSC 2021, 10.1109/ITSC48978.2021.9564463.

    That model has maps of losses; here one efficiency between battery and wheel, motor and inverter 0.9 (assumed) times
    gear 0.96 (theirs), stands for them. `inertia_kg_m2` is that of motor, gear and wheels at the wheels.
    """

    mass_kg: float = 1417.0
    inertia_kg_m2: float = 12.5
    wheel_radius_m: float = 0.3498
    rolling_coefficient: float = 0.007
    drag_coefficient: float = 0.29
    frontal_area_m2: float = 2.38
    efficiency: float = 0.9 * 0.96
    recuperation_W: float = 50e3
    auxiliary_W: float = 360.0
    battery_Wh: float = 39e3


def battery_power_W(vehicle: Vehicle, speed_m_s: Floats, step_s: float) -> Floats:
    """Mean power (N - 1,) that the battery delivers between N equidistant points of a speed trace; negative charges it.

    Speed is linear between points; resistances are taken at the mean speed.
    """
    v = 0.5 * (speed_m_s[1:] + speed_m_s[:-1])
    acceleration = np.diff(speed_m_s) / step_s
    inertia = vehicle.mass_kg + vehicle.inertia_kg_m2 / vehicle.wheel_radius_m**2
    rolling = vehicle.mass_kg * GRAVITY_m_s2 * vehicle.rolling_coefficient * (v > 0)
    drag = 0.5 * AIR_DENSITY_kg_m3 * vehicle.drag_coefficient * vehicle.frontal_area_m2 * v**2
    wheel = v * (inertia * acceleration + rolling + drag)
    braking = np.maximum(wheel * vehicle.efficiency, -vehicle.recuperation_W)
    return np.where(wheel > 0, wheel / vehicle.efficiency, braking) + vehicle.auxiliary_W


def wltc_class3b_m_s() -> Floats:
    """The speed trace for vehicles of class 3b, one point a second from 0 to 1800 s; a table of UN Regulation No. 154.

    The file has what `wltp.cycles.class3.class_data_b()["cycle"]` of the package wltp 0.1.2a0 gives, in km/h.
    """
    return np.loadtxt(Path(__file__).with_name("wltc_class3b.csv"), skiprows=1) / 3.6
