"""What `evaluation.json` has, and `results.json` takes from it. Figures of SOH are fractions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    # JSON has no infinity and no NaN: a figure that is one is written as a string, and read back as what it was.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class SeedFigures(_Part):
    """One more training and one more draw of the noise, on the held-out cells, with the integer network, in float64."""

    seed: int
    soh_rmse: float
    soh_rmse_end_of_life: float
    soh_rmse_float_network: float
    coverage_1_sigma: float
    coverage_2_sigma: float
    nis_mean: float
    nees_mean: float
    rul_mae_cycles: float | None


class HostFigures(_Part):
    """What the host computed over the held-out cells; None where the recipe has no [evaluation]."""

    cramer_rao_soh_rms: float | None = None
    cramer_rao_soh_rms_end_of_life: float | None = None
    soh_rmse_ukf: float | None = None
    coverage_2_sigma_ukf: float | None = None
    nees_mean_ukf: float | None = None
    seeds: list[SeedFigures] = []
