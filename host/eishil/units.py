"""Constants of units."""

ZERO_CELSIUS_K = 273.15
