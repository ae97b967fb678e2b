"""Why a cell has no spectrum. Without PyBaMM: whoever reads a data set needs the names too."""

X_100_LIMIT = 0.98  # above it graphite is full before 4.2 V: lithium would plate
SPREAD_LIMIT = 1e-3  # of the stoichiometry of an electrode's particles; see docs/ageing.md
VOLTAGE_LIMIT_V = 1e-3
REASONS = {
    "infeasible": "eSOH: no stoichiometries reach both voltage limits",
    "x_100": f"eSOH: the negative electrode is more than {X_100_LIMIT:.0%} full at the upper voltage limit"
    ", and fuller than in the fresh cell",
    "ageing_failed": "the cell could not be simulated further: the solver failed or the protocol was out of reach",
    "spread": f"after the rest a stoichiometry still varies within its electrode by more than {SPREAD_LIMIT:g}",
    "not_carried_over": f"the linearised cell's voltage is not the rested one's to {1e3 * VOLTAGE_LIMIT_V:g} mV",
}
