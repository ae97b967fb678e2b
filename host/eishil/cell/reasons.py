"""Why a cell has no spectrum. Without PyBaMM: whoever reads a data set needs the names too."""

X_100_LIMIT = 0.98  # above it graphite is full before 4.2 V: lithium would plate
REASONS = {
    "infeasible": "eSOH: no stoichiometries reach both voltage limits",
    "x_100": f"eSOH: the negative electrode is more than {X_100_LIMIT:.0%} full at the upper voltage limit"
    ", and fuller than in the fresh cell",
}
